"""What the embedded server counts, and how Prometheus reads it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from models.contract import Contract
from models.errors import BadRequest
from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.client import GrpcClient, RestClient
from serving.tfserving.embedded.metrics import LATENCY_LIMITS, Counter, Histogram
from serving.tfserving.messages import (
    MultiInferenceRequest,
    PredictionServiceStub,
    RegressionRequest,
)
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

    def start(config: str) -> ProcessServer:
        publish(saved_model, tmp_path / "repository", 1)
        spec = embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")
        (tmp_path / "monitoring.config").write_text(config)
        flag = f"--monitoring_config_file={tmp_path / 'monitoring.config'}"
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


def test_without_labels_nothing_stands_before_the_limit() -> None:
    histogram = Histogram("/tensorflow/sizes", (), (1, 2, 4))
    histogram.count((), 1, 3.5, 4)
    assert list(histogram.lines()) == [
        "# TYPE :tensorflow:sizes histogram",
        ':tensorflow:sizes_bucket{le="1"} 0',
        ':tensorflow:sizes_bucket{le="2"} 1',
        ':tensorflow:sizes_bucket{le="4"} 2',
        ':tensorflow:sizes_bucket{le="+Inf"} 3',
        ":tensorflow:sizes_sum{} 8.500",
        ":tensorflow:sizes_count{} 3",
    ]


@pytest.mark.servers
def test_batches_and_recorded_requests_are_counted(
    mirror: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> None:
    """Two recorded requests of a row each, then one of two rows that is filled up to four."""
    version = publish(mirror / "saved_model", tmp_path / "repository", 1)
    (version / "assets.extra").mkdir()
    shutil.copy(mirror / "warmup" / "good", version / "assets.extra/tf_serving_warmup_requests")
    (tmp_path / "monitoring").write_text(CONFIG)
    (tmp_path / "batching").write_text(
        "max_batch_size { value: 4 } allowed_batch_sizes: [1, 4] batch_timeout_micros { value: 9 }"
    )
    spec = embedded_spec("mirror", tmp_path / "repository", tmp_path / "work")
    files = (
        f"--monitoring_config_file={tmp_path / 'monitoring'}",
        f"--batching_parameters_file={tmp_path / 'batching'}",
    )
    server = ProcessServer(replace(spec, command=(*spec.command, "--enable_batching", *files)))
    server.start()
    try:
        server.wait_ready(60)
        url = f"{spec.url('rest')}/v1/models/mirror:predict"
        pair = {"signature_name": "pair", "inputs": {"a": [1, 2], "b": [3, 4]}}
        assert httpx.post(url, json=pair, trust_env=False).status_code == 200
        wrong = {"inputs": [[-1]]}
        assert httpx.post(url, json=wrong, trust_env=False).status_code == 400
        found = read(get(server, PAGE).text)
    finally:
        server.stop()
    name = "serving:batching_session:"
    assert found[sample(f"{name}wrapped_run_count")] == 4
    # The two inputs of one signature count as two, as there.
    assert found[sample(f"{name}input_batch_size_count")] == 5
    assert found[sample(f"{name}input_batch_size_sum")] == 1 + 1 + 2 + 2 + 1
    assert found[sample(f"{name}processed_batch_size_sum")] == 1 + 1 + 4 + 1
    assert found[sample(f"{name}padding_size_sum", execution_batch_size="4")] == 2
    assert found[sample(f"{name}padding_size_count", execution_batch_size="1")] == 3
    waits = {"thread_pool_name": ""}
    assert found[sample(f"{name}queuing_latency_count", **waits)] == 4
    assert found[sample(f"{name}queuing_latency_bucket", **waits, le="120")] >= 2
    warmup = {"model_path": str(version), "status": "OK"}
    assert found[sample("serving:model_warmup_records_read", **warmup)] == 3
    assert found[sample("serving:model_warmup_latency_count", **warmup)] == 1
    runtime = {"model_name": "mirror", "API": "Predict", "runtime": "TF1"}
    assert found[sample("serving:runtime_latency_count", **runtime)] == 2 + 1


@pytest.mark.servers
def test_records_that_break_off_are_counted_with_their_error(
    mirror: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> None:
    publish(mirror / "saved_model", tmp_path / "repository", 1)
    (tmp_path / "monitoring").write_text(CONFIG)
    spec = embedded_spec("mirror", tmp_path / "repository", tmp_path / "work")
    extra = (f"--monitoring_config_file={tmp_path / 'monitoring'}", "--max_num_load_retries=0")
    server = ProcessServer(replace(spec, command=(*spec.command, *extra)))
    server.start()
    try:
        server.wait_ready(60)
        broken = tmp_path / "broken"
        shutil.copytree(mirror / "saved_model", broken)
        (broken / "assets.extra").mkdir()
        records = (mirror / "warmup" / "good").read_bytes()
        (broken / "assets.extra" / "tf_serving_warmup_requests").write_bytes(records[:-3])
        path = str(publish(broken, tmp_path / "repository", 2))
        counted: dict[str, float] = {}
        end = time.monotonic() + 60
        while not counted and time.monotonic() < end:
            counted = {
                dict(labels)["status"]: value
                for (name, labels), value in read(get(server, PAGE).text).items()
                if name == ":tensorflow:serving:model_warmup_records_read"
                and dict(labels)["model_path"] == path
            }
    finally:
        server.stop()
    [(status, number)] = counted.items()
    assert status.startswith("DATA_LOSS: truncated record at")
    assert number == 2


@pytest.mark.servers
def test_examples_are_counted_where_several_signatures_see_them(
    examples_model: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> None:
    """Only those of MultiInference, which has no latency of its own; both are so there."""
    publish(examples_model, tmp_path / "repository", 1)
    (tmp_path / "monitoring").write_text(CONFIG)
    spec = embedded_spec("half", tmp_path / "repository", tmp_path / "work")
    flag = f"--monitoring_config_file={tmp_path / 'monitoring'}"
    server = ProcessServer(replace(spec, command=(*spec.command, flag)))
    server.start()
    try:
        server.wait_ready(60)
        with grpc.insecure_channel(spec.address("grpc")) as channel:
            stub = PredictionServiceStub(channel)
            several = MultiInferenceRequest()
            for kind in ("regress", "classify"):
                task = several.tasks.add(method_name=f"tensorflow/serving/{kind}")
                task.model_spec.name = "half"
                task.model_spec.signature_name = f"{kind}_x_to_y"
            for x in (1.0, 2.0, 3.0):
                example = several.input.example_list.examples.add()
                example.features.feature["x"].float_list.value.append(x)
            assert len(stub.MultiInference(several, timeout=30).results) == 2
            one = RegressionRequest(input=several.input)
            one.model_spec.CopyFrom(several.tasks[0].model_spec)
            stub.Regress(one, timeout=30)
        found = read(get(server, PAGE).text)
    finally:
        server.stop()
    assert found[sample("serving:request_example_count", model="half")] == 3
    assert found[sample("serving:request_example_counts_count", model="half")] == 1
    assert found[sample("serving:request_example_counts_bucket", model="half", le="2")] == 0
    assert found[sample("serving:request_example_counts_bucket", model="half", le="4")] == 1
    runtimes = {
        dict(labels)["API"]: value
        for (name, labels), value in found.items()
        if name == ":tensorflow:serving:runtime_latency_count"
    }
    assert runtimes == {"Regress": 1}


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
        (
            "prometheus_config { enabled: true }",
            "config",
            "INVALID_ARGUMENT: Invalid protobuf file: '{}'",
        ),
        ("", "config", "INVALID_ARGUMENT: {}; Invalid argument"),
        (None, "nobody", "NOT_FOUND: {}; No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_ends_the_server(
    saved_model: Path, tmp_path: Path, config: str | None, name: str, words: str
) -> None:
    if config is not None:
        (tmp_path / name).write_text(config)
    done = start_and_end(saved_model, tmp_path / name, "--rest_api_port=1")
    assert done.returncode == 255
    said = done.stdout.splitlines()
    assert f"Failed to start server. Error: {words.format(tmp_path / name)}" in said


@pytest.mark.servers
def test_without_a_port_for_it_the_file_is_not_read(saved_model: Path, tmp_path: Path) -> None:
    """The server ends for another reason, which it finds later."""
    done = start_and_end(saved_model, tmp_path / "nobody", "--ssl_config_file=/nobody")
    assert done.stdout.splitlines() == [
        "Failed to start server. Error: NOT_FOUND: /nobody; No such file or directory"
    ]


def start_and_end(model: Path, file: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "serving.tfserving.embedded"),
            *(f"--model_base_path={model}", f"--monitoring_config_file={file}", *flags),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


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
