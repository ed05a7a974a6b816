"""TF Serving's JSON: read, understood, and written.

============  ================================================================
``text``      JSON as TF Serving's parser reads it, mostly by a faster one
``reader``    that parser in Python, and its words for mistakes
``tensors``   ``:predict`` bodies
``elements``  one value as a tensor, element by element
``examples``  ``:classify`` and ``:regress`` bodies
``answers``   the bodies of answers
``layout``    their spaces and line breaks
``metadata``  status and metadata
``excerpt``   JSON values in error messages
============  ================================================================
"""
