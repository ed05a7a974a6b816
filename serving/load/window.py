"""One run of MLPerf's LoadGen against one system: settings in, latencies and LoadGen's own word out.

LoadGen keeps the clock: a latency counts from when a query was issued, in the Server scenario from when it was
due. It is read from LoadGen's trace, its word from its detail log. See loadgen/README.md and test_settings.h of
mlcommons/inference.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import mlperf_loadgen as lg
import numpy as np

from serving.load.early_stopping import fewest_samples
from serving.load.systems import System

Scenario = Literal["SingleStream", "MultiStream", "Server", "Offline"]

ENGINE = f"MLPerf LoadGen {version('mlcommons-loadgen')}"
SAMPLES_PER_QUERY = 8
"""MultiStream's, by MLPerf's rules."""

_SAMPLE = re.compile(
    rb'"name":"Sample".*"query_seq":(\d+),"sample_idx":\d+,"issue_start_ns":(\d+),"complete_ns":(\d+)'
)
_LOG_MARK = ":::MLLOG "
_SWITCH_SECONDS = 0.0005
_HEADROOM = 3.0
"""LoadGen makes up its queries beforehand; a system that is faster than expected must not run out of them."""
_OFFLINE_HEADROOM = 1.1


@dataclass(frozen=True)
class WindowPlan:
    """What LoadGen is to do.

    Attributes:
        scenario: MLPerf's.
        seconds: the shortest time that it lasts.
        rate: Server: queries a second that arrive; otherwise how many are expected to be answered.
        bound_ms: Server: the latency that ``percentile`` of the queries must keep.
        percentile: that LoadGen judges by, 0 to 1.
        seed: of rows and arrivals.
        queries: the fewest; but for Offline, whose one query has as many samples as its time takes.
    """

    scenario: Scenario
    seconds: float
    rate: float
    bound_ms: float = 0.0
    percentile: float = 0.9
    seed: int = 0
    queries: int = 1


@dataclass(frozen=True)
class Window:
    """What came of it.

    Attributes:
        latencies: (N,) float64, seconds: of every query; none for Offline, where a sample's latency
            says how late in the batch it came.
        requests: samples, each one request.
        seconds: from the first query to the last answer.
        rate: requests answered a second, as LoadGen counts them.
        wrong: answers that were not right, or did not come.
        problem: the first of them.
        validity: LoadGen's word, or VOID where an answer was wrong.
        reasons: why it is not VALID.
        cores: processor time over wall time of this process.
        lags: (M,) seconds from when a query was due to when it was sent.
        offered: Server: requests a second that arrived, by LoadGen's schedule; random arrivals of a short window
            may be a tenth off what was asked for. None for the other scenarios.
    """

    latencies: np.ndarray
    requests: int
    seconds: float
    rate: float
    wrong: int
    problem: str
    validity: str
    reasons: tuple[str, ...]
    cores: float
    lags: np.ndarray
    offered: float | None = None


def run_window(plan: WindowPlan, system: System, rows: int) -> Window:
    """Performance mode.

    Args:
        plan: what to do.
        system: is sent the queries, and closed.
        rows: how many different ones there are.
    """
    with tempfile.TemporaryDirectory(prefix="twinserve-loadgen-") as logs:
        worked, began = time.process_time(), time.perf_counter()
        _start(_performance(plan), system, rows, Path(logs))
        worked, wall = time.process_time() - worked, time.perf_counter() - began
        queries, delays, done = _read_trace(Path(logs, "mlperf_log_trace.json"))
        requests = system.asked
        said = _read_detail(Path(logs, "mlperf_log_detail.txt"))
    rate = _rate(plan.scenario, said)
    validity, reasons = _validity(said, system)
    return Window(
        _per_query(queries, done) if plan.scenario == "MultiStream" else done,
        requests,
        requests / rate if rate else wall,
        rate,
        system.wrong,
        system.problem,
        validity,
        reasons,
        worked / wall,
        _lags(plan.scenario, delays, np.array(system.lags)),
        float(said["result_scheduled_samples_per_sec"]) if plan.scenario == "Server" else None,
    )


def ask_every_row(system: System, rows: int) -> None:
    """Accuracy mode: every row once; what was wrong stands in the system, which is closed."""
    settings = lg.TestSettings()
    settings.scenario, settings.mode = lg.TestScenario.Offline, lg.TestMode.AccuracyOnly
    with tempfile.TemporaryDirectory(prefix="twinserve-loadgen-") as logs:
        _start(settings, system, rows, Path(logs))


def _performance(plan: WindowPlan) -> Any:
    settings = lg.TestSettings()
    settings.scenario = getattr(lg.TestScenario, plan.scenario)
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = int(plan.seconds * 1000)
    settings.min_query_count = 1 if plan.scenario == "Offline" else max(plan.queries, 1)
    expected_ns = int(1e9 / (plan.rate * _HEADROOM))
    if plan.scenario == "SingleStream":
        settings.single_stream_expected_latency_ns = expected_ns
        settings.single_stream_target_latency_percentile = plan.percentile
    elif plan.scenario == "MultiStream":
        settings.multi_stream_expected_latency_ns = expected_ns * SAMPLES_PER_QUERY
        settings.multi_stream_target_latency_percentile = plan.percentile
        settings.multi_stream_samples_per_query = SAMPLES_PER_QUERY
        settings.min_query_count = fewest_samples(plan.percentile, over=1)
    elif plan.scenario == "Server":
        settings.server_target_qps = plan.rate
        settings.server_target_latency_ns = int(plan.bound_ms * 1e6)
        settings.server_target_latency_percentile = plan.percentile
    else:
        settings.offline_expected_qps = plan.rate * _OFFLINE_HEADROOM
    for name in ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed"):
        setattr(settings, name, plan.seed)
    return settings


def _start(settings: Any, system: System, rows: int, logs: Path) -> None:
    output = lg.LogOutputSettings()
    output.outdir = str(logs)
    log = lg.LogSettings()
    # Writing a trace costs this process more than a request does, and Offline needs none of it.
    log.log_output = output
    log.enable_trace = settings.scenario != lg.TestScenario.Offline
    under_test = lg.ConstructSUT(system.issue, lambda: None)
    library = lg.ConstructQSL(rows, rows, lambda _rows: None, lambda _rows: None)
    try:
        with _undisturbed():
            lg.StartTestWithLogSettings(under_test, library, settings, log, "audit.config")
    finally:
        system.close()
        lg.DestroyQSL(library)
        lg.DestroySUT(under_test)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage collection, and threads that do not wait 5 ms for one another."""
    before = sys.getswitchinterval()
    gc.collect()
    gc.disable()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.enable()


