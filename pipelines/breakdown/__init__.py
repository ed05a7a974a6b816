"""Where the cost comes from: what an end-to-end figure mixes, measured apart.

``python -m pipelines measure --only in-process|overhead|batching|cold-start|memory``
"""
