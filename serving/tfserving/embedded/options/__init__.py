"""What the server is told: the command line, and the files that it names.

=======================  =========================================================
``flags``                every flag of the binary, with its default
``command_line``         reads them as the binary does
``config_files``         files in protobuf's text format
``configuration``        which models are to be served, from a file or a request
``batching_parameters``  how batches are formed: the server's file, or a version's
``platforms``            how SavedModels are loaded, from flags or ``--platform_config_file``
``platform_messages``    the messages of that file
``monitoring``           whether and where the metrics can be read
``tls``                  encryption of gRPC
=======================  =========================================================
"""
