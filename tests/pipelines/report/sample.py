"""Made-up reports for tests: the shape of a real run, none of its evidence."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from models.framework import FrameworkName
from pipelines.facts import (
    AbsentFormat,
    ArtifactFacts,
    Check,
    ContractTensor,
    CurvePoint,
    Environment,
    Epoch,
    LoadFacts,
    MalformedFacts,
    Outcome,
    ParityRow,
    PercentileFacts,
    Protocol,
    QualityFacts,
    ReliabilityFacts,
    RunReport,
    ScenarioFacts,
    ServerFacts,
    StageTiming,
    ThroughputFacts,
    Timings,
    TrainingFacts,
)
from pipelines.tfx.facts import (
    BoundFacts,
    ColumnFacts,
    DriftFacts,
    FeatureFacts,
    Metric,
    MetricFacts,
    MissedFacts,
    ModelSlices,
    SliceFacts,
    SlicesFacts,
    SplitFacts,
    StatisticsFacts,
)

CREATED = datetime(2026, 3, 5, 12, 30, tzinfo=UTC)
KERAS, TORCH = "Keras 3.15.1 on TensorFlow 2.21.0", "PyTorch 2.13.0"
SERVERS = {"tfserving": "TF Serving API (embedded)", "torchserve": "TorchServe 0.12.0"}
PROTOCOLS: tuple[Protocol, ...] = ("REST", "gRPC")
BATCHES = {"1": 360, "7": 360, "all": 360, "edge": 2}
FORMATS: tuple[tuple[FrameworkName, str, str, int], ...] = (
    ("tensorflow", "SavedModel", "tensorflow/saved_model", 412_345),
    ("tensorflow", "TFLite float32", "tensorflow/model.tflite", 151_204),
    ("tensorflow", "TFLite int8", "tensorflow/model.int8.tflite", 47_112),
    ("pytorch", "TorchScript", "pytorch/model.pt", 178_220),
    ("pytorch", "MAR", "pytorch/digits.mar", 165_903),
)
REQUESTS = (
    "broken JSON", "wrong rank", "wrong length", "strings for numbers", "missing input", "unknown model",
)  # fmt: skip


def sample_report() -> RunReport:
    """A run in which everything passed and TorchServe fell short three times."""
    parity, malformed = _parity(), _malformed()
    return RunReport(
        case="digits",
        title="Handwritten digits",
        version=3,
        created=CREATED,
        passed=True,
        measured=CREATED - timedelta(seconds=20),
        inputs=[
            ContractTensor(
                name="image", dtype="float32", shape="(N, 8, 8, 1)", meaning="grey levels, 0 to 16"
            )
        ],
        outputs=[
            ContractTensor(
                name="logits", dtype="float32", shape="(N, 10)", meaning="before softmax"
            ),
            ContractTensor(
                name="probabilities", dtype="float32", shape="(N, 10)", meaning="sum to 1"
            ),
        ],
        labels=[str(digit) for digit in range(10)],
        checks=_checks(parity, malformed),
        parity=parity,
        training=[_training("tensorflow", KERAS, 0.0, 5), _training("pytorch", TORCH, 0.0007, 6)],
        artifacts=[
            ArtifactFacts(framework=f, format=kind, path=path, bytes=size, sha256=f"{size:064x}")
            for f, kind, path, size in FORMATS
        ],
        servers=_servers(),
        load=_load(),
        malformed=malformed,
        timings=_timings(),
        environment=_environment(),
    )


def scored_report() -> RunReport:
    """A case with a baseline, and without one of the formats."""
    shifts: tuple[tuple[str, FrameworkName | None, float], ...] = (
        ("Keras", "tensorflow", 0.0),
        ("PyTorch", "pytorch", 0.01),
        ("gradient boosting", None, -0.02),
    )
    quality = [
        QualityFacts(
            subject=subject,
            framework=framework,
            roc_auc=0.702 + shift,
            pr_auc=0.42,
            log_loss=0.48,
            calibration_error=0.02,
            reliability=[
                ReliabilityFacts(predicted=n / 12 + 0.02 + shift, observed=n / 12 + 0.03, rows=100)
                for n in range(10)
            ],
            rows=1000,
            positives=220,
            seconds=3.0,
        )
        for subject, framework, shift in shifts
    ]
    absent = [AbsentFormat(format="TFLite int8", reason="its inputs would be <b>integers</b>")]
    return sample_report().model_copy(update={"quality": quality, "absent": absent})


def sliced_report() -> RunReport:
    """A case with spans: two features of which one drifts, and PyTorch is bad for one carrier."""
    return sample_report().model_copy(update={"statistics": _statistics(), "slices": _slices()})


def _statistics() -> StatisticsFacts:
    shares = {"train": [0.2, 0.5, 0.2], "validation": [0.1, 0.2, 0.6], "test": [0.0, 0.0, 0.0]}
    words = {"train": [0.6, 0.4], "validation": [0.4, 0.6], "test": [0.5, 0.5]}
    numbers: dict[str, Any] = {"mean": 57.25, "std": 3.0, "min": 12.0, "median": 58.0, "max": 100.0}
    temperature = [
        ColumnFacts(split=split, count=90, missing=0.1, zeros=0.004, **numbers, shares=each)
        if split != "test"
        else ColumnFacts(split=split, count=0, missing=1.0, shares=each)
        for split, each in shares.items()
    ]
    carrier = [
        ColumnFacts(split=split, count=100, missing=0.0, distinct=16, shares=each)
        for split, each in words.items()
    ]
    drift = [
        ("carrier", 2, "l_infty", 0.01, 0.1),
        ("carrier", 3, "l_infty", 0.02, 0.1),
        ("late", 2, "jensen_shannon_divergence", 0.03, 0.2),
        ("temp", 2, "jensen_shannon_divergence", 0.71, 0.6),
        ("temp", 3, "jensen_shannon_divergence", 0.25, 0.6),
    ]
    return StatisticsFacts(
        span="month",
        splits=[
            SplitFacts(name="train", spans=[1], rows=100),
            SplitFacts(name="validation", spans=[2], rows=100),
            SplitFacts(name="test", spans=[3], rows=100),
        ],
        features=[
            FeatureFacts(name="carrier", meaning="two letters", edges=[], values=["UA", "B6"],
                         columns=carrier),
            FeatureFacts(name="temp", meaning="°F", edges=[12, 40, 70, 100], values=[],
                         columns=temperature),
        ],
        drift=[
            DriftFacts(feature=feature, span=span, against=f"span {span - 1}", measure=measure,
                       score=score, threshold=threshold, exceeded=score > threshold)
            for feature, span, measure, score, threshold in drift
        ],
    )  # fmt: skip


def _slices() -> SlicesFacts:
    places = {("", ""): 0.7, ("carrier", "B6"): 0.74, ("carrier", "UA"): 0.66, ("hour", "7"): 0.61}
    frameworks: tuple[tuple[FrameworkName, float], ...] = (("tensorflow", 0.0), ("pytorch", -0.02))

    def metrics(auc: float) -> dict[Metric, MetricFacts]:
        return {
            "roc_auc": MetricFacts(value=auc, low=auc - 0.03, high=auc + 0.03, in_service=None),
            "log_loss": MetricFacts(value=1 - auc, low=None, high=None, in_service=None),
            "calibration": MetricFacts(value=None, low=None, high=None, in_service=None),
        }

    def score(name: str, place: tuple[str, str], auc: float, shift: float) -> float:
        return 0.48 if (name, place) == ("pytorch", ("carrier", "B6")) else auc + shift

    return SlicesFacts(
        rows=3000,
        columns=["carrier", "hour"],
        fewest_rows=200,
        bounds=[
            BoundFacts(scope="overall", metric="roc_auc", min=0.6),
            BoundFacts(scope="slices", metric="roc_auc", min=0.52),
            BoundFacts(scope="change", metric="roc_auc", worse_by_at_most=0.01),
        ],
        too_small={"carrier=HA": 31},
        compared_with_service=False,
        models=[
            ModelSlices(
                framework=name,
                blessed=name == "tensorflow",
                slices=[
                    SliceFacts(column=place[0], value=place[1], rows=1000, positives=0.24,
                               metrics=metrics(score(name, place, auc, shift)))
                    for place, auc in places.items()
                ],
                missed=[
                    MissedFacts(column="carrier", value="B6", metric="roc_auc", figure=0.48,
                                threshold="at least 0.52", change=False)
                ] if name == "pytorch" else [],
            )
            for name, shift in frameworks
        ],
    )  # fmt: skip


def failed_report() -> RunReport:
    """The MAR holds another model: its file and its server disagree, and the run says no."""
    report = sample_report()
    wrong = {"max_abs": 0.8731, "max_rel": 41.2, "label_agreement": 0.114, "accuracy": 0.108}
    parity = [
        row.model_copy(update={**wrong, "passed": False})
        if row.subject == "MAR" or (row.stage == "check" and row.subject.startswith("TorchServe"))
        else row
        for row in report.parity
    ]
    parity[-1] = parity[-1].model_copy(
        update={
            "passed": False,
            "max_abs": 0.0,
            "max_rel": 0.0,
            "error": "NotFinite: probabilities holds NaN or infinity.",
        }
    )
    return report.model_copy(
        update={
            "passed": False,
            "parity": parity,
            "checks": _checks(parity, report.malformed),
        }
    )


def skewed_report() -> RunReport:
    """In containers, and one of them runs an older TensorFlow than the exporter's."""
    report = sample_report()
    warning = Check(
        stage="versions",
        subject=SERVERS["tfserving"],
        question="Its TensorFlow Library is one that the files were made for",
        outcome=Outcome.WARNING,
        figure="TensorFlow Library 2.16.2",
        limit="TensorFlow Library 2.21.0",
        detail="TensorFlow promises to load older SavedModels, not newer ones",
    )
    servers = [each.model_copy(update={"where": "container"}) for each in report.servers]
    return report.model_copy(update={"checks": [*report.checks, warning], "servers": servers})


