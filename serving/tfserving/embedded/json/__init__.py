"""TF Serving's JSON: read, understood, and written.

============  ================================================================
``text``      JSON as TF Serving's parser reads it, and its words for mistakes
``tensors``   ``:predict`` bodies
``elements``  one value as a tensor, element by element
``examples``  ``:classify`` and ``:regress`` bodies
``answers``   the bodies of answers
``metadata``  status and metadata
``excerpt``   JSON values in error messages
============  ================================================================
"""
