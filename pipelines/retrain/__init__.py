"""Monitor and retrain: every new span is validated, held against the model in service, learned from if need be.

``policy`` says when, ``monitoring`` what is looked at, ``month`` what is done about one span, ``replay`` goes
through all that have arrived, ``flow`` is the Prefect flow; ``page`` and ``terminal`` show the timeline.
"""
