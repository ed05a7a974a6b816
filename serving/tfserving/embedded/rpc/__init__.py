"""PredictionService, ModelService and the health service over gRPC.

=================  ============================================
``front``          PredictionService and ModelService
``service``        makes a service known to gRPC
``model_service``  another configuration, while the server runs
``health``         gRPC's standard health service
=================  ============================================
"""
