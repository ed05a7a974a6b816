"""Every flag of ``tensorflow_model_server``, with its default, in the order of its ``main.cc``.

Names and defaults: ``model_servers/main.cc`` and ``model_servers/server.h``; what each says is in
our own words. One flag is our own: ``--bind_address``; the binary has none and listens on every
interface. How a command line is read is in ``command_line``.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TypeVar

from serving.tfserving.embedded.status import invalid

Value = str | int | bool | float
Default = TypeVar("Default", str, int, bool, float)

_CPUS = len(os.sched_getaffinity(0))
"""``port::NumSchedulableCPUs``."""


class Kind(Enum):
    """What a flag's value is, as the usage names it."""

    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"
    STRING = "string"
    FLOAT = "float"


_KINDS = {bool: Kind.BOOL, int: Kind.INT32, str: Kind.STRING, float: Kind.FLOAT}


def _flag(default: Default, says: str, kind: Kind | None = None) -> Default:
    kind = kind or _KINDS[type(default)]
    declared: Default = field(default=default, metadata={"says": says, "kind": kind})
    return declared


@dataclass(frozen=True)
class Flags:
    """The command line's values; each field says for itself what it is."""

    port: int = _flag(8500, "TCP port of gRPC; 0 opens none.")
    grpc_socket_path: str = _flag("", "Path of a UNIX socket for gRPC; none where empty.")
    rest_api_port: int = _flag(0, "TCP port of REST; 0 opens none. Must differ from --port.")
    rest_api_num_threads: int = _flag(4 * _CPUS, "Threads that work on REST requests.")
    rest_api_timeout_in_ms: int = _flag(30000, "Longest time a REST request may wait, ms.")
    rest_api_enable_cors_support: bool = _flag(False, "Answer with CORS headers.")
    enable_batching: bool = _flag(False, "Work on several requests at once.")
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "A label that is new may name a version that is not served yet."
    )
    batching_parameters_file: str = _flag("", "Text of a BatchingParameters message.")
    enable_per_model_batching_parameters: bool = _flag(
        False,
        "With --enable_batching: read batching_params.pbtxt in each version's folder; of "
        "--batching_parameters_file only the threads count.",
    )
    model_config_file: str = _flag(
        "", "Text of a ModelServerConfig message: the models to serve. Then --model_name and "
        "--model_base_path do not count."
    )  # fmt: skip
    model_config_file_poll_wait_seconds: int = _flag(
        0, "Seconds from one look at --model_config_file to the next; 0 looks only at the start."
    )
    model_name: str = _flag("default", "The model's name, without --model_config_file.")
    model_base_path: str = _flag("", "Folder with a folder per version, likewise.")
    num_load_threads: int = _flag(0, "Versions that are loaded at a time; 0 is one.")
    num_unload_threads: int = _flag(0, "Versions that are unloaded at a time; 0 is one.")
    max_num_load_retries: int = _flag(5, "How often a failed load is tried again.")
    load_retry_interval_micros: int = _flag(
        60_000_000, "Microseconds before each of those; none where negative.", Kind.INT64
    )
    file_system_poll_wait_seconds: int = _flag(
        1, "Seconds from one look for new versions to the next; 0 looks only once."
    )
    flush_filesystem_caches: bool = _flag(True, "Drop the disk's cache after loading.")
    tensorflow_session_parallelism: int = _flag(
        0, "Threads of both kinds below; 0 leaves it to TensorFlow.", Kind.INT64
    )
    tensorflow_session_config_file: str = _flag("", "Text of TensorFlow's ConfigProto message.")
    tensorflow_intra_op_parallelism: int = _flag(0, "Threads within an operation.", Kind.INT64)
    tensorflow_inter_op_parallelism: int = _flag(0, "Operations at a time.", Kind.INT64)
    use_alts_credentials: bool = _flag(False, "Google's ALTS for gRPC.")
    ssl_config_file: str = _flag("", "Text of an SSLConfig message: gRPC is encrypted.")
    platform_config_file: str = _flag("", "Text of a PlatformConfigMap message.")
    per_process_gpu_memory_fraction: float = _flag(0.0, "Part of a GPU's memory to take.")
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the graph to load.")
    grpc_channel_arguments: str = _flag("", "Comma-separated key=value arguments for gRPC.")
    grpc_max_threads: int = _flag(4 * _CPUS, "Threads that work on gRPC's messages.")
    enable_model_warmup: bool = _flag(True, "Send a version its recorded requests before others.")
    num_request_iterations_for_warmup: int = _flag(0, "How often each of those, where above 0.")
    version: bool = _flag(False, "Print versions and end.")
    monitoring_config_file: str = _flag("", "Text of a MonitoringConfig message.")
    remove_unused_fields_from_bundle_metagraph: bool = _flag(True, "Save memory after loading.")
    prefer_tflite_model: bool = _flag(False, "Take model.tflite where a version has one.")
    num_tflite_pools: int = _flag(_CPUS, "Pools of TensorFlow Lite's interpreters.")
    num_tflite_interpreters_per_pool: int = _flag(1, "Interpreters in each.")
    enable_signature_method_name_check: bool = _flag(
        False, "Hold classify and regress to the method names of their signatures."
    )
    xla_cpu_compilation_enabled: bool = _flag(False, "XLA's compiler on processors.")
    xla_gpu_compilation_enabled: bool = _flag(False, "XLA's compiler on GPUs.")
    enable_profiler: bool = _flag(True, "TensorFlow's profiler over gRPC.")
    thread_pool_factory_config_file: str = _flag("", "Text of a ThreadPoolConfig message.")
    mixed_precision: str = _flag("", "Precision to compute with.")
    skip_initialize_tpu: bool = _flag(False, "Leave TPUs as they are.")
    enable_grpc_healthcheck_service: bool = _flag(False, "gRPC's standard health service.")
    enable_serialization_as_tensor_content: bool = _flag(
        False, "Answer in tensor_content over gRPC."
    )
    bind_address: str = _flag(
        "127.0.0.1",
        "Our own: the IP address that both ports listen on. Loopback unless set, for nobody is "
        "asked who they are.",
    )

    @property
    def intra_op_threads(self) -> int:
        return self._threads(self.tensorflow_intra_op_parallelism)

    @property
    def inter_op_threads(self) -> int:
        return self._threads(self.tensorflow_inter_op_parallelism)

    @property
    def load_retry_seconds(self) -> float:
        return max(self.load_retry_interval_micros, 0) / 1e6

    def _threads(self, own: int) -> int:
        """``BuildAndStart``: where either kind is set, the flag for both does not count."""
        either = (
            self.tensorflow_intra_op_parallelism > 0 or self.tensorflow_inter_op_parallelism > 0
        )
        return own if either else self.tensorflow_session_parallelism


