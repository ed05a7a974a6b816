"""A server for TF Serving's API, for machines without TF Serving.

``python -m serving.tfserving.embedded`` takes ``tensorflow_model_server``'s flags and speaks its
gRPC and REST interfaces, as far as this package says so. It is never called TensorFlow Serving:
tables and logs say "embedded".

=====================  =================================================================
``flags``              the command line
``saved_model``        a version's folder as a Servable: graph and variables
``tensorflow_session`` the part of TensorFlow that runs it
``signature``          what a signature takes and gives; refuses tensors that do not fit
``models``             the names and versions that are served, and their states
``json_tensors``       the REST bodies; ``json_elements`` reads them value by value
``predict``            one prediction, whatever front it came in by
``metadata``           what is said of the models
``grpc_front``         PredictionService and ModelService
``rest_front``         ``/v1/models/...``
``status``             the errors, with their gRPC codes and HTTP statuses
``server``             ports, signals, start and stop
=====================  =================================================================
"""

LABEL = "TF Serving API (embedded)"
