"""A SavedModel folder as a graph in a session, and what its signatures take and give.

======================  =================================================================
``saved_model``         a version's folder as a Servable: graph and variables
``calls``               a signature as a function on a session
``effects``             whether a model may remember that it was asked
``tensorflow_session``  the part of TensorFlow that runs it
``tflite_model``        the same of a ``model.tflite``, where it is preferred
``signature``           what a signature takes and gives; refuses tensors that do not fit
======================  =================================================================
"""