FLAGS = {each.name: each for each in fields(Flags)}

OWN = {"bind_address"}
"""Those that the binary does not have."""

WITHOUT_MEANING: Mapping[str, str] = {
    "rest_api_num_threads": "one loop of events answers, and as many threads as there are processors",
    "grpc_max_threads": "one loop of events answers, and as many threads as there are processors",
    "flush_filesystem_caches": "the operating system looks after its cache",
    "per_process_gpu_memory_fraction": "no GPU is used",
    "remove_unused_fields_from_bundle_metagraph": "nothing that is not used is kept",
    "num_tflite_interpreters_per_pool": "a request for TensorFlow Lite is worked on as a whole",
    "xla_cpu_compilation_enabled": "graphs run as they are",
    "xla_gpu_compilation_enabled": "no GPU is used",
    "enable_profiler": "there is no profiler service",
    "thread_pool_factory_config_file": "TensorFlow's own threads are used",
    "mixed_precision": "graphs run as they are",
    "skip_initialize_tpu": "no TPU is used",
}
"""Taken, and said once in the log when given; and why."""


def check_flags(flags: Flags) -> None:
    """Refuse what cannot be served; the first four in the order and words of ``server.cc``.

    Raises:
        StatusError: INVALID_ARGUMENT, with the reason.
    """
    if not flags.port and not flags.grpc_socket_path:
        raise invalid(
            "At least one of server_options.grpc_port or "
            "server_options.grpc_socket_path must be set."
        )
    if flags.use_alts_credentials and flags.ssl_config_file:
        raise invalid("Either use_alts_credentials must be false or ssl_config_file must be empty.")
    if not flags.model_base_path and not flags.model_config_file:
        raise invalid(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    if not flags.platform_config_file:
        _check_threads(flags)
    _check_our_own(flags)


def _check_threads(flags: Flags) -> None:
    kinds = ("session", "intra_op", "inter_op")
    if all(getattr(flags, f"tensorflow_{kind}_parallelism") > 0 for kind in kinds):
        raise invalid(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) separately. "
            "You cannot configure all."
        )
    if flags.batching_parameters_file and not flags.enable_batching:
        raise invalid(
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )


def _check_our_own(flags: Flags) -> None:
    if flags.file_system_poll_wait_seconds < 0:
        raise invalid(
            "--file_system_poll_wait_seconds must not be negative: TF Serving would wait for ever for "
            "a model that it never looks for (its sources reserve that for tests)"
        )
    try:
        ipaddress.ip_address(flags.bind_address)
    except ValueError:
        raise invalid(
            f"--bind_address={flags.bind_address} is no IP address; 127.0.0.1 is this machine only, "
            "0.0.0.0 every interface"
        ) from None
