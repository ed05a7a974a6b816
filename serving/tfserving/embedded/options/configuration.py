"""Which models are to be served: the ``ModelServerConfig`` of a file, of a request, or of two flags.

What is refused, in which order and with which words: TF Serving's ``model_servers/server_core.cc``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grpc import StatusCode

from serving.tfserving.embedded.options.config_files import read_text_file
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.embedded.versions.base_path import LATEST, Choice, VersionPolicy, is_relative
from serving.tfserving.messages import ModelServerConfig

log = logging.getLogger(__name__)

PLATFORM = "tensorflow"
"""The only one that TF Serving's own binary knows without ``--platform_config_file``."""

MODEL_CONFIG_LIST = "model_config_list"
_TENSORFLOW = 1  # ModelType.TENSORFLOW


@dataclass(frozen=True)
class ModelSetup:
    """How one model is to be served.

    Attributes:
        name: the model's.
        base_path: the folder with a folder per version.
        policy: which of them.
        labels: names for versions.
        platform: how its versions are loaded.
    """

    name: str
    base_path: str
    policy: VersionPolicy = LATEST
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = PLATFORM


def initial_config(flags: Flags) -> Any:
    """The ``ModelServerConfig`` that the flags ask for.

    Raises:
        StatusError: the file cannot be read or is none.
    """
    if flags.model_config_file:
        return read_config(flags.model_config_file)
    log.info(
        "Building single TensorFlow model file config:  model_name: %s model_base_path: %s",
        flags.model_name,
        flags.model_base_path,
    )
    config = ModelServerConfig()
    config.model_config_list.config.add(
        name=flags.model_name, base_path=flags.model_base_path, model_platform=PLATFORM
    )
    return config


def read_config(path: str) -> Any:
    """The ``ModelServerConfig`` in a file.

    Raises:
        StatusError: the file cannot be read or is none.
    """
    config = ModelServerConfig()
    read_text_file(path, config)
    return config


def check_transition(old: Any, new: Any) -> None:
    """Refuse a configuration that cannot follow on another; an empty one can be followed by any.

    Raises:
        StatusError: FAILED_PRECONDITION, or INVALID_ARGUMENT for names, paths and platforms.
    """
    kinds = [config.WhichOneof("config") for config in (old, new)]
    if kinds[0] is not None and old != new and kinds != [MODEL_CONFIG_LIST] * 2:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION,
            "Cannot transition to requested config. It is only legal to transition "
            "from one ModelConfigList to another.",
        )
    if kinds[1] == MODEL_CONFIG_LIST:
        _check_names_and_paths(new.model_config_list.config)
    if kinds == [MODEL_CONFIG_LIST] * 2:
        _check_platforms_stay(old.model_config_list.config, new.model_config_list.config)


def read_setups(config: Any, platforms: Collection[str] = (PLATFORM,)) -> list[ModelSetup]:
    """How each model of a configuration is to be served.

    Args:
        config: the ``ModelServerConfig``.
        platforms: those that are known.

    Raises:
        StatusError: INVALID_ARGUMENT, a platform that is not known.
    """
    for each in config.model_config_list.config:
        platform = _platform(each)
        if platform not in platforms:
            raise invalid(f"Model {each.name} requests unsupported platform {platform}")
        if each.HasField("logging_config"):
            _say_ignored(each.name, "logging_config")
    return [_read_setup(each) for each in config.model_config_list.config]


def _read_setup(config: Any) -> ModelSetup:
    policy = _read_policy(config.model_version_policy)
    labels = dict(config.version_labels)
    return ModelSetup(config.name, config.base_path, policy, labels, _platform(config))


def _read_policy(policy: Any) -> VersionPolicy:
    choice = Choice(policy.WhichOneof("policy_choice") or "latest")
    if choice is Choice.SPECIFIC:
        return VersionPolicy(choice, numbers=frozenset(policy.specific.versions))
    return VersionPolicy(choice, count=max(policy.latest.num_versions, 1))


def _check_names_and_paths(configs: Sequence[Any]) -> None:
    names: set[str] = set()
    for each in configs:
        if each.name in names:
            raise invalid(f"Illegal to list model {each.name} multiple times in config list")
        names.add(each.name)
    for each in configs:
        if is_relative(each.base_path):
            raise invalid(
                f"Expected model {each.name} to have an absolute path or URI; "
                f"got base_path()={each.base_path}"
            )


def _check_platforms_stay(old: Sequence[Any], new: Sequence[Any]) -> None:
    before = {each.name: _platform(each) for each in old}
    for each in new:
        if each.name in before and _platform(each) != before[each.name]:
            raise invalid(
                f"Illegal to change a model's platform. For model {each.name} platform was "
                f"{before[each.name]} and new platform requested is {_platform(each)}"
            )


def _platform(config: Any) -> str:
    kind, named = config.model_type, str(config.model_platform)
    if kind and named:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            f"ModelServerConfig::model_platform, model name is {config.name}"
        )
    if kind and kind != _TENSORFLOW:
        raise invalid(f"ModelServerConfig::model_type choice {kind} not supported.")
    if not kind and not named:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {config.name}"
        )
    return named or PLATFORM


_ignored: set[tuple[str, str]] = set()


def _say_ignored(name: str, what: str) -> None:
    """Once for each model, not with every look at the file."""
    if (name, what) not in _ignored:
        _ignored.add((name, what))
        log.warning("Model %s: %s has no meaning here and is ignored", name, what)