def voided_report() -> RunReport:
    """TorchServe gave wrong answers under load, and the measurements are yesterday's."""
    report = sample_report()
    assert report.load
    return report.model_copy(
        update={
            "measured": CREATED - timedelta(days=1),
            "load": report.load.model_copy(
                update={
                    "scenarios": [
                        row.model_copy(update={"wrong": 3})
                        if row.server == SERVERS["torchserve"]
                        else row
                        for row in report.load.scenarios
                    ],
                    "throughput": [
                        row.model_copy(update={"wrong": 12})
                        if row.server == SERVERS["torchserve"] and row.clients == 16
                        else row
                        for row in report.load.throughput
                    ],
                }
            ),
        }
    )


def empty_report() -> RunReport:
    """A run that ended before anything was found out."""
    report = sample_report()
    lists = ("checks", "parity", "training", "artifacts", "servers")
    return report.model_copy(
        update={
            **{name: [] for name in (*lists, "malformed", "inputs", "outputs", "labels")},
            "passed": False,
            "measured": None,
            "load": None,
            "timings": Timings(stages=[], wall_seconds=0.0, critical_path_seconds=0.0),
            "environment": Environment(
                hardware={},
                versions={},
                seeds={},
                git_commit="",
                data_digest="",
                hyperparameters={},
            ),
        }
    )


