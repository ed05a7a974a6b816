"""The real Prometheus on both running servers: every expression of every panel has an answer."""

from __future__ import annotations

import copy
import json
import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.errors import RequestError
from serving.endpoints import Endpoint, endpoints_of
from serving.process import ProcessServer, free_ports
from serving.publish import model_store, publish_version, saved_model_folder
from serving.tfserving import spec as tfserving
from serving.torchserve.spec import torchserve_spec

PROJECT = Path(__file__).resolve().parents[3]
MONITORING = PROJECT / "serving/monitoring"
DASHBOARD = MONITORING / "grafana/dashboards/twinserve.json"
CONFIG = MONITORING / "prometheus.yml"
DEADLINE_SECONDS = 60
FALLBACK = " or vector(0)"
CLIENT = httpx.Client(trust_env=False)
MADE_UP = "ts_inference_seconds_total"

pytestmark = [pytest.mark.servers, pytest.mark.frameworks]

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="prometheus is not installed (Debian's package of that name)",
)


@pytest.fixture(scope="module")
def endpoints(trained, state) -> Iterator[dict[str, list[Endpoint]]]:
    """Both servers on the same version, by name."""
    home = state / "watched"
    publish_version(trained.version, trained.manifest, "digits", home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfserving, "PROGRAM", "no-such-model-server")
        spec = tfserving.tfserving_spec(
            "digits", saved_model_folder(home, "digits"), home / "tfserving"
        )
    flag = f"--monitoring_config_file={MONITORING / 'tfserving.config'}"
    specs = [
        replace(spec, command=(*spec.command, flag)),
        torchserve_spec("digits", model_store(home), home / "torchserve"),
    ]
    servers = [ProcessServer(spec) for spec in specs]
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_ready()
        yield {server.spec.name: endpoints_of(server.spec) for server in servers}
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="module")
def prometheus(endpoints, tmp_path_factory) -> Iterator[str]:
    """Its URL; it runs on our prometheus.yml, with the places changed and looking more often."""
    folder = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports(1)
    text = CONFIG.read_text().replace("interval: 5s", "interval: 1s").replace("4s", "1s")
    tfserving_at, torchserve_at = (endpoints[name][0] for name in ("tfserving", "torchserve"))
    text = text.replace("tfserving:8501", f"127.0.0.1:{tfserving_at.ports['rest']}")
    text = text.replace("torchserve:8082", f"127.0.0.1:{torchserve_at.ports['metrics']}")
    (folder / "prometheus.yml").write_text(text)
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until(lambda: _is_up(url), (folder / "log").read_text)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def traffic(endpoints, prometheus, trained) -> dict[str, int]:
    """Requests over REST and gRPC, right and wrong ones, until Prometheus has seen them grow."""
    contract = trained.space.case.contract
    inputs = {spec.name: np.zeros((2, *spec.shape), spec.dtype) for spec in contract.inputs}
    wrong = {name: value[:, :-1] for name, value in inputs.items()}
    every = [endpoint for each in endpoints.values() for endpoint in each]
    sent = {"right": 0, "wrong": 0}

    def send() -> bool:
        for endpoint in every:
            with endpoint.connect("digits", contract) as client:
                for _ in range(5):
                    client.predict(inputs)
                    sent["right"] += 1
                with pytest.raises(RequestError):
                    client.predict(wrong)
                sent["wrong"] += 1
        return not unanswered(prometheus, json.loads(DASHBOARD.read_text()))

    _wait_until(send, lambda: f"{unanswered(prometheus, json.loads(DASHBOARD.read_text()))}", 0.5)
    return sent


@needs_prometheus
def test_promtool_accepts_our_configuration():
    done = subprocess.run(
        ["promtool", "check", "config", str(CONFIG)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@needs_prometheus
def test_every_expression_of_every_panel_is_answered(prometheus, traffic):
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [t for panel in dashboard["panels"] for t in panel.get("targets", [])]
    assert len(asked) > 15
    assert unanswered(prometheus, dashboard) == []


@needs_prometheus
def test_a_panel_on_a_metric_that_does_not_exist_is_found(prometheus, traffic):
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        changed = copy.deepcopy(dashboard)
        targets = next(each for each in changed["panels"] if each["id"] == panel["id"])
        for target in targets.get("targets", []):
            target["expr"] = re.sub(
                r"(:tensorflow:|ts_|Requests|Prediction|Worker|up\b)[\w:]*\b(?!Name)",
                MADE_UP,
                target["expr"],
            )
        titles = {title for title, _ in unanswered(prometheus, changed)}
        assert titles == ({panel["title"]} if panel.get("targets") else set())


@needs_prometheus
def test_both_servers_are_up_and_their_requests_are_counted(prometheus, traffic):
    """At least what was sent when Prometheus last looked; errors on either side are seen as such."""
    for job in ("tfserving", "torchserve"):
        assert _values(prometheus, f'up{{job="{job}"}}') == [1.0]
    # Half went to each; requests for the model's status, which have no API, are counted too.
    answered = _values(prometheus, 'sum(:tensorflow:serving:request_latency_count{API!=""})')
    refused = _values(prometheus, 'sum(:tensorflow:serving:request_count{status!="OK"})')
    assert 0 < answered[0] <= (traffic["right"] + traffic["wrong"]) // 2
    assert 0 < refused[0] <= traffic["wrong"] // 2
    assert _values(prometheus, "sum(ts_inference_requests_total)")[0] > 0
    assert _values(prometheus, "sum(Requests4XX)")[0] > 0


@needs_prometheus
def test_both_protocols_are_counted(prometheus, traffic):
    for entrypoint in ("REST", "GRPC"):
        counted = f':tensorflow:serving:request_latency_count{{entrypoint="{entrypoint}"}}'
        assert _values(prometheus, counted)[0] > 0


def unanswered(url: str, dashboard: dict) -> list[tuple[str, str]]:
    """Title and expression of what has no answer, or one that is no number.

    An expression that falls back to zero is asked without that: a counter that nothing has
    increased yet must at least be known to Prometheus.
    """
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m")
            asked = expression.removesuffix(FALLBACK)
            values = _values(url, asked)
            if asked != expression and not values:
                known = all(_is_known(url, name) for name in re.findall(r"\b[A-Z]\w+XX\b", asked))
                values = [0.0] if known and re.search(r"\b[A-Z]\w+XX\b", asked) else []
            if not values or not all(math.isfinite(value) for value in values):
                found.append((panel["title"], target["expr"]))
    return found


def _values(url: str, expression: str) -> list[float]:
    answer = CLIENT.get(f"{url}/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", answer
    return [float(each["value"][1]) for each in answer["data"]["result"]]


def _is_known(url: str, metric: str) -> bool:
    """Whether a server has told of a metric of that name, with or without a number."""
    answer = CLIENT.get(f"{url}/api/v1/metadata", params={"metric": metric}).json()
    return metric in answer["data"]


def _is_up(url: str) -> bool:
    try:
        return CLIENT.get(f"{url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def _wait_until(holds, describe, pause_seconds: float = 0.1) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {DEADLINE_SECONDS} s: {describe()}")
        time.sleep(pause_seconds)
