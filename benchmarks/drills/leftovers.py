"""What a run has left behind: containers, records, processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path

import psutil

from serving.container import RECORDS
from serving.engine import connect
from serving.records import RunningServer


def leftovers(home: Path, state: Path, records: Path, expected: Set[str]) -> tuple[str, ...]:
    """Everything that is still there, for people.

    Args:
        home: a folder that no process may know of any more.
        state: the state folder that no process may have been started with.
        records: the folder of records that containers are labelled with.
        expected: names of the containers that are meant to run.

    Raises:
        EngineUnavailable: the engine cannot be asked.
    """
    containers = [
        f"container {name} ({status})"
        for name, status in containers_of(records)
        if name not in expected
    ]
    recorded = [
        f"record of {record.identity}"
        for record in RunningServer.read_all(records)
        if record.container not in expected
    ]
    return (*containers, *recorded, *_processes(home, state))


def containers_of(records: Path) -> list[tuple[str, str]]:
    """Name and state of every container, in any state, that is labelled with these records.

    Raises:
        EngineUnavailable: the engine cannot be asked.
    """
    client = connect()
    try:
        found = client.containers.list(
            all=True, filters={"label": f"{RECORDS}={records.resolve()}"}, ignore_removed=True
        )
        return [(str(each.name), str(each.status)) for each in found]
    finally:
        client.close()


def _processes(home: Path, state: Path) -> Iterator[str]:
    for process in psutil.process_iter():
        # By what it inherited or was told; a process that has ended shows neither.
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            if process.environ().get("TWINSERVE_STATE") == str(state) or any(
                str(home) in word for word in words
            ):
                yield f"process {process.pid} ({' '.join(words)[:80]})"
