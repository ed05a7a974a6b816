"""Verb ``infra_validator``: TFX's own InfraValidator loads the SavedModel in a container of TF Serving's API."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.artifact import whole_folder

Report = Callable[[Mapping[str, Any]], None]
FORMAT = "Format-Serving"
"""Where TFX looks for a SavedModel below a model's folder."""
TRIES = 1
"""As production tries: a model that did not load in the time that it has does not load the second time."""
READABLE_BY_ALL = 0o022
LOOPBACK = "127.0.0.1"
LOG_LINES = 6


def infra_validator(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Load a SavedModel in a container.

    Request: ``state``, ``model`` (folder), ``sha256``, ``name``, ``image`` (``repository:tag``), ``label`` (what
    it is), ``container`` (arguments of the SDK's ``containers.run`` beside TFX's own), ``startup_seconds``.

    Returns:
        ``blessed``, ``blessing``, ``blessing_id``, and ``why`` not: the end of the server's log.

    Raises:
        StorageError: the disk is full.
    """
    from docker.utils import kwargs_from_env
    from tfx.components import InfraValidator
    from tfx.components.infra_validator import serving_bins
    from tfx.components.infra_validator.model_server_runners import local_docker_runner
    from tfx.dsl.components.common.importer import Importer
    from tfx.proto import infra_validator_pb2 as spec
    from tfx.types import standard_artifacts

    from pipelines.tfx.inside.running import outputs_of, run_pipeline

    report({"message": f"InfraValidator loads the SavedModel in {request['image']}."})
    # The image's user is another than this one, and reads the copy that TFX makes for it.
    os.umask(READABLE_BY_ALL)
    folder = Path(request["state"]) / "infra" / "models" / request["sha256"][:12]
    if not folder.exists():
        with whole_folder(folder) as partial:
            shutil.copytree(request["model"], partial / FORMAT)
    model = Importer(
        source_uri=str(folder), artifact_type=standard_artifacts.Model, reimport=False
    ).with_id("Candidate")
    # TFX has no setting for how its container is run, and would publish its ports on all interfaces.
    serving_bins.TensorFlowServing._BASE_DOCKER_RUN_PARAMS |= {
        **request["container"],
        "publish_all_ports": False,
        "ports": {f"{serving_bins.TensorFlowServing._DEFAULT_GRPC_PORT}/tcp": (LOOPBACK, None)},
    }
    local_docker_runner._find_host_port = _host_port
    name, _, tag = request["image"].rpartition(":")
    validator = InfraValidator(
        model=model.outputs["result"],
        serving_spec=spec.ServingSpec(
            tensorflow_serving=spec.TensorFlowServing(image_name=name, tags=[tag]),
            local_docker=spec.LocalDockerConfig(
                # TFX reads no DOCKER_HOST.
                client_base_url=kwargs_from_env().get("base_url", ""),
                host_ip_address=LOOPBACK,
            ),
            model_name=request["name"],
        ),
        validation_spec=spec.ValidationSpec(
            max_loading_time_seconds=int(request["startup_seconds"]), num_tries=TRIES
        ),
    )
    with _told_errors() as told:
        # What an engine said once is no evidence of today, a "no" for want of memory least of all.
        run_pipeline([model, validator], request, cached=False)
    (blessing,) = outputs_of(request, "InfraValidator")["blessing"]
    blessed = Path(blessing.uri, "INFRA_BLESSED").exists()
    return {
        "blessed": blessed,
        "blessing": blessing.uri,
        "blessing_id": blessing.id,
        "why": "" if blessed else f"{request['label']}: {_why(told)}",
    }


def _host_port(ports: Mapping[str, list[dict[str, str]]], port: int) -> str:
    """In place of TFX's, which finds only what all interfaces reach.

    Args:
        ports: as the engine says them, by ``8500/tcp``.
        port: in the container.
    """
    return ports[f"{port}/tcp"][0]["HostPort"]


@contextmanager
def _told_errors() -> Iterator[list[str]]:
    """InfraValidator puts into its blessing that it failed, and why only into its log."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raised = record.exc_info[1] if record.exc_info else None
            found.append(str(raised) if raised else record.getMessage())

    listener, logger = Listener(logging.ERROR), logging.getLogger("absl")
    logger.addHandler(listener)
    try:
        yield found
    finally:
        logger.removeHandler(listener)


def _why(told: list[str]) -> str:
    """The end of the server's log where TFX could read it, else the first error."""
    log = next((each for each in told if "BEGIN_MODEL_SERVER_LOG" in each), "")
    log = log.partition("BEGIN_MODEL_SERVER_LOG")[2].partition("END_MODEL_SERVER_LOG")[0].strip()
    return "\n".join(log.splitlines()[-LOG_LINES:]) or (told[0] if told else "TFX does not say why")
