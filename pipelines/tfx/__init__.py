"""TFX: data validation, constants, sliced evaluation and lineage, in an environment of its own.

``environment`` makes that environment, ``worker`` calls it as a framework's process is called, ``spans`` writes
what it reads. ``inside`` is what runs there; nothing here imports it.
"""
