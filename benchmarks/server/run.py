"""The whole run: environments, models, rounds, limits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.server.contestants import CONTESTANTS, Contestant
from benchmarks.server.environments import Environment, make_environment
from benchmarks.server.limits import Limits, measure_edges, measure_in_process
from benchmarks.server.plan import Plan
from benchmarks.server.results import Key, Results, Start
from benchmarks.server.rounds import Running, Stage, running
from models.artifact import Manifest
from models.errors import ServerError, TwinServeError
from pipelines.data import FOLDER
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace

MAKE_SECONDS = 300.0

Told = Callable[[str], None]


def measure(plan: Plan, settings: Settings, say: Told) -> tuple[Results, Limits]:
    """Everything that the plan asks for.

    Raises:
        TwinServeError: there are no artifacts of digits, or the models cannot be made. A server
            that cannot be installed or started does not end the run; it is among the failures.
    """
    home, results = settings.state / "bench-server", Results()
    chosen = [
        each
        for each in CONTESTANTS
        if (each.name in plan.only if plan.only else each.kind != "reference")
    ]
    space = Workspace.open("digits", settings)
    manifest = space.manifest()
    folder = space.version_folder(manifest.version)
    environments = _make_environments(chosen, home, results, say)
    say("Models: digits of the artifacts, a no-op, 100 MB of weights")
    make_subjects(home / "models", folder, manifest, space)
    if "torchserve" in environments:
        make_twin(home / "models", folder, manifest, environments["torchserve"])
    stage = Stage(
        home / "models",
        environments,
        manifest.artifact("MAR").check(folder),
        str(manifest.version),
        settings.records,
    )
    for number in range(plan.rounds):
        order = list(_starts(plan, [each for each in chosen if _has(environments, each)]))
        for contestant, name, batching in order[:: 1 if number % 2 == 0 else -1]:
            _one_start(plan, stage, results, say, (contestant, name, batching), number)
    return results, _limits(plan, stage, say)


def make_subjects(home: Path, folder: Path, manifest: Manifest, space: Workspace) -> None:
    """Write the three models, in a process with TensorFlow.

    Raises:
        ServerError: that process failed.
    """
    saved_model = manifest.artifact("SavedModel").check(folder)
    dataset = space.home / "data" / manifest.data / FOLDER
    _make(sys.executable, "make_subjects", home, saved_model, dataset)


def make_twin(home: Path, folder: Path, manifest: Manifest, environment: Environment) -> None:
    """Write the twin's right answers, in TorchServe's environment.

    Raises:
        ServerError: that process failed.
    """
    torchscript = manifest.artifact("TorchScript").check(folder)
    target = home / "twin" / "digits" / "rows.npz"
    rows = home / "digits" / "rows.npz"
    _make(str(environment.python), "peers.twin_answers", rows, torchscript, target)


def _make(python: str, module: str, *arguments: Path) -> None:
    command = [python, "-m", f"benchmarks.server.{module}", *map(str, arguments)]
    try:
        done = subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, timeout=MAKE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"{module} took more than {MAKE_SECONDS:.0f} s.") from error
    if done.returncode:
        raise ServerError(f"{module} failed.", done.stderr[-500:])


def _make_environments(
    chosen: list[Contestant], home: Path, results: Results, say: Told
) -> dict[str, Environment]:
    environments = {}
    for name in sorted({"embedded", *(each.environment_name for each in chosen)}):
        say(f"Environment of {name}")
        try:
            environments[name] = make_environment(name, home)
        except TwinServeError as error:
            results.failures[name] = f"{error.message}\n{error.hint}".strip()
    return environments


def _has(environments: dict[str, Environment], contestant: Contestant) -> bool:
    return contestant.environment_name in environments


def _starts(plan: Plan, chosen: list[Contestant]) -> Iterator[tuple[Contestant, str, bool]]:
    """One round: for each model, each server, without batching and with it."""
    for name in plan.subjects:
        for contestant in chosen:
            if not contestant.subjects or name in contestant.subjects:
                for batching in contestant.modes():
                    yield contestant, name, batching


def _one_start(
    plan: Plan,
    stage: Stage,
    results: Results,
    say: Told,
    what: tuple[Contestant, str, bool],
    number: int,
) -> None:
    """Start, load, weigh, stop. What fails once is not tried again in this run."""
    contestant, name, batching = what
    title = f"{contestant.label}, {name}, batching {'on' if batching else 'off'}"
    if title in results.failures:
        return
    try:
        with running(contestant, name, batching, stage) as server:
            _load(plan, results, server, batching)
            memory = server.server.resident_bytes()
            start = Start(server.ready_seconds, memory)
    except TwinServeError as error:
        results.failures[title] = f"{error.message}\n{error.hint}".strip()
        say(f"  {title}: failed")
        return
    results.starts.setdefault((contestant.name, name, batching), []).append(start)
    say(f"  round {number + 1} of {plan.rounds}: {title}, ready in {start.ready_seconds:.1f} s")


def _load(plan: Plan, results: Results, server: Running, batching: bool) -> None:
    for protocol in server.contestant.dialects:
        warm_up = plan.warm_up()
        for seen in server.load(protocol, (*warm_up, *plan.cells()))[len(warm_up) :]:
            key = Key(
                server.subject.name,
                protocol,
                batching,
                seen.batch,
                seen.clients,
                server.contestant.name,
            )
            results.cells.setdefault(key, []).append(seen)


def _limits(plan: Plan, stage: Stage, say: Told) -> Limits:
    limits = Limits()
    say("TensorFlow without a server")
    try:
        limits.in_process = measure_in_process(stage.home)
        say(f"The embedded server's edges: {plan.steady_requests:,} requests, many connections")
        limits.edges = measure_edges(plan, stage, limits.in_process.large_rows)
    except TwinServeError as error:
        limits.failures["limits"] = f"{error.message}\n{error.hint}".strip()
    return limits