def _read_trace(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every sample: its query's number, and seconds from when it was due to its issue and to its end."""
    found: list[tuple[bytes, ...]] = []
    if path.exists():
        with path.open("rb") as lines:
            found.extend(match.groups() for line in lines if (match := _SAMPLE.search(line)))
    numbers = np.array(found, np.int64).reshape(-1, 3)
    return numbers[:, 0], numbers[:, 1] / 1e9, numbers[:, 2] / 1e9


def _read_detail(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith(_LOG_MARK):
            entry = json.loads(line.removeprefix(_LOG_MARK))
            said[entry["key"]] = entry["value"]
    return said


def _rate(scenario: Scenario, said: dict[str, Any]) -> float:
    if scenario == "Offline":
        return float(said["result_samples_per_second"])
    if scenario == "Server":
        return float(said["result_completed_samples_per_sec"])
    if scenario == "SingleStream":
        return float(said["result_qps_with_loadgen_overhead"])
    return float(SAMPLES_PER_QUERY * 1e9 / said["result_mean_query_latency_ns"])


def _validity(said: dict[str, Any], system: System) -> tuple[str, tuple[str, ...]]:
    if system.wrong:
        return "VOID", (f"{system.wrong} wrong answers; the first: {system.problem}",)
    word = str(said["result_validity"])
    if word == "VALID":
        return word, ()
    questions = {
        "result_perf_constraints_met": "the latency bound was not kept",
        "result_min_duration_met": "it ended before its time",
        "result_min_queries_met": "too few queries",
        "early_stopping_met": "early stopping: too few queries within the bound",
    }
    return word, tuple(text for key, text in questions.items() if said.get(key) is False)


def _per_query(queries: np.ndarray, done: np.ndarray) -> np.ndarray:
    """MultiStream's latency: of a query's last sample."""
    latest = np.zeros(queries.max() + 1 if len(queries) else 0)
    np.maximum.at(latest, queries, done)
    return latest


def _lags(scenario: Scenario, delays: np.ndarray, sending: np.ndarray) -> np.ndarray:
    """LoadGen's own delay, and what handing over to the socket took; medians add up well enough for a bound."""
    if scenario == "Server" and len(delays):
        return delays + (np.median(sending) if len(sending) else 0.0)
    return sending
