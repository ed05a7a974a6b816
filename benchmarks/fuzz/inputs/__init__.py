"""What is sent: each module has a strategy of lists of inputs.

===============  =====================================================================
``input``        one input: bytes, and how they are to be sent
``served``       the models and signatures that inputs are built around
``making``       so many inputs of a strategy, the same ones for the same seed
``mutation``     bytes, damaged
``json_bodies``  bodies of ``:predict``, ``:classify`` and ``:regress``
``http``         whole HTTP requests around them; URLs and methods
``tensors``      TensorProtos, right ones and impossible ones
``messages``     messages of gRPC around them
``settings``     files of settings and command lines
``texts``        what the parsers of requests are given without a server
===============  =====================================================================
"""
