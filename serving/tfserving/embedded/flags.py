"""The command line of ``tensorflow_model_server``.

Every flag of the binary is known (names and defaults: TF Serving's ``model_servers/main.cc`` and
``server.h``). Those that only tune are taken and ignored; those that would change what is served
are refused, because a server that quietly ignored them would answer wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from serving.tfserving.embedded import LABEL

Value = str | int | bool


class FlagError(Exception):
    """The command line cannot be used; the message says which part."""


@dataclass(frozen=True)
class Flags:
    """The flags that are honoured.

    Attributes:
        port: gRPC; 0 opens none.
        rest_api_port: REST; 0 opens none.
        rest_api_timeout_in_ms: longest time a REST request may wait for its answer.
        model_name: the one model's name.
        model_base_path: folder with a folder per version, ``<base>/<N>/saved_model.pb``.
        saved_model_tags: comma-separated tags of the graph to load.
        tensorflow_session_parallelism: threads for both kinds below; 0 leaves it to TensorFlow.
        tensorflow_intra_op_parallelism: threads within an operation.
        tensorflow_inter_op_parallelism: operations at a time.
        enable_serialization_as_tensor_content: answer in ``tensor_content`` over gRPC.
        version: print versions and end.
    """

    port: int = 8500
    rest_api_port: int = 0
    rest_api_timeout_in_ms: int = 30000
    model_name: str = "default"
    model_base_path: str = ""
    saved_model_tags: str = "serve"
    tensorflow_session_parallelism: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    enable_serialization_as_tensor_content: bool = False
    version: bool = False

    @property
    def base_path(self) -> Path:
        return Path(self.model_base_path)

    @property
    def intra_op_threads(self) -> int:
        return self.tensorflow_intra_op_parallelism or self.tensorflow_session_parallelism

    @property
    def inter_op_threads(self) -> int:
        return self.tensorflow_inter_op_parallelism or self.tensorflow_session_parallelism


HONOURED: dict[str, Value] = {field.name: field.default for field in fields(Flags)}  # type: ignore[misc]

IGNORED: dict[str, Value] = {
    "enable_model_warmup": True,
    "enable_profiler": False,
    "enable_signature_method_name_check": False,
    "file_system_poll_wait_seconds": 1,
    "flush_filesystem_caches": True,
    "grpc_channel_arguments": "",
    "grpc_max_threads": 0,
    "load_retry_interval_micros": 60_000_000,
    "max_num_load_retries": 5,
    "num_load_threads": 0,
    "num_request_iterations_for_warmup": 0,
    "num_unload_threads": 0,
    "per_process_gpu_memory_fraction": "0",
    "remove_unused_fields_from_bundle_metagraph": True,
    "rest_api_num_threads": 0,
    "skip_initialize_tpu": False,
    "thread_pool_factory_config_file": "",
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
}

REFUSED: dict[str, Value] = {
    "allow_version_labels_for_unavailable_models": False,
    "batching_parameters_file": "",
    "enable_batching": False,
    "enable_grpc_healthcheck_service": False,
    "enable_per_model_batching_parameters": False,
    "grpc_socket_path": "",
    "mixed_precision": "",
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0,
    "monitoring_config_file": "",
    "num_tflite_interpreters_per_pool": 0,
    "num_tflite_pools": 0,
    "platform_config_file": "",
    "prefer_tflite_model": False,
    "rest_api_enable_cors_support": False,
    "ssl_config_file": "",
    "tensorflow_session_config_file": "",
    "use_alts_credentials": False,
}

_DEFAULTS = {**HONOURED, **IGNORED, **REFUSED}
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def parse_flags(arguments: Sequence[str]) -> Flags:
    """Read the command line without the program's name.

    Raises:
        FlagError: unknown flag, value of the wrong kind, flag that is not supported, no base path.
    """
    given = dict(_parse_one(argument) for argument in arguments)
    for name, value in given.items():
        if name in REFUSED and value != REFUSED[name]:
            raise FlagError(f"--{name} is not supported yet by the {LABEL} server")
    flags = Flags(**{name: value for name, value in given.items() if name in HONOURED})  # type: ignore[arg-type]
    if not flags.version and not flags.model_base_path:
        raise FlagError("Both server_options.model_base_path and model_config_file are empty!")
    return flags


def usage() -> str:
    """Every flag with its default, one a line."""
    lines = [f"usage: python -m serving.tfserving.embedded    ({LABEL})", "Flags:"]
    for title, group in (("", HONOURED), ("ignored", IGNORED), ("not supported yet", REFUSED)):
        note = f"    [{title}]" if title else ""
        lines += [f"\t--{name}={_spell(default)}{note}" for name, default in group.items()]
    return "\n".join(lines)


def _parse_one(argument: str) -> tuple[str, Value]:
    name, has_value, text = argument.removeprefix("--").partition("=")
    if not argument.startswith("--") or name not in _DEFAULTS:
        raise FlagError(f"unknown argument: {argument}")
    default = _DEFAULTS[name]
    if isinstance(default, bool):
        return name, _read_truth(name, text if has_value else "true")
    if not has_value:
        raise FlagError(f"unknown argument: {argument} (a value is given as --{name}=value)")
    return name, _read_number(name, text) if isinstance(default, int) else text


def _read_truth(name: str, text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise FlagError(f"Couldn't interpret value {text} for flag {name}.")
    return _TRUTHS[text.lower()]


def _read_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise FlagError(f"Couldn't interpret value {text} for flag {name}.") from None


def _spell(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
