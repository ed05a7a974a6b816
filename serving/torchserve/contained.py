"""TorchServe as a container of the image that holds the exporter's torch."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from serving.process import free_ports
from serving.server import ContainerSpec, ServerSpec
from serving.torchserve.readiness import ModelProbe
from serving.torchserve.spec import HOST, LOAD_BEGINS, PURPOSES
from serving.torchserve.tokens import CONTAINER_HOME

NAME = "torchserve"
INSIDE = {"rest": 8080, "management": 8081, "metrics": 8082, "grpc": 7070, "grpc_management": 7071}
STORE = "/models"
SCRATCH = {
    # Netty unpacks its native library into the temporary folder and loads it from there.
    CONTAINER_HOME: "rw,exec,nosuid,nodev,size=512m,mode=0700,uid=1000,gid=1000",
    "/tmp": "rw,nosuid,nodev,size=64m,mode=1777",  # inside the container
}
VERSIONS = (
    "from importlib.metadata import version; "
    "print('torch:', version('torch')); print('TorchServe:', version('torchserve'))"
)


def torchserve_container_spec(
    model_name: str,
    store: Path,
    workdir: Path,
    image: str,
    label: str,
    ports: Mapping[str, int] | None = None,
    memory_bytes: int = 0,
    cpus: float = 0.0,
    model_api: bool = False,
) -> ServerSpec:
    """A container that serves the newest archive of a model in a store.

    Args:
        model_name: the name it is served under.
        store: the model store, filled by :func:`serving.torchserve.repository.publish`.
        workdir: the server's folder on the host; copies of its keys go there.
        image: built by ``make images``.
        label: what exactly that is, for people.
        ports: as :func:`serving.torchserve.spec.torchserve_spec` has them.
        memory_bytes: the container's limit; 0 sets none.
        cpus: the container's limit in cores; 0 sets none.
        model_api: whether models can be registered and unregistered while it runs.
    """
    found = dict(zip(PURPOSES, free_ports(len(PURPOSES), HOST), strict=True))
    chosen = {**found, **(ports or {})}
    container = f"twinserve-{NAME}-{uuid.uuid4().hex[:8]}"
    return ServerSpec(
        name=NAME,
        label=label,
        command=(),
        workdir=workdir,
        ports=chosen,
        probe=ModelProbe(model_name, workdir, HOST, chosen["management"], container),
        host=HOST,
        load_begins=LOAD_BEGINS,
        contained=ContainerSpec(
            name=container,
            image=image,
            ports=INSIDE,
            version_command=("python3", "-c", VERSIONS),
            health=("python3", "-m", "serving.torchserve.healthcheck"),
            arguments=("--model-api",) if model_api else (),
            environment={"MODEL_NAME": model_name},
            mounts={STORE: store},
            scratch=SCRATCH,
            memory_bytes=memory_bytes,
            cpus=cpus,
        ),
    )
