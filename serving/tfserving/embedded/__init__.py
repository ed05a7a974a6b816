"""A server for TF Serving's API, for machines without TF Serving.

``python -m serving.tfserving.embedded`` takes ``tensorflow_model_server``'s flags and speaks its
gRPC and REST interfaces, as far as this package says so. It is never called TensorFlow Serving:
tables and logs say "embedded".

=====================  =================================================================
``command_line``       reads the command line as the binary does
``flags``              its flags, with their defaults
``configuration``      which models are to be served, from a file or a request
``config_files``       files in protobuf's text format
``saved_model``        a version's folder as a Servable: graph and variables
``tensorflow_session`` the part of TensorFlow that runs it
``signature``          what a signature takes and gives; refuses tensors that do not fit
``models``             the versions that can be asked, by label too, and the states of all
``base_path``          the folder of versions, and which of them are to be served
``folders``            looks into all of them every so often
``policy``             what to do next with the versions: load, unload, nothing
``manager``            does it, for all models: rolls from one version to the next and back
``server_core``        from a configuration to versions that can be asked, again and again
``model_service``      another configuration over gRPC
``loading``            one version, loaded and counted
``json_text``          JSON as TF Serving's parser reads it, and its words for mistakes
``json_tensors``       ``:predict`` bodies; ``json_elements`` reads them value by value
``json_examples``      ``:classify`` and ``:regress`` bodies
``json_answers``       the bodies of answers; ``json_metadata`` those of status and metadata
``json_excerpt``       JSON values in error messages
``proto_inputs``       the tensors of a PredictRequest
``predict``            one prediction, whatever front it came in by
``inference``          Classify, Regress and MultiInference; ``examples`` reads what they take
``classification``     signatures and outputs that are classes; twin of ``regression``
``desk``               where a request is worked on: event loop or thread
``batching``           requests of a signature put together; ``batch_queue``, ``batch_scheduler``
``batch``              the rows of a batch: put together, filled up, taken apart
``batching_parameters`` how that is done: the server's file, or a version's
``preparation``        what happens between loading and offering a version
``warmup``             recorded requests, answered before others
``tls``                encryption of gRPC
``metrics``            what is counted, as Prometheus reads it
``monitoring``         the file that says where
``metadata``           what is said of the models
``grpc_front``         PredictionService and ModelService
``grpc_service``       makes a service known to gRPC; ``health`` is the standard one
``rest_front``         ``/v1/models/...``; ``rest_path`` and ``rest_body`` are what came in
``status``             the errors, with their gRPC codes and HTTP statuses
``listening``          ports and the UNIX socket
``server``             signals, start and stop
=====================  =================================================================
"""

LABEL = "TF Serving API (embedded)"
