"""How SavedModels are loaded, for each platform: from flags, or from ``--platform_config_file``.

As ``BuildAndStart`` in ``model_servers/server.cc``: with the file, every flag that it could replace is
read over. What a platform's entry may be is ``util/class_registration.h``'s.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from grpc import StatusCode

from serving.tfserving.embedded.options.batching_parameters import (
    BatchingParameters,
    read_batching_message,
    read_batching_parameters,
)
from serving.tfserving.embedded.options.config_files import read_text_file
from serving.tfserving.embedded.options.configuration import PLATFORM, ModelSetup
from serving.tfserving.embedded.options.flags import FLAGS, Flags
from serving.tfserving.embedded.options.platform_messages import (
    ConfigProto,
    make_platform_message,
)
from serving.tfserving.embedded.status import StatusError, invalid

log = logging.getLogger(__name__)

READ_OVER = frozenset(
    {
        "enable_batching",
        "batching_parameters_file",
        "enable_per_model_batching_parameters",
        "tensorflow_session_config_file",
        "tensorflow_session_parallelism",
        "tensorflow_intra_op_parallelism",
        "tensorflow_inter_op_parallelism",
        "saved_model_tags",
        "enable_model_warmup",
        "num_request_iterations_for_warmup",
        "prefer_tflite_model",
        "num_tflite_pools",
    }
)
"""Flags that do not count beside ``--platform_config_file``."""

_ADAPTER = "SavedModelBundleSourceAdapterConfig"
_DEFAULT_TAGS = frozenset({"serve"})
_MEANT = {
    "session_config",
    "batching_parameters",
    "enable_per_model_batching_params",
    "wrap_session_with_no_threading_params",
    "saved_model_tags",
    "enable_model_warmup",
    "model_warmup_options",
    "remove_unused_fields_from_bundle_metagraph",
    "prefer_tflite_model",
    "num_tflite_interpreters",
    "num_tflite_pools",
}


@dataclass(frozen=True)
class BundleSettings:
    """How the SavedModels of a platform are loaded.

    Attributes:
        tags: of the graph.
        session_config: TensorFlow's ``ConfigProto``, as bytes.
        batching: how requests are put together; None where they are not.
        batching_per_model: whether a file in the version's folder says so instead.
        warmup_iterations: how often each recorded request is answered; None where they are not read.
        tflite_pool: interpreters for a ``model.tflite``; None where that is not looked for.
    """

    tags: frozenset[str] = _DEFAULT_TAGS
    session_config: bytes = b""
    batching: BatchingParameters | None = None
    batching_per_model: bool = False
    warmup_iterations: int | None = None
    tflite_pool: int | None = None


@dataclass(frozen=True)
class Platforms:
    """The platforms that a model may ask for.

    Attributes:
        settings: how their SavedModels are loaded, by name.
        routes: which platform each model is for; kept where the configurations are.
    """

    settings: Mapping[str, BundleSettings] = field(
        default_factory=lambda: {PLATFORM: BundleSettings()}
    )
    routes: dict[str, str] = field(default_factory=dict)

    def route(self, setups: Iterable[ModelSetup]) -> None:
        """Versions of these models are loaded as their platforms say."""
        self.routes.update((each.name, each.platform) for each in setups)


def read_platforms(flags: Flags) -> Platforms:
    """The platforms of the flags, or of the file.

    Raises:
        StatusError: a file cannot be read or says what cannot be.
    """
    if not flags.platform_config_file:
        return Platforms({PLATFORM: _from_flags(flags)})
    for name in sorted(READ_OVER):
        if getattr(flags, name) != FLAGS[name].default:
            log.warning("--%s does not count beside --platform_config_file", name)
    message = make_platform_message("PlatformConfigMap")
    read_text_file(flags.platform_config_file, message)
    return Platforms(
        {
            name: _from_bundle(_unpack(message.platform_configs[name].source_adapter_config))
            for name in sorted(message.platform_configs)
        }
    )


def _from_flags(flags: Flags) -> BundleSettings:
    batching = None
    if flags.enable_batching:
        batching = read_batching_parameters(flags.batching_parameters_file)
        batching.check_threads()
    session = ConfigProto()
    if flags.tensorflow_session_config_file:
        read_text_file(flags.tensorflow_session_config_file, session)
    # The flags' numbers count even where they are 0 and the file has others, as there.
    session.intra_op_parallelism_threads = flags.intra_op_threads
    session.inter_op_parallelism_threads = flags.inter_op_threads
    return BundleSettings(
        frozenset(flags.saved_model_tags.split(",")),
        session.SerializeToString(),
        batching,
        flags.enable_per_model_batching_parameters,
        max(flags.num_request_iterations_for_warmup, 0) or 1 if flags.enable_model_warmup else None,
        flags.num_tflite_pools if flags.prefer_tflite_model else None,
    )


def _unpack(packed: Any) -> Any:
    """The ``SessionBundleConfig`` in an entry's ``Any``."""
    _, slash, name = packed.type_url.rpartition("/")
    if not slash or not name:
        raise invalid(f"Supplied config's type_url could not be parsed: {packed.type_url}")
    try:
        message = make_platform_message(name.removeprefix("tensorflow.serving."))
    except KeyError:
        raise StatusError(
            StatusCode.INTERNAL, f"Unable to find compiled-in proto descriptor of type {name}"
        ) from None
    try:
        message.ParseFromString(packed.value)
    except DecodeError:
        raise invalid(f"Malformed content of Any: {packed}") from None
    if message.DESCRIPTOR.name != _ADAPTER:
        raise invalid(
            f"Couldn't find factory for config proto message type {name}\nconfig={message}"
        )
    return message.legacy_config


def _from_bundle(config: Any) -> BundleSettings:
    for each, _ in config.ListFields():
        if each.name not in _MEANT:
            log.warning("--platform_config_file: %s has no meaning here", each.name)
    batching = None
    if config.HasField("batching_parameters"):
        batching = read_batching_message(config.batching_parameters)
        batching.check_threads()
    if config.wrap_session_with_no_threading_params:
        batching = None  # one wrapping or the other
    return BundleSettings(
        frozenset(config.saved_model_tags) or _DEFAULT_TAGS,
        config.session_config.SerializeToString(),
        batching,
        config.enable_per_model_batching_params,
        _iterations(config.model_warmup_options) if config.enable_model_warmup else None,
        config.num_tflite_pools or config.num_tflite_interpreters
        if config.prefer_tflite_model
        else None,
    )


def _iterations(options: Any) -> int:
    if not options.HasField("num_request_iterations"):
        return 1
    return max(int(options.num_request_iterations.value), 0)
