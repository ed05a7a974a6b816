"""Which servers are stopped by whom: orphans by the next run, kept ones on demand, other people's never."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipelines.serve import KEEP, OWNER, OWNER_CREATED, stop_all, stop_orphans
from serving.process import ProcessServer
from serving.records import RunningServer
from serving.server import Probe, Readiness, ServerSpec

Start = Callable[..., ProcessServer]


@pytest.fixture
def start(space) -> Iterator[Start]:
    """``start(tags)``: a recorded process that does nothing for a long time."""
    started: list[ProcessServer] = []

    def sleeper(tags: dict[str, str]) -> ProcessServer:
        name = f"server{len(started)}"
        spec = ServerSpec(
            name=name,
            label=f"Label of {name}",
            command=(sys.executable, "-c", "import time; time.sleep(600)"),
            workdir=space.settings.state / "run" / name / "work",
            ports={},
            probe=lambda: Probe(Readiness.READY),
            tags={"case": "digits", "version": "1", **tags},
        )
        started.append(ProcessServer(spec, space.settings.records))
        started[-1].start()
        return started[-1]

    yield sleeper
    for server in started:
        server.stop()


def owned_by(process: psutil.Process, created_earlier: float = 0.0) -> dict[str, str]:
    created = process.create_time() - created_earlier
    return {OWNER: str(process.pid), OWNER_CREATED: str(created)}


@pytest.fixture
def dead() -> dict[str, str]:
    """Tags that name an owner which has died."""
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    tags = owned_by(psutil.Process(owner.pid))
    owner.kill()
    owner.communicate()
    return tags


def records(space) -> set[str]:
    return {record.name for record in RunningServer.read_all(space.settings.records)}


def test_servers_of_a_dead_run_are_stopped_and_no_others(space, start: Start, dead):
    me = psutil.Process()
    orphan, mine, kept = start(dead), start(owned_by(me)), start({KEEP: "yes"})
    assert len(stop_orphans(space.settings.records)) == 1
    assert [each.is_alive() for each in (orphan, mine, kept)] == [False, True, True]
    assert records(space) == {mine.spec.name, kept.spec.name}


def test_an_owner_whose_id_another_process_got_is_dead(space, start: Start):
    orphan = start(owned_by(psutil.Process(), created_earlier=60))
    assert len(stop_orphans(space.settings.records)) == 1
    assert not orphan.is_alive()


def test_a_server_without_an_owner_is_an_orphan(space, start: Start):
    orphan = start({})
    assert len(stop_orphans(space.settings.records)) == 1
    assert not orphan.is_alive()


def test_a_process_that_got_a_servers_id_is_never_stopped(space, start: Start, dead):
    foreign = start(dead)
    (record,) = RunningServer.read_all(space.settings.records)
    replace(record, created=record.created - 60).write(space.settings.records)
    assert len(stop_orphans(space.settings.records)) == 0
    assert foreign.is_alive()
    assert records(space) == set(), "its record names no server of ours any more"


def test_stop_stops_kept_ones_and_orphans_but_nothing_of_a_living_run(space, start: Start, dead):
    orphan, kept = start(dead), start({KEEP: "yes"})
    mine = start(owned_by(psutil.Process()))
    stopped = stop_all(space.settings.records)
    assert sorted(stopped) == sorted(
        f"Label of {each.spec.name} (process {each.pid})" for each in (orphan, kept)
    )
    assert [each.is_alive() for each in (orphan, kept, mine)] == [False, False, True]
    assert not orphan.spec.workdir.exists()
    assert mine.spec.workdir.exists()
    assert records(space) == {mine.spec.name}


def test_stop_leaves_a_foreign_process_alone(space, start: Start):
    foreign = start({KEEP: "yes"})
    (record,) = RunningServer.read_all(space.settings.records)
    replace(record, created=record.created + 60).write(space.settings.records)
    assert stop_all(space.settings.records) == []
    assert foreign.is_alive()


def test_with_nothing_to_stop_nothing_is_stopped(space, tmp_path: Path):
    assert len(stop_orphans(space.settings.records)) == 0
    assert stop_all(tmp_path / "no-such-folder") == []