def _training(framework: FrameworkName, label: str, shift: float, misses: int) -> TrainingFacts:
    epochs = [
        Epoch(
            number=n,
            loss=2.1 * math.exp(-0.32 * n) + 0.028 + shift * math.sin(n),
            accuracy=1 - 0.75 * math.exp(-0.42 * n),
            validation_loss=1.9 * math.exp(-0.33 * n) + 0.071 + 6 * shift * math.cos(n),
            validation_accuracy=round(0.985 - 0.7 * math.exp(-0.5 * n) + shift * math.cos(n), 4),
            seconds=0.41,
        )
        for n in range(1, 21)
    ]
    confusion = [[36 if row == column else 0 for column in range(10)] for row in range(10)]
    for miss in range(misses):
        row, column = (8, 1) if miss < 2 else (3 + miss % 5, 9 - miss)
        confusion[row][row] -= 1
        confusion[row][column] += 1
    return TrainingFacts(
        framework=framework,
        label=label,
        epochs=epochs,
        parameters=37_610,
        rows_per_second=2710.0 if framework == "tensorflow" else 3120.0,
        test_accuracy=sum(confusion[i][i] for i in range(10)) / 360,
        confusion=confusion,
        input_digest="5f0c" * 16,
        cached=framework == "tensorflow",
    )


def _row(
    stage: str, subject: str, reference: str, batch: str, gap: float, atol: float
) -> ParityRow:
    quantised = "int8" in subject
    known = batch != "edge"
    return ParityRow(
        stage=stage,  # type: ignore[arg-type]
        subject=subject,
        reference=reference,
        batch=batch,
        rows=BATCHES[batch],
        max_abs=gap,
        max_rel=gap * 7.3,
        label_agreement=0.9944 if quantised and known else 1.0,
        accuracy=(0.9833 if quantised else 0.9861) if known else None,
        reference_accuracy=0.9861 if known else None,
        atol=atol,
        rtol=1e-4,
        passed=atol is None or gap <= atol,
    )


