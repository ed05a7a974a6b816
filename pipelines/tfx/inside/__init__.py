"""What runs inside TFX's environment, one process a verb.

Only ``pipelines.tfx.worker`` imports these modules, in ``.venv-tfx``. TFX is imported by functions, not by
modules, where a check can fail before it: that import takes ten seconds and more.
"""
