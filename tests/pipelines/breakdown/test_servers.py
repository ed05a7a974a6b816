"""Real servers of the breakdown: a no-op that is one, batching that arrives, memory that was weighed."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.artifact import Manifest
from models.contract import Tensors
from pipelines.breakdown.asking import target_of
from pipelines.breakdown.memory import MemoryPlan, weigh
from pipelines.breakdown.noop import export_noop
from pipelines.breakdown.servers import Wanted, running
from serving.batching import ServerBatching
from serving.endpoints import endpoints_of
from serving.process import free_ports
from serving.records import RunningServer
from serving.server import Server
from serving.torchserve.tokens import Tokens

pytestmark = [pytest.mark.servers, pytest.mark.frameworks]

MIB = 2**20
Noop = tuple[Manifest, Tensors, Path]


@pytest.fixture(scope="module")
def noop(trained, tmp_path_factory: pytest.TempPathFactory) -> Noop:
    folder = tmp_path_factory.mktemp("noop")
    return (*export_noop(trained.space, trained.manifest, folder), folder)


@pytest.fixture(scope="module")
def servers(trained, noop: Noop) -> Iterator[list[Server]]:
    """Both, with the no-op, and with batching."""
    manifest, _, folder = noop
    wanted = Wanted(manifest, folder, ServerBatching(rows=8, delay_ms=2), as_processes=True)
    with running(trained.space, wanted, "test") as found:
        yield found
    assert RunningServer.read_all(trained.space.settings.records) == []
    assert not any(psutil.pid_exists(server.pid) for server in found)


def test_the_noop_gives_every_row_the_same_answer_over_every_endpoint(trained, noop, servers):
    case, (_, answer, _) = trained.space.case, noop
    rows = case.contract.edge_inputs()
    for endpoint in [each for server in servers for each in endpoints_of(server.spec)]:
        with endpoint.connect(case.name, case.contract) as client:
            found = client.predict(rows)
        for name, array in found.items():
            np.testing.assert_allclose(array, answer[name].repeat(2, axis=0), rtol=1e-6)


def test_the_noop_computes_nothing(trained, noop):
    manifest, _, folder = noop
    honest = trained.version / trained.manifest.artifact("SavedModel").path / "saved_model.pb"
    empty = folder / manifest.artifact("SavedModel").path / "saved_model.pb"
    assert b"Conv2D" in honest.read_bytes()
    assert b"Conv2D" not in empty.read_bytes()
    script = folder / manifest.artifact("TorchScript").path
    real = trained.version / trained.manifest.artifact("TorchScript").path
    assert script.stat().st_size < real.stat().st_size / 10  # no weights


def test_a_noop_is_not_taken_for_the_model_nor_the_model_for_a_noop(trained, noop, servers):
    _, answer, _ = noop
    for endpoint in [each for server in servers for each in endpoints_of(server.spec)]:
        as_noop = target_of(trained.space, trained.manifest, endpoint, answer)
        assert as_noop.ask(2, requests=20).wrong == 0
        as_model = target_of(trained.space, trained.manifest, endpoint)
        assert as_model.ask(2, requests=20).wrong >= 10  # row 0 alone has this answer


def test_the_setting_of_batching_arrives(servers):
    tensorflow, torch = servers
    (file,) = (
        Path(part.partition("=")[2])
        for part in tensorflow.spec.command
        if part.startswith("--batching_parameters_file=")
    )
    assert "max_batch_size { value: 8 }" in file.read_text()
    assert "batch_timeout_micros { value: 2000 }" in file.read_text()
    spec = torch.spec
    management = f"{spec.host}:{spec.ports['management']}"
    tokens = Tokens(spec.workdir, f"http://{management}", container="")
    connection = http.client.HTTPConnection(management, timeout=10)
    connection.request("GET", "/models/digits", headers=tokens.headers("management"))
    (described,) = json.loads(connection.getresponse().read())
    connection.close()
    assert (described["batchSize"], described["maxBatchDelay"]) == (8, 2)


def test_memory_and_processor_time_are_those_of_the_server(trained, noop, servers):
    _, answer, _ = noop
    for server in servers:
        targets = [
            target_of(trained.space, trained.manifest, each, answer)
            for each in endpoints_of(server.spec)
        ]
        before = server.cpu_seconds()
        row, cpu = weigh(server, targets, MemoryPlan(requests=400, samples=8))
        assert (row.requests, row.wrong) == (400, 0)
        assert [sample.requests for sample in row.samples] == [50 * i for i in range(9)]
        assert row.idle_bytes > 50 * MIB
        assert row.peak_bytes >= row.after_bytes == row.samples[-1].bytes
        assert row.after_bytes == pytest.approx(server.resident_bytes(), rel=0.2)
        assert not row.growing  # so few requests are warm-up
        assert [each.protocol for each in cpu] == ["REST", "gRPC"]
        worked = sum(each.cpu_seconds_per_1000 * each.requests / 1000 for each in cpu)
        assert 0 < worked <= server.cpu_seconds() - before + 1e-6


def test_two_servers_of_one_kind_run_side_by_side_where_ports_are_set(trained):
    """Batching and overhead compare a server with itself; the ports are those of the demo and of `serve`."""
    names = ("tfserving_rest_port", "tfserving_grpc_port")
    ports = dict(zip(names, free_ports(2), strict=True))
    space = replace(trained.space, settings=trained.space.settings.model_copy(update=ports))
    wanted = Wanted(trained.manifest, names=("tfserving",), as_processes=True)
    with running(space, wanted, "one") as one, running(space, wanted, "other") as other:
        for server in (*one, *other):
            assert not set(server.spec.ports.values()) & set(ports.values())
            target = target_of(space, trained.manifest, endpoints_of(server.spec)[0])
            assert target.ask(1, requests=10).wrong == 0
