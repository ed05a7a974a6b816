"""TF Serving's API as a container: the official image or the embedded server's, which take the same orders."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from serving.process import free_ports
from serving.server import ContainerSpec, ServerSpec
from serving.tfserving.spec import HOST, LOAD_BEGINS, NAME, StatusProbe

INSIDE = {"grpc": 8500, "rest": 8501}
MODELS = "/models"
SCRATCH = {"/tmp": "rw,nosuid,nodev,size=256m,mode=1777"}  # inside the container
POLL_SECONDS = 1

HEALTH = (
    # The official image has neither curl nor Python; bash opens the socket itself.
    "bash",
    "-c",
    "exec 3<>/dev/tcp/127.0.0.1/8501 && "
    'printf "GET /v1/models/%s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" "$MODEL_NAME" >&3 && '
    "grep -q AVAILABLE <&3",
)


def tfserving_container_spec(
    model_name: str,
    models: Path,
    workdir: Path,
    image: str,
    label: str,
    ports: Mapping[str, int] | None = None,
    memory_bytes: int = 0,
    cpus: float = 0.0,
) -> ServerSpec:
    """A container that serves the highest version of a model in a repository, and follows it.

    Both images listen on every interface inside; only loopback of the host is published.

    Args:
        model_name: the name under which clients ask for it.
        models: holds ``<model_name>/<version>/``; see :func:`serving.tfserving.repository.publish`.
        workdir: the server's folder on the host.
        image: the official image, or the embedded server's.
        label: what exactly that is, for people.
        ports: ``grpc`` and ``rest`` on the host; free ones where left out.
        memory_bytes: the container's limit; 0 sets none.
        cpus: the container's limit in cores; 0 sets none.
    """
    grpc, rest = free_ports(2, HOST)
    chosen = {"grpc": grpc, "rest": rest, **(ports or {})}
    return ServerSpec(
        name=NAME,
        label=label,
        command=(),
        workdir=workdir,
        ports=chosen,
        probe=StatusProbe(HOST, chosen["rest"], model_name),
        host=HOST,
        load_begins=LOAD_BEGINS,
        contained=ContainerSpec(
            name=f"twinserve-{NAME}-{uuid.uuid4().hex[:8]}",
            image=image,
            ports=INSIDE,
            version_command=("tensorflow_model_server", "--version"),
            health=HEALTH,
            arguments=(
                f"--file_system_poll_wait_seconds={POLL_SECONDS}",
                # A model that cannot be loaded is reported at once, not after five more minutes.
                "--max_num_load_retries=0",
            ),
            environment={"MODEL_NAME": model_name, "MODEL_BASE_PATH": MODELS},
            mounts={MODELS: models},
            scratch=SCRATCH,
            memory_bytes=memory_bytes,
            cpus=cpus,
        ),
    )
