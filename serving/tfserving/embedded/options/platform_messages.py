"""The messages of ``--platform_config_file``, which ``tensorflow-serving-api`` leaves out.

Names and numbers: ``config/platform_config.proto``, ``saved_model_bundle_source_adapter.proto`` and
``session_bundle_config.proto`` in TF Serving.
"""

from __future__ import annotations

from google.protobuf import any_pb2

from serving.tfserving.embedded.options.batching_parameters import FIELDS as BATCHING_FIELDS
from serving.tfserving.embedded.options.config_files import make_messages
from serving.tfserving.lean_tensorflow import parts_of_tensorflow

with parts_of_tensorflow():
    from tensorflow.core.protobuf import config_pb2, named_tensor_pb2

_SCHEMA = {
    "PlatformConfigMap": (("platform_configs", 1, "map .tensorflow.serving.PlatformConfig"),),
    "PlatformConfig": (("source_adapter_config", 1, "Any"),),
    "SavedModelBundleSourceAdapterConfig": (
        ("legacy_config", 1000, ".tensorflow.serving.SessionBundleConfig"),
    ),
    "SessionBundleConfig": (
        ("session_target", 1, "string"),
        ("session_config", 2, ".tensorflow.ConfigProto"),
        ("batching_parameters", 3, ".tensorflow.serving.BatchingParameters"),
        ("in_graph_batching_parameters", 7, ".tensorflow.BatchingOptions"),
        ("session_run_load_threadpool_index", 4, "Int32Value"),
        ("experimental_transient_ram_bytes_during_load", 5, "uint64"),
        ("saved_model_tags", 6, "repeated string"),
        ("experimental_fixed_input_tensors", 778, "repeated .tensorflow.NamedTensorProto"),
        ("enable_model_warmup", 779, "bool"),
        ("model_warmup_options", 780, ".tensorflow.serving.ModelWarmupOptions"),
        ("enable_session_metadata", 781, "bool"),
        ("remove_unused_fields_from_bundle_metagraph", 782, "bool"),
        ("prefer_tflite_model", 783, "bool"),
        ("resource_estimation_uses_validation_result", 784, "bool"),
        ("num_tflite_interpreters", 785, "int32"),
        ("num_tflite_interpreters_per_pool", 786, "int32"),
        ("num_tflite_pools", 787, "int32"),
        ("wrap_session_with_no_threading_params", 788, "bool"),
        ("enable_per_model_batching_params", 789, "bool"),
        ("enable_saved_model_config", 790, "bool"),
        ("mixed_precision", 791, "string"),
    ),
    "ModelWarmupOptions": (
        ("num_request_iterations", 1, "Int32Value"),
        ("num_model_warmup_threads", 2, "Int32Value"),
        ("model_name", 3, "string"),
        ("model_version", 4, "int64"),
        ("enable_all_batch_sizes_warmup", 5, "bool"),
    ),
    "BatchingParameters": BATCHING_FIELDS,
}

make_platform_message = make_messages(
    _SCHEMA, any_pb2.DESCRIPTOR, config_pb2.DESCRIPTOR, named_tensor_pb2.DESCRIPTOR
)
"""An empty message of one of these types."""

ConfigProto = config_pb2.ConfigProto