def _parity() -> list[ParityRow]:
    gap = 2.4e-7
    rows = [
        _row("same model", "PyTorch before training", "Keras before training", "all", 2.4e-6, 1e-5),
        _row("same model", "Keras weights in PyTorch", "Keras in memory", "all", 1.3e-5, 1e-4),
        _row("same model", "PyTorch weights in Keras", "PyTorch in memory", "all", 1.1e-5, 1e-4),
    ]
    for number, (framework, kind, *_) in enumerate(FORMATS):
        reference = "Keras in memory" if framework == "tensorflow" else "PyTorch in memory"
        scale, atol = (60_000, 0.15) if kind == "TFLite int8" else (1, 1e-5)
        rows += [
            _row("verify", kind, reference, batch, gap * scale * (1 + number + step), atol)
            for step, batch in enumerate(BATCHES)
        ]
    for server, reference in (("TF Serving", "Keras"), ("TorchServe", "PyTorch")):
        for number, protocol in enumerate(PROTOCOLS):
            label = "TF Serving API (embedded)" if server == "TF Serving" else "TorchServe 0.12.0"
            rows += [
                _row("check", f"{label} · {protocol}", f"{reference} in memory", batch,
                     gap * (2 + number + step), 1e-4)
                for step, batch in enumerate(BATCHES)
            ]  # fmt: skip
    rows += [
        _row("cross-framework", f"TorchServe 0.12.0 · {protocol}", f"TF Serving API (embedded) · {protocol}",
             batch, 0.021, None)
        for protocol in PROTOCOLS
        for batch in ("all",)
    ]  # fmt: skip
    return rows


def _malformed() -> list[MalformedFacts]:
    said = {
        "broken JSON": "Request body is not valid JSON: Expecting ',' delimiter: line 1 column 17",
        "wrong rank": "Input 'image' has rank 2; the signature wants (N, 8, 8, 1)",
        "wrong length": "Input 'image' has 7 columns where the signature wants 8",
        "strings for numbers": "Input 'image' holds a string where a float32 is wanted",
        "missing input": "Input 'image' is missing",
        "unknown model": "Servable not found for request: nonesuch",
    }
    rows = []
    for server in SERVERS:
        for protocol in PROTOCOLS:
            for request in REQUESTS:
                status = "400" if protocol == "REST" else "INVALID_ARGUMENT"
                if request == "unknown model":
                    status = "404" if protocol == "REST" else "NOT_FOUND"
                message, outcome = said[request], Outcome.PASS
                if server == "torchserve" and request in ("wrong rank", "strings for numbers"):
                    status = "503" if protocol == "REST" else "INTERNAL"
                    message, outcome = "Prediction failed", Outcome.SHORTFALL
                if (protocol, request) == ("gRPC", "broken JSON"):
                    status, message, outcome = "n/a", "gRPC requests carry no JSON", Outcome.PASS
                rows.append(
                    MalformedFacts(
                        server=server,
                        protocol=protocol,
                        request=request,
                        status=status,
                        message=message,
                        outcome=outcome,
                        recovered=True,
                    )
                )
    return rows


def _checks(parity: list[ParityRow], malformed: list[MalformedFacts]) -> list[Check]:
    checks = [
        Check(stage="train", subject=label, question="Test accuracy is at least 97 %",
              outcome=Outcome.PASS, figure=figure, limit="≥ 97 %")
        for label, figure in ((KERAS, "98.61 %"), (TORCH, "98.33 %"))
    ]  # fmt: skip
    for row in parity:
        checks.append(
            Check(
                stage=row.stage,
                subject=row.subject,
                question=f"Answers like {row.reference}, batch {row.batch}",
                outcome=Outcome.PASS if row.passed else Outcome.FAIL,
                figure=f"largest difference {row.max_abs:.1e}, same label {row.label_agreement:.2%}",
                limit="labels only"
                if row.atol is None
                else f"≤ {row.atol:g} + {row.rtol:g} × |reference|",
                detail="" if row.passed else row.error or "Answers are those of another model",
            )
        )
    for row_ in malformed:
        said = f"{row_.message}; the message does not name the input"
        checks.append(
            Check(
                stage="check",
                subject=f"{SERVERS[row_.server]} · {row_.protocol}",
                question=f"{row_.request} is refused with a message that names the problem",
                outcome=row_.outcome,
                figure=row_.status,
                limit="4xx" if row_.protocol == "REST" else "INVALID_ARGUMENT or NOT_FOUND",
                detail=said if row_.outcome is Outcome.SHORTFALL else "",
            )
        )
    return checks


