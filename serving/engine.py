"""The Docker engine, through its SDK: the one way in, with its errors in our words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from models.errors import EngineUnavailable, ImageMissing, ServerDied

if TYPE_CHECKING:
    from docker import DockerClient

ANSWER_SECONDS = 30.0
"""Longest wait for one answer of the engine, unless the caller says otherwise."""

WITHOUT = "or run the servers as processes (LAUNCHER=process)."


def connect(timeout_seconds: float = ANSWER_SECONDS) -> DockerClient:
    """A client of the engine that ``DOCKER_HOST`` names, else of the local socket's.

    Args:
        timeout_seconds: for each answer from here on.

    Raises:
        EngineUnavailable: none answers, or this user may not use it.
    """
    # 0.3 s to import, and only containers need it.
    import docker  # noqa: PLC0415

    try:
        if (address := _address()).startswith("unix://"):
            _knock(address.removeprefix("unix://"))
        return docker.from_env(timeout=round(timeout_seconds))
    except Exception as error:  # the SDK wraps what it meets in several ways
        raise _unavailable(error) from error


def engine_answers(timeout_seconds: float = 3.0) -> bool:
    """Whether there is an engine that this user may use."""
    try:
        connect(timeout_seconds).close()
    except EngineUnavailable:
        return False
    return True


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """What the SDK raises in this block becomes one of ours.

    Args:
        what: what was being tried, for the message: "TorchServe 0.12.0 cannot be started".

    Raises:
        EngineUnavailable: the engine has gone away, or does not answer in time.
        ImageMissing: there is no such image.
        ServerDied: the engine refused, or the container is not there any more.
    """
    from docker.errors import APIError, DockerException, ImageNotFound  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    try:
        yield
    except ImageNotFound as error:
        raise ImageMissing(
            f"{what}: the image is not on this machine ({error.explanation}).",
            f"Run `make images`, {WITHOUT}",
        ) from error
    except APIError as error:
        raise ServerDied(f"{what}: {error.explanation or error}.") from error
    except (RequestException, DockerException, EngineUnavailable) as error:
        raise EngineUnavailable(
            f"{what}: the Docker engine does not answer any more ({_reason(error)}).",
            "Start it again; the next run, or `make stop`, removes what is left.",
        ) from error


def read_file(container: str, path: str, timeout_seconds: float = ANSWER_SECONDS) -> str:
    """A text file inside a running container.

    Args:
        container: name or id.
        path: inside; it may lie on a tmpfs, which ``docker cp`` cannot read.
        timeout_seconds: for each answer of the engine.

    Raises:
        FileNotFoundError: there is no such file (yet).
        EngineUnavailable, ServerDied: the container cannot be asked.
    """
    code, said = run_inside(container, ("cat", path), timeout_seconds)
    if code:
        raise FileNotFoundError(f"{path} in {container}: {said.strip()}")
    return said


def run_inside(
    container: str, command: tuple[str, ...], timeout_seconds: float = ANSWER_SECONDS
) -> tuple[int, str]:
    """Run a command in a running container.

    Returns:
        its exit code, and what it printed.

    Raises:
        EngineUnavailable, ServerDied: the container cannot be asked.
    """
    failing = f"The container {container} cannot be asked"
    with engine_errors(failing):  # it answered when the container was started
        client = connect(timeout_seconds)
    try:
        with engine_errors(failing):
            code, said = client.containers.get(container).exec_run(list(command))
        return int(code or 0), b"".join([said] if isinstance(said, bytes) else said).decode(
            errors="replace"
        )
    finally:
        client.close()


def status_of(client: DockerClient, container_id: str) -> str:
    """The engine's word for a container's state (``running``, ``exited`` ...); ``gone`` for none.

    Raises:
        EngineUnavailable: the engine is away.
    """
    from docker.errors import NotFound  # noqa: PLC0415

    with (
        engine_errors(f"The container {container_id[:12]} cannot be looked at"),
        suppress(NotFound),
    ):
        return str(client.containers.get(container_id).status)
    return "gone"


def remove_container(client: DockerClient, container_id: str, stop_seconds: float) -> bool:
    """Stop a container in order, a paused one too, and remove it with what it wrote.

    Returns:
        whether it was running.

    Raises:
        EngineUnavailable: the engine is away.
        ServerDied: the engine refuses.
    """
    from docker.errors import NotFound  # noqa: PLC0415

    with engine_errors(f"The container {container_id[:12]} cannot be removed"), suppress(NotFound):
        container = client.containers.get(container_id)
        was_running = container.status in ("running", "paused", "restarting")
        if container.status == "paused":
            container.unpause()
        if was_running:
            container.stop(timeout=max(1, round(stop_seconds)))
        container.remove(force=True, v=True)
        return bool(was_running)
    return False


def _knock(path: str) -> None:
    """Try the engine's local socket by hand: the SDK leaves one open where nobody answers.

    Raises:
        OSError: why nobody does.
    """
    with socket.socket(socket.AF_UNIX) as knock:
        knock.connect(path)


def _unavailable(error: Exception) -> EngineUnavailable:
    where = _address()
    if isinstance(error, PermissionError):
        return EngineUnavailable(
            f"This user may not use the Docker engine at {where}: permission denied.",
            f"Join the group `docker` (`sudo usermod -aG docker $USER`, then log in again), {WITHOUT}",
        )
    return EngineUnavailable(
        f"No Docker engine answers at {where} ({_reason(error)}).",
        f"Start it (`sudo systemctl start docker`, or Docker Desktop), {WITHOUT}",
    )


def _address() -> str:
    """Where the SDK looks: what ``DOCKER_HOST`` says, else the local socket."""
    from docker.utils import kwargs_from_env  # noqa: PLC0415

    try:
        return str(kwargs_from_env().get("base_url") or "unix:///var/run/docker.sock")
    except Exception:  # DOCKER_TLS_VERIFY without the certificates
        return "the address in DOCKER_HOST"


def _reason(error: BaseException) -> str:
    """The innermost cause: the SDK's own words hold four layers of it."""
    seen: BaseException = error
    while True:
        inner = [each for each in seen.args if isinstance(each, BaseException)]
        below = inner[-1] if inner else (seen.__cause__ or getattr(seen, "reason", None))
        if not isinstance(below, BaseException) or below is seen:
            break
        seen = below
    if isinstance(seen, OSError) and seen.strerror:
        return seen.strerror
    return str(seen) or type(seen).__name__
