"""Real servers with a wrong model: none is taken for ready, and checking names what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.artifact import Manifest
from models.errors import ServerError
from pipelines.check import check_server
from pipelines.facts import Outcome
from pipelines.launcher import Launch
from pipelines.serve import server_specs, start_servers
from pipelines.workspace import Workspace
from serving.process import ProcessServer
from serving.records import RunningServer

PROCESSES = Launch("as processes")

pytestmark = [pytest.mark.servers, pytest.mark.frameworks]


def assert_nothing_is_left(space: Workspace) -> None:
    assert RunningServer.read_all(space.settings.records) == []


def test_an_archive_that_holds_another_model_never_gets_ready(sabotaged):
    manifest = sabotaged.version(31, {"MAR": "another-model"})
    with pytest.raises(ServerError) as raised:
        start_servers(sabotaged.space, manifest)
    assert raised.value.message.startswith("TorchServe ")
    assert "answers its first request wrongly" in raised.value.message
    assert raised.value.hint == "It serves another model than the manifest says."
    assert_nothing_is_left(sabotaged.space)


def test_a_truncated_saved_model_never_gets_ready(sabotaged):
    manifest = sabotaged.version(32, {"SavedModel": "truncated"})
    with pytest.raises(ServerError) as raised:
        start_servers(sabotaged.space, manifest)
    assert raised.value.message.startswith("TF Serving")
    assert_nothing_is_left(sabotaged.space)


@contextmanager
def alone(space: Workspace, manifest: Manifest, name: str, home: Path) -> Iterator[ProcessServer]:
    """One of the two servers, ready by its own word: nobody has held its first answer against anything."""
    (spec,) = (each for each in server_specs(space, manifest, home, PROCESSES) if each.name == name)
    server = ProcessServer(spec)
    try:
        server.start()
        server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("number", "name", "form", "mistake"),
    [
        (33, "tfserving", "SavedModel", "another-run"),
        (34, "torchserve", "MAR", "labels-permuted"),
    ],
)
def test_checking_names_each_endpoint_that_answers_wrongly(
    sabotaged, state: Path, number, name, form, mistake
):
    manifest = sabotaged.version(number, {form: mistake})
    with alone(sabotaged.space, manifest, name, state / f"v{number}") as server:
        findings, _ = check_server(sabotaged.space, manifest, server.spec)
        label = server.spec.label
    failed = [check for check in findings.checks if check.outcome is Outcome.FAIL]
    for protocol in ("REST", "gRPC"):
        wrong = [check for check in failed if check.subject == f"{label} · {protocol}"]
        assert {"The test split at batch size all is answered as in memory"} <= {
            check.question for check in wrong
        }
        for check in wrong:
            if check.question.startswith("The test split"):
                assert check.figure.startswith("largest difference ")
                assert float(check.figure.split()[2].rstrip(",")) > 1e-3
    described = [c for c in findings.checks if c.question.startswith("Names, dtypes")]
    assert [check.outcome for check in described] == [Outcome.PASS] * 2