def _servers() -> list[ServerFacts]:
    return [
        ServerFacts(name="tfserving", label=SERVERS["tfserving"], framework="tensorflow",
                    where="process", ready_seconds=2.31, idle_bytes=412_000_000,
                    loaded_bytes=441_000_000, memory_kind="PSS", cpu_ms_per_answer=0.42),
        ServerFacts(name="torchserve", label=SERVERS["torchserve"], framework="pytorch",
                    where="process", ready_seconds=5.94, idle_bytes=498_000_000,
                    loaded_bytes=537_000_000, memory_kind="PSS", cpu_ms_per_answer=1.9),
    ]  # fmt: skip


def _load() -> LoadFacts:
    return LoadFacts(
        quick=True,
        engine="MLPerf LoadGen 6.0.17",
        seconds_per_scenario=3.0,
        windows=3,
        seed=7,
        scenarios=_latency(),
        throughput=_throughput(),
    )


def _latency() -> list[ScenarioFacts]:
    figures = {
        ("tfserving", "REST"): (1.32, 1.61, 2.95),
        ("tfserving", "gRPC"): (0.94, 1.12, 2.02),
        ("torchserve", "REST"): (3.18, 3.92, 7.41),
        ("torchserve", "gRPC"): (3.41, 4.2, 8.63),
    }
    return [
        ScenarioFacts(
            server=SERVERS[server],
            protocol=protocol,
            requests=500,
            wrong=0,
            scenario="SingleStream",
            requests_per_second=1000 / values[0],
            percentiles=[
                PercentileFacts(rank=rank, ms=ms, at_most_ms=1.1 * ms)
                for rank, ms in zip((50, 90, 99), values, strict=True)
            ],
            curve=[
                CurvePoint(rank=rank, ms=ms) for rank, ms in zip((50, 90, 99), values, strict=True)
            ],
        )
        for server in SERVERS
        for protocol in PROTOCOLS
        for values in [figures[server, protocol]]
    ]


def _throughput() -> list[ThroughputFacts]:
    figures = {
        ("tfserving", "REST"): (722.0, 1088.0, 1102.0),
        ("tfserving", "gRPC"): (1011.0, 1642.0, 1688.0),
        ("torchserve", "REST"): (301.0, 478.0, 466.0),
        ("torchserve", "gRPC"): (282.0, 431.0, 440.0),
    }
    return [
        ThroughputFacts(server=SERVERS[server], protocol=protocol, clients=clients, seconds=3.0, wrong=0,
                        requests=int(3 * rate), requests_per_second=rate)
        for server in SERVERS
        for protocol in PROTOCOLS
        for clients, rate in zip((1, 4, 16), figures[server, protocol], strict=True)
    ]  # fmt: skip


def _timings() -> Timings:
    stages = {
        "data": (0.0, 1.2, ()),
        "initialise": (1.2, 4.1, ("data",)),
        "train tensorflow": (5.3, 0.0, ("initialise",)),
        "train pytorch": (5.3, 11.8, ("initialise",)),
        "export tensorflow": (5.4, 17.9, ("train tensorflow",)),
        "export pytorch": (17.1, 9.4, ("train pytorch",)),
        "verify": (26.5, 12.6, ("export tensorflow", "export pytorch")),
        "serve": (26.5, 6.2, ("export tensorflow", "export pytorch")),
        "check": (39.2, 8.8, ("serve",)),
        "measure": (48.0, 38.4, ("check",)),
    }
    return Timings(
        stages=[
            StageTiming(stage=name, started=started, seconds=time, after=list(after),
                        cached=name == "train tensorflow")
            for name, (started, time, after) in stages.items()
        ],
        wall_seconds=86.5,
        critical_path_seconds=79.9,
    )  # fmt: skip


def _environment() -> Environment:
    return Environment(
        hardware={"processor": "x86-64, 2 cores", "memory": "8.3 GB", "system": "Linux 6.1"},
        versions={
            "python": "3.11.7", "tensorflow": "2.21.0", "keras": "3.15.1", "torch": "2.13.0",
            "torchserve": "0.12.0", "numpy": "2.4.6",
        },
        seeds={"split": 7, "weights": 11, "batches": 13},
        git_commit="4be2d1f09c6a7d3e8b5f21c0a9e47d6b8c3f5a12",
        data_digest="9d" * 32,
        hyperparameters={"epochs": "20", "batch size": "32", "learning rate": "0.001", "dropout": "0.3"},
    )  # fmt: skip
