"""What is served, from a configuration to versions that can be asked; and how that changes.

TF Serving's ``model_servers/server_core.cc`` and, for the file that is looked at again and again,
``model_servers/server.cc``. Two things differ for the better. There, a reload that waits for a model
whose base path is not there yet keeps out every later one; here a later one is let in, and the
waiting ends with the request. And the look at the file never waits.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from grpc import StatusCode

from serving.tfserving.embedded.options.configuration import (
    MODEL_CONFIG_LIST,
    check_transition,
    initial_config,
    read_config,
    read_setups,
)
from serving.tfserving.embedded.options.flags import Flags
from serving.tfserving.embedded.options.platforms import Platforms
from serving.tfserving.embedded.status import StatusError, not_found
from serving.tfserving.embedded.versions.folders import Folders
from serving.tfserving.embedded.versions.manager import Load, Retries, VersionManager
from serving.tfserving.embedded.versions.models import Labels, Models, State, VersionState
from serving.tfserving.messages import ModelServerConfig

log = logging.getLogger(__name__)

_INITIAL_LOAD_THREADS = 4 * len(os.sched_getaffinity(0))
"""``num_initial_load_threads`` in ``server_core.h``."""


class ServerCore:
    """The models of a server. Safe to use from several threads.

    Args:
        flags: the command line.
        models: told of everything that can be asked.
        load: makes a version's folder answer.
        platforms: those that models may ask for; told which model is for which.
    """

    def __init__(
        self, flags: Flags, models: Models, load: Load, platforms: Platforms | None = None
    ) -> None:
        self._flags = flags
        self._platforms = platforms or Platforms()
        self._models = models
        retries = Retries(flags.max_num_load_retries, flags.load_retry_seconds)
        self._manager = VersionManager(models, load, retries, flags.num_unload_threads)
        self._folders = Folders(self._manager.aspire)
        self._config: Any = ModelServerConfig()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Serve what the flags ask for; returns when every model has a version that can be asked.

        Raises:
            StatusError: the configuration is refused, or a model cannot be loaded.
        """
        config = initial_config(self._flags)
        self._manager.start()
        self._manager.set_load_threads(_INITIAL_LOAD_THREADS)
        if self._flags.file_system_poll_wait_seconds:
            self._folders.watch(self._flags.file_system_poll_wait_seconds)
        after, names = self._change(config)
        self._wait(names, after, "servable(s)", self._stopping.is_set)
        self._manager.set_load_threads(self._flags.num_load_threads)
        if self._flags.model_config_file and self._flags.model_config_file_poll_wait_seconds > 0:
            self._watch_file()

    def reload(self, config: Any, is_over: Callable[[], bool]) -> None:
        """Serve another ``ModelServerConfig``; returns when its new models can be asked.

        Args:
            config: what is to be served from now on.
            is_over: whether nobody waits for this any more; asked again and again.

        Raises:
            StatusError: the configuration is refused and nothing has changed, or a new model cannot
                be loaded; the others are served.
        """
        after, names = self._change(config)
        self._wait(names, after, "model(s)", lambda: is_over() or self._stopping.is_set())

    def stop(self, timeout_seconds: float) -> bool:
        """Begin nothing more; whether every load has ended within the time."""
        self._stopping.set()
        self._folders.stop()
        return self._manager.stop(timeout_seconds)

    def _change(self, config: Any) -> tuple[int, frozenset[str]]:
        """Take a configuration up; the number of the last change before, and the new models' names."""
        with self._lock:
            check_transition(self._config, config)
            kind = config.WhichOneof("config")
            if kind is None:
                log.info("Taking no action for empty config.")
                return 0, frozenset()
            if kind != MODEL_CONFIG_LIST:
                raise StatusError(
                    StatusCode.UNIMPLEMENTED,
                    "ModelServer does not yet support custom model config.",
                )
            self._take(config)
            setups = read_setups(config, self._platforms.settings.keys())
            self._platforms.route(setups)
            after, before = self._models.last_event, self._folders.names
            self._folders.update(setups)
            return after, self._folders.names - before

    def _take(self, config: Any) -> None:
        if config != self._config:
            log.info("Adding/updating models.")
            for each in config.model_config_list.config:
                log.info(" (Re-)adding model: %s", each.name)
        self._config = ModelServerConfig()
        self._config.CopyFrom(config)
        self._models.set_labels(self._labels_of(config))

    def _labels_of(self, config: Any) -> Labels:
        """Version by label, by model.

        Raises:
            StatusError: FAILED_PRECONDITION, a label for a version that is not served.
        """
        for each in config.model_config_list.config:
            for label, version in each.version_labels.items():
                if not self._may_label(each.name, label, version):
                    raise StatusError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {each.name}, "
                        "which is not currently available for inference",
                    )
        return {each.name: dict(each.version_labels) for each in config.model_config_list.config}

    def _may_label(self, name: str, label: str, version: int) -> bool:
        """A version that is served may have any; others only with the flag, and only one that is new."""
        if self._flags.allow_version_labels_for_unavailable_models:
            existing = self._models.labels.get(name, {}).get(label)
            if existing in (None, version):
                return True
        known = self._models.all_states(name).get(version)
        return known is not None and known.state is State.AVAILABLE

    def _wait(
        self, names: frozenset[str], after: int, what: str, is_over: Callable[[], bool]
    ) -> None:
        """Until each of these models has a version that can be asked.

        Those that are no longer configured do not count.
        """
        missing = self._folders.missing(names)
        if missing and not self._flags.file_system_poll_wait_seconds:
            raise not_found(missing[0])  # nobody would ever look again
        reached = self._models.wait_reached(lambda: names & self._folders.names, after, is_over)
        failed = {name: state for name, state in reached.items() if state.state is State.END}
        if failed:
            raise StatusError(StatusCode.UNKNOWN, _describe(failed, what))

    def _watch_file(self) -> None:
        def watch() -> None:
            while not self._stopping.wait(self._flags.model_config_file_poll_wait_seconds):
                try:
                    self._read_again()
                except Exception:  # a fault in here must not end the looking
                    log.exception("Looking at the configuration failed")

        threading.Thread(target=watch, name="configuration", daemon=True).start()

    def _read_again(self) -> None:
        try:
            config = read_config(self._flags.model_config_file)
        except StatusError as error:
            log.error("Failed to read ModelServerConfig file: %s", error.message)
            return
        try:
            self._change(config)
        except StatusError as error:
            log.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", error.message)


def _describe(failed: Mapping[str, VersionState], what: str) -> str:
    """The words of ``load_servables_fast.cc`` and ``WaitUntilModelsAvailable``."""
    each = "".join(
        f"{{{{name: {name} version: {state.version}}}"
        + (f" due to error: {state.error}" if state.error else "")
        + "}, "
        for name, state in sorted(failed.items())
    )
    return f"{len(failed)} {what} did not become available: {{{each}}}"
