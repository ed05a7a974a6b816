"""Every server that is measured: how it is started, with batching and without."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server.environments import Environment
from benchmarks.server.plan import BATCH_ROWS, BATCH_WAIT_MS
from benchmarks.server.subject import Subject
from pipelines.settings import PROJECT

PEERS = Path(__file__).parent / "peers"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Scene:
    """What a start is told.

    Attributes:
        subject: the model.
        environment: the server's.
        folder: its own, with a short path.
        ports: ``rest``, ``grpc`` and ``metrics``.
        batching: on or off.
        twin: the digits ``.mar``, for TorchServe.
        twin_version: as it stands in the archive.
    """

    subject: Subject
    environment: Environment
    folder: Path
    ports: Mapping[str, int]
    batching: bool
    twin: Path
    twin_version: str


Command = Callable[[Scene], list[str]]


@dataclass(frozen=True)
class Contestant:
    """A server.

    Attributes:
        name: on the command line and in tables.
        label: for people.
        command: program and arguments.
        dialects: by protocol.
        batches: whether it can gather requests.
        kind: ``embedded``, ``peer`` (serves the same SavedModel from Python), ``twin`` (Java in
            front of PyTorch) or ``reference`` (not a peer; measured only when named).
        environment: whose it is.
        more: environment variables.
        subjects: what it can serve; empty for everything.
    """

    name: str
    label: str
    command: Command
    dialects: Mapping[str, str]
    batches: bool = True
    kind: str = "peer"
    environment: str = ""
    more: tuple[tuple[str, str], ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def environment_name(self) -> str:
        return self.environment or self.name

    def modes(self) -> tuple[bool, ...]:
        """Batching off, and on where it has it."""
        return (False, True) if self.batches else (False,)


def variables(contestant: Contestant, scene: Scene) -> dict[str, str]:
    """What is added to a server's environment."""
    path = str(PEERS) if contestant.kind in ("peer", "reference") else str(PROJECT)
    return {
        "PYTHONPATH": path,
        "PATH": f"{scene.environment.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "BENCH_MODEL": str(scene.subject.folder),
        "BENCH_NAME": scene.subject.name,
        "BENCH_PORT": str(scene.ports["rest"]),
        "BENCH_GRPC_PORT": str(scene.ports["grpc"]),
        "BENCH_BATCH": str(BATCH_ROWS if scene.batching else 1),
        "BENCH_WAIT_MS": str(BATCH_WAIT_MS),
        "BENCH_RAY_DIR": str(scene.folder / "ray"),
        "BENTOML_HOME": str(scene.folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "HOME": str(scene.folder),  # what a peer keeps for itself goes when it goes
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **dict(contestant.more),
    }


def _embedded(scene: Scene) -> list[str]:
    command = [
        str(scene.environment.python),
        "-m",
        "serving.tfserving.embedded",
        f"--port={scene.ports['grpc']}",
        f"--rest_api_port={scene.ports['rest']}",
        f"--model_name={scene.subject.name}",
        f"--model_base_path={scene.subject.folder.parent}",
    ]
    if not scene.batching:
        return command
    parameters = scene.folder / "batching.config"
    parameters.write_text(
        f"max_batch_size {{ value: {BATCH_ROWS} }}\n"
        f"batch_timeout_micros {{ value: {round(BATCH_WAIT_MS * 1000)} }}\n"
        "max_enqueued_batches { value: 1000 }\n"
    )
    return [*command, "--enable_batching", f"--batching_parameters_file={parameters}"]


def _script(name: str) -> Command:
    return lambda scene: [str(scene.environment.python), str(PEERS / f"{name}_app.py")]


def _bentoml(scene: Scene) -> list[str]:
    program = str(scene.environment.program("bentoml"))
    where = ["--host", HOST, "--port", str(scene.ports["rest"]), "--working-dir", str(PEERS)]
    return [program, "serve", "bentoml_app:Served", *where]


def _mlserver(scene: Scene) -> list[str]:
    settings = {
        "host": HOST,
        "http_port": scene.ports["rest"],
        "grpc_port": scene.ports["grpc"],
        "metrics_port": scene.ports["metrics"],
        # In its own process: with one model, a worker process is only a detour.
        "parallel_workers": 0,
        "debug": False,
    }
    model = {"name": scene.subject.name, "implementation": "mlserver_app.Served"}
    batching = {"max_batch_size": BATCH_ROWS, "max_batch_time": BATCH_WAIT_MS / 1000}
    (scene.folder / "settings.json").write_text(json.dumps(settings))
    described = {**model, **(batching if scene.batching else {})}
    (scene.folder / "model-settings.json").write_text(json.dumps(described))
    return [str(scene.environment.program("mlserver")), "start", str(scene.folder)]


def _torchserve(scene: Scene) -> list[str]:
    module = "benchmarks.server.peers.torchserve_start"
    arguments = [str(scene.twin), scene.twin_version, str(scene.folder)]
    return [str(scene.environment.python), "-m", module, *arguments]


EMBEDDED = Contestant(
    "embedded",
    "TF Serving API (embedded)",
    _embedded,
    {"REST": "predict-rest", "gRPC": "predict-grpc"},
    kind="embedded",
)

CONTESTANTS = (
    EMBEDDED,
    Contestant(
        "fastapi", "FastAPI + uvicorn (uvloop)", _script("fastapi"), {"REST": "rows"}, batches=False
    ),
    Contestant("litserve", "LitServe", _script("litserve"), {"REST": "rows"}),
    Contestant("bentoml", "BentoML", _bentoml, {"REST": "array"}),
    Contestant("mlserver", "MLServer", _mlserver, {"REST": "v2-rest", "gRPC": "v2-grpc"}),
    Contestant("ray", "Ray Serve", _script("ray"), {"REST": "rows", "gRPC": "raw-grpc"}),
    Contestant(
        "torchserve",
        "TorchServe (the twin)",
        _torchserve,
        {"REST": "torchserve-rest", "gRPC": "torchserve-grpc"},
        kind="twin",
        subjects=("digits",),
    ),
    Contestant(
        "fastapi-session",
        "FastAPI + a TF 1 session",
        _script("fastapi"),
        {"REST": "rows"},
        batches=False,
        kind="reference",
        environment="fastapi",
        more=(("BENCH_CALL", "session"),),
    ),
)
BY_NAME = {each.name: each for each in CONTESTANTS}
