"""What is answered, whatever front a request came in by.

==================  ===============================================================
``predict``         one prediction
``inference``       Classify, Regress and MultiInference
``classification``  signatures and outputs that are classes; twin of ``regression``
``regression``      signatures and outputs that are one number per example
``examples``        what Classify and Regress take
``proto_inputs``    the tensors of a PredictRequest
``metadata``        what is said of the models
==================  ===============================================================
"""
