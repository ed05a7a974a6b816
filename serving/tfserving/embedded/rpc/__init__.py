"""PredictionService, ModelService and the health service over gRPC.

=================  ============================================
``front``          PredictionService and ModelService
``server``         ports, methods, and the events of gRPC's core in the event loop
``call``           one call: its message, then an answer or a status
``model_service``  another configuration, while the server runs
``health``         gRPC's standard health service
=================  ============================================
"""
