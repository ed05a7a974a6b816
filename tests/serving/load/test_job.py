"""A whole job in the load generator's own process: what it tells, and that it ends with its parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from models.parent import lifeline
from serving.endpoints import Endpoint
from serving.load.job import QUICK, LoadJob, LoadPlan, LoadTarget
from serving.load.schedule import steps
from tests.serving.load.services import ROWS, Service, answer_to, expected

PLAN = LoadPlan(
    quick=True,
    windows=2,
    stream_seconds=0.1,
    server_seconds=0.1,
    offline_seconds=0.1,
    sweep_seconds=0.1,
    scenarios=("SingleStream", "Server", "Offline"),
    clients=(3,),
    sweep=(0.5,),
    warmup_seconds=0.1,
    bound_ms=1000,
)


def job_for(services: list[Service], folder: Path, plan: LoadPlan = PLAN) -> LoadJob:
    images = np.zeros((ROWS, 8, 8, 1), np.float32) + np.arange(ROWS).reshape(-1, 1, 1, 1)
    stored = {f"expected/{name}": rows for name, rows in expected().items()}
    np.savez(folder / "rows.npz", **{"inputs/image": images.astype(np.float32)}, **stored)
    targets = [
        LoadTarget(
            Endpoint(
                "tfserving",
                f"Server {number}",
                "REST",
                "127.0.0.1",
                {"rest": service.port, "grpc": 1},
                folder,
            ),
            folder / "rows.npz",
        )
        for number, service in enumerate(services)
    ]
    return LoadJob("digits", (), tuple(targets), plan, folder)


def run(job: LoadJob) -> list[dict[str, Any]]:
    path = job.folder / "job.json"
    job.write(path)
    assert LoadJob.read(path) == job
    with lifeline() as standard_input:
        done = subprocess.run(
            [sys.executable, "-m", "serving.load", str(path)],
            stdin=standard_input,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_servers_take_turns_and_every_window_keeps_its_latencies(tmp_path: Path) -> None:
    one, other = Service(delay_seconds=0.001), Service(delay_seconds=0.002)
    with one.running(), other.running():
        told = run(job_for([one, other], tmp_path))
    assert len(told) == steps(PLAN, 2)
    assert [step["kind"] for step in told[:4]] == ["accuracy", "accuracy", "warm-up", "warm-up"]
    windows = [step for step in told if step["kind"] == "window"]
    assert [step["endpoint"] for step in windows] == [0, 1] * (len(windows) // 2)
    assert {step["scenario"] for step in windows} == set(PLAN.scenarios)
    for step in told[4:]:
        assert (step["wrong"], step["problem"]) == (0, "")
        assert (len(np.load(tmp_path / step["latencies"])) > 0) == (step["scenario"] != "Offline")
    served = [step for step in windows if step["scenario"] == "Server"]
    assert len({step["target"] for step in served}) == 1  # the same offered load for both


def test_a_saboteur_in_accuracy_mode_is_not_measured_and_the_other_is(tmp_path: Path) -> None:
    saboteur = Service(lambda number: (200, answer_to(4)) if number == 0 else None)
    honest = Service()
    with saboteur.running(), honest.running():
        told = run(job_for([saboteur, honest], tmp_path))
    assert told[0]["wrong"] == 1
    assert "was answered with" in told[0]["problem"]
    assert {step["endpoint"] for step in told[2:]} == {1}
    assert len(saboteur.rows) == ROWS


def test_a_saboteur_under_load_voids_its_windows_only(tmp_path: Path) -> None:
    """Right in accuracy mode and in the warm-up, then now and then wrong."""
    saboteur = Service(lambda number: (200, answer_to(4)) if number % 150 == 149 else None)
    honest = Service()
    with saboteur.running(), honest.running():
        told = run(job_for([saboteur, honest], tmp_path))
    words = {0: set(), 1: set()}
    for step in told:
        if "validity" in step:
            words[step["endpoint"]].add(step["validity"])
    assert "VOID" in words[0]
    assert "VOID" not in words[1]


def test_the_generator_ends_with_its_parent(tmp_path: Path) -> None:
    service = Service(delay_seconds=0.001)
    with service.running():
        job = job_for([service], tmp_path, LoadPlan.full(60))
        job.write(tmp_path / "job.json")
        read, write = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.load", str(tmp_path / "job.json")],
            stdin=read,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.close(read)
        assert process.stdout
        assert json.loads(process.stdout.readline())["kind"] == "accuracy"
        os.close(write)
        assert process.wait(30) != 0
        process.stdout.close()


def test_the_full_run_is_mlperfs_and_the_quick_one_is_short() -> None:
    full = LoadPlan.full()
    assert full.windows * full.server_seconds == 600
    assert not full.quick
    assert not full.short
    assert LoadPlan.full(30).short
    assert not QUICK.short
    assert QUICK.quick
    assert QUICK.seconds * 4 <= 35
