"""What the embedded server counts, and how Prometheus reads it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.contract import Contract
from models.errors import BadRequest, ServerDied
from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.client import GrpcClient, RestClient
from serving.tfserving.embedded.metrics import LATENCY_LIMITS, Counter, Histogram
from serving.tfserving.repository import publish

MODEL = "digits"
PAGE = "/monitoring/prometheus/metrics"
CONFIG = 'prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }'
Start = Callable[..., ProcessServer]
Sample = tuple[str, frozenset[tuple[str, str]]]


def read(page: str) -> dict[Sample, float]:
    """By name and labels, as the Prometheus project's own parser for Python reads them.

    It wants every counter to be called "_total" and appends that; Prometheus itself does not.
    """
    parser = pytest.importorskip("prometheus_client.parser")
    return {
        (sample.name.removesuffix("_total"), frozenset(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(page)
        for sample in family.samples
    }


def sample(name: str, **labels: str) -> Sample:
    return f":tensorflow:{name}", frozenset(labels.items())


def test_names_and_labels_are_spelled_as_tf_serving_spells_them() -> None:
    counter = Counter("/tensorflow/serving/request_count", ("model_name", "status"))
    counter.add(('di"gi\\ts\n', "OK"))
    counter.add(('di"gi\\ts\n', "OK"), 2)
    text = "\n".join(counter.lines())
    assert text.startswith("# TYPE :tensorflow:serving:request_count counter\n")
    assert read(text + "\n") == {
        sample("serving:request_count", model_name='di"gi\\ts\n', status="OK"): 3
    }


def test_the_limits_are_those_of_tf_serving() -> None:
    """Scale 10, growth 1.8, 33 limits and one bucket for what is above."""
    histogram = Histogram("/tensorflow/serving/request_latency", ("model_name",))
    for microseconds in (1, 10, 17.9, 18, 1e12):
        histogram.add(("m",), microseconds / 1e6)
    found = [
        line.rpartition('le="')[2].split('"} ') for line in histogram.lines() if "_bucket" in line
    ]
    assert len(found) == len(LATENCY_LIMITS) + 1
    assert found[:4] == [["10", "1"], ["18", "3"], ["32.4", "4"], ["58.32", "4"]]
    assert found[-2:] == [["1.47476e+09", "4"], ["+Inf", "5"]]


@pytest.fixture
def start(
    saved_model: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[Start]:
    started: list[ProcessServer] = []

    def start(config: str | None, name: str = "monitoring.config") -> ProcessServer:
        publish(saved_model, tmp_path / "repository", 1)
        spec = embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")
        if config is not None:
            (tmp_path / "monitoring.config").write_text(config)
        flag = f"--monitoring_config_file={tmp_path / name}"
        server = ProcessServer(replace(spec, command=(*spec.command, flag)))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


def get(server: ProcessServer, path: str) -> httpx.Response:
    return httpx.get(server.spec.url("rest") + path, trust_env=False)


@pytest.mark.servers
def test_requests_over_both_protocols_are_counted(
    start: Start, contract: Contract, reference: dict[str, np.ndarray]
) -> None:
    server = start(CONFIG)
    server.wait_ready(60)
    looks = read(get(server, PAGE).text)[
        sample("serving:request_count", model_name=MODEL, status="OK")
    ]
    inputs = {"image": reference["image"]}
    with (
        RestClient(server.spec.url("rest"), MODEL, contract) as rest,
        GrpcClient(server.spec.address("grpc"), MODEL, contract) as over_grpc,
    ):
        for _ in range(3):
            rest.predict(inputs)
        for _ in range(2):
            over_grpc.predict(inputs)
        assert rest.post_raw(b"{}")[0] == 400
        assert rest.post_raw(b"{}", "nobody")[0] == 404
        with pytest.raises(BadRequest):
            over_grpc.predict_raw({"image": reference["image"][..., 0]})
    page = get(server, PAGE)
    assert page.headers["content-type"] == "text/plain"
    found = read(page.text)

    counted = {
        tuple(sorted(dict(labels).items())): value
        for (name, labels), value in found.items()
        if name == ":tensorflow:serving:request_count"
    }
    assert counted == {
        (("model_name", MODEL), ("status", "OK")): looks + 5,
        (("model_name", MODEL), ("status", "INVALID_ARGUMENT")): 2,
        (("model_name", "nobody"), ("status", "NOT_FOUND")): 1,
    }
    for api, entrypoint, number in (("predict", "REST", 3), ("Predict", "GRPC", 2)):
        labels = {"model_name": MODEL, "API": api, "entrypoint": entrypoint}
        assert found[sample("serving:request_latency_count", **labels)] == number
        assert found[sample("serving:request_latency_bucket", **labels, le="+Inf")] == number
        assert found[sample("serving:request_latency_bucket", **labels, le="10")] == 0
        assert found[sample("serving:request_latency_sum", **labels)] > 10 * number
    runtime = {"model_name": MODEL, "API": "Predict", "runtime": "TF1"}
    assert found[sample("serving:runtime_latency_count", **runtime)] == 5


@pytest.mark.servers
def test_loads_are_counted(
    start: Start, saved_model: Path, tmp_path: Path, wait_until: Callable[[Any], None]
) -> None:
    server = start(CONFIG)
    server.wait_ready(60)
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "saved_model.pb").write_bytes(b"no SavedModel")
    path = publish(torn, tmp_path / "repository", 2)
    failed = sample("cc:saved_model:load_attempt_count", model_path=str(path), status="fail")
    wait_until(lambda: read(get(server, PAGE).text).get(failed) == 1)
    found = read(get(server, PAGE).text)
    good = str(path.with_name("1"))
    assert (
        found[sample("cc:saved_model:load_attempt_count", model_path=good, status="success")] == 1
    )
    assert found[sample("cc:saved_model:load_latency", model_path=good)] > 0


@pytest.mark.servers
def test_the_path_can_be_chosen(start: Start) -> None:
    server = start('prometheus_config: { enable: true path: "/numbers" }')
    server.wait_ready(60)
    assert "# TYPE :tensorflow:serving:request_count counter" in get(server, "/numbers").text
    assert get(server, PAGE).status_code == 404


@pytest.mark.servers
def test_nothing_is_shown_unless_asked_for(start: Start, server: ProcessServer) -> None:
    assert get(server, PAGE).status_code == 404
    disabled = start("prometheus_config { }")
    disabled.wait_ready(60)
    assert get(disabled, PAGE).status_code == 404


@pytest.mark.servers
@pytest.mark.parametrize(
    ("config", "name", "words"),
    [
        ("prometheus_config { enabled: true }", "monitoring.config", "Invalid protobuf file"),
        (None, "nobody.config", "nobody.config: No such file"),
    ],
)
def test_a_file_that_cannot_be_read_ends_the_server(
    start: Start, config: str | None, name: str, words: str
) -> None:
    server = start(config, name)
    with pytest.raises(ServerDied, match=words):
        server.wait_ready(60)


@pytest.mark.servers
def test_promtool_finds_nothing_wrong_but_the_names(start: Start) -> None:
    """The names are TF Serving's, which also writes no help."""
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    server = start(CONFIG)
    server.wait_ready(60)
    done = subprocess.run(
        ["promtool", "check", "metrics", "--extended"],
        input=get(server, PAGE).text,
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = {line.partition(" ")[2] for line in done.stderr.splitlines()}
    assert complaints == {
        "metric names should not contain ':'",
        "no help text",
        'counter metrics should have "_total" suffix',
        'non-histogram and non-summary metrics should not have "_count" suffix',
    }, done.stderr
