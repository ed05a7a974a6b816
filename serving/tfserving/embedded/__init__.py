"""A server for TF Serving's API, for machines without TF Serving.

``python -m serving.tfserving.embedded`` takes ``tensorflow_model_server``'s flags and speaks its
gRPC and REST interfaces, as far as this package says so. It is never called TensorFlow Serving:
tables and logs say "embedded".

================  ======================================================================
``options``       the command line, read as the binary reads it, and the files that it names
``versions``      which versions of which models are there, and how they come and go
``graph``         a SavedModel as a graph in a session; what its signatures take and give
``batching``      requests of a signature put together, so that the session runs less often
``requests``      Predict, Classify, Regress, MultiInference, metadata: whatever front asked
``json``          JSON as TF Serving's parser reads it and its writer writes it
``rest``          ``/v1/models/...`` over HTTP
``rpc``           PredictionService, ModelService and the health service over gRPC
``server_core``   from a configuration to versions that can be asked, again and again
``server``        signals, start and stop; ``listening`` opens the ports and the UNIX socket
``desk``          where a request is worked on: event loop or thread
``metrics``       what is counted, as Prometheus reads it
``status``        the errors, with their gRPC codes and HTTP statuses
================  ======================================================================
"""

LABEL = "TF Serving API (embedded)"
