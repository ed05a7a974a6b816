"""Both models judged by the same code: metrics, intervals, thresholds, blessings, lineage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from models.errors import ArtifactMissing, BaselineMissing, EvaluationError, NotBlessed
from pipelines.tfx.worker import call

from .conftest import TIMEOUT_SECONDS

pytestmark = pytest.mark.tfx
ROWS = 3000
SERVICE = ("tensorflow_in_service", "pytorch_in_service")


LABEL = "delayed"
"""Any name will do."""
TRAINED = {"tensorflow": "tensorflow-5e1f", "pytorch": "pytorch-77ab"}
ASKED = {"label": LABEL, "trained": TRAINED}


def predictions() -> dict[str, np.ndarray]:
    """TensorFlow's model is good; PyTorch's has carrier UA the wrong way round."""
    random = np.random.default_rng(0)
    logits = random.normal(-1.2, 1.3, ROWS)
    noisy = lambda scale: 1 / (1 + np.exp(-logits - random.normal(0, scale, ROWS)))  # noqa: E731
    carrier = random.choice(["AA", "UA", "HA"], ROWS, p=[0.6, 0.39, 0.01])
    torch = noisy(0.2)
    torch[carrier == "UA"] = 0.5 - 0.4 * torch[carrier == "UA"]
    return {
        LABEL: (random.random(ROWS) < 1 / (1 + np.exp(-logits))).astype(np.int64),
        "tensorflow": noisy(0.1).astype(np.float32),
        "pytorch": torch.astype(np.float32),
        "tensorflow_in_service": noisy(0.4).astype(np.float32),
        "pytorch_in_service": noisy(0.1).astype(np.float32),
        "carrier": carrier,
        "origin": random.choice(["EWR", "JFK"], ROWS),
    }


@pytest.fixture(scope="module")
def judged(prepared, tmp_path_factory):
    """Request and result of one evaluation against the model in service."""
    path = tmp_path_factory.mktemp("predictions") / "predictions.npz"
    arrays = predictions()
    np.savez(path, **arrays)
    request = {
        "state": prepared.request["state"],
        "predictions": str(path),
        **ASKED,
        "slices": ["carrier", "origin"],
        "baseline": True,
    }
    return arrays, call("evaluate", request, timeout_seconds=TIMEOUT_SECONDS)


@pytest.mark.parametrize("framework", ["tensorflow", "pytorch"])
def test_metrics_are_those_of_scikit_learn(judged, framework):
    arrays, result = judged
    for found in result["models"][framework]["slices"]:
        column, _, value = found["slice"].partition("=")
        mask = arrays[column] == value if column else np.ones(ROWS, bool)
        late, scores = arrays[LABEL][mask], arrays[framework][mask]
        assert found["rows"] == mask.sum()
        metrics = found["metrics"]
        assert metrics["roc_auc"] == pytest.approx(roc_auc_score(late, scores), abs=0.003)
        assert metrics["pr_auc"] == pytest.approx(average_precision_score(late, scores), abs=0.01)
        assert metrics["log_loss"] == pytest.approx(log_loss(late, scores), abs=0.001)
        assert metrics["calibration"] == pytest.approx(scores.mean() / late.mean(), rel=1e-4)
        for name, (low, high) in found["intervals"].items():
            assert low <= metrics[name] + 0.01
            assert high >= metrics[name] - 0.01
            assert high - low < 1
        in_service = roc_auc_score(late, arrays[f"{framework}_in_service"][mask])
        assert found["in_service"]["roc_auc"] == pytest.approx(in_service, abs=0.003)


def test_slices_are_those_with_enough_rows(judged):
    arrays, result = judged
    slices = [each["slice"] for each in result["models"]["pytorch"]["slices"]]
    assert slices == ["", "carrier=AA", "carrier=UA", "origin=EWR", "origin=JFK"]
    assert result["too_small"] == {"carrier=HA": int((arrays["carrier"] == "HA").sum())}


def test_a_blessing_a_framework_with_every_failure_named(judged):
    models = judged[1]["models"]
    assert models["tensorflow"]["blessed"]
    assert models["tensorflow"]["failures"] == []
    assert [each.name for each in Path(models["tensorflow"]["blessing"]).iterdir()] == ["BLESSED"]
    assert not models["pytorch"]["blessed"]
    assert [each.name for each in Path(models["pytorch"]["blessing"]).iterdir()] == ["NOT_BLESSED"]
    failures = {
        (each["slice"], each["metric"], each["change"]): each["threshold"]
        for each in models["pytorch"]["failures"]
    }
    assert failures["carrier=UA", "roc_auc", False] == "at least 0.52"
    assert failures["", "roc_auc", True] == "at most 0.01 worse than the model in service"


def worse_in_one_slice() -> dict[str, np.ndarray]:
    """Both candidates lead on all rows. In carrier UA PyTorch's is much worse than the model in service,
    TensorFlow's as good, which is worse on some rows and better on others."""
    random = np.random.default_rng(3)
    logits = random.normal(-1.2, 1.3, ROWS)
    noisy = lambda scale: 1 / (1 + np.exp(-logits - random.normal(0, scale, ROWS)))  # noqa: E731
    carrier = random.choice(["AA", "UA"], ROWS, p=[0.85, 0.15])
    candidate = lambda scale: np.where(carrier == "UA", noisy(scale), noisy(0.1))  # noqa: E731
    return {
        LABEL: (random.random(ROWS) < 1 / (1 + np.exp(-logits))).astype(np.int64),
        "tensorflow": candidate(1.0),
        "pytorch": candidate(2.4),
        "tensorflow_in_service": noisy(1.0),
        "pytorch_in_service": noisy(1.0),
        "carrier": carrier,
        "origin": random.choice(["EWR", "JFK"], ROWS),
    }


def test_a_model_that_is_worse_in_one_slice_only_is_refused_by_its_name(prepared, tmp_path):
    np.savez(tmp_path / "predictions.npz", **worse_in_one_slice())
    request = {
        "state": prepared.request["state"],
        "predictions": str(tmp_path / "predictions.npz"),
        **ASKED,
        "slices": ["carrier", "origin"],
        "baseline": True,
    }
    models = call("evaluate", request, timeout_seconds=TIMEOUT_SECONDS)["models"]
    for found in models.values():
        whole = found["slices"][0]
        assert whole["metrics"]["roc_auc"] > whole["in_service"]["roc_auc"] + 0.01
        assert whole["metrics"]["log_loss"] < whole["in_service"]["log_loss"]
    assert models["tensorflow"]["blessed"], models["tensorflow"]["failures"]
    (same,) = [each for each in models["tensorflow"]["slices"] if each["slice"] == "carrier=UA"]
    lost = same["in_service"]["roc_auc"] - same["metrics"]["roc_auc"]
    assert lost > 0.02, "beyond the bare limit, and by chance"
    assert not models["pytorch"]["blessed"]
    failures = models["pytorch"]["failures"]
    assert {(each["slice"], each["metric"]) for each in failures} == {
        ("carrier=UA", "roc_auc"),
        ("carrier=UA", "log_loss"),
    }
    for each in failures:
        assert each["change"]
        assert "worse than the model in service, noise included" in each["threshold"]


SERVERS = {"tfserving": "tensorflow", "torchserve": "pytorch"}


def infra_ids(prepared, refused=()):
    """An InfraBlessing of each server, which says yes unless it is among ``refused``."""
    servers = {
        name: {
            "label": name,
            "where": "process",
            "framework": framework,
            "model": {"path": f"artifacts/flights/1/{framework}", "sha256": framework},
            "blessed": name not in refused,
            "rows": 2000,
            "max_abs": 1e-7,
        }
        for name, framework in SERVERS.items()
    }
    request = {"state": prepared.request["state"], "servers": servers}
    found = call("infra", request, timeout_seconds=TIMEOUT_SECONDS)["servers"]
    for name, each in found.items():
        (file,) = Path(each["blessing"]).iterdir()
        assert file.name == ("INFRA_NOT_BLESSED" if name in refused else "INFRA_BLESSED")
    return {name: each["blessing_id"] for name, each in found.items()}


def push_request(prepared, blessings, infra):
    return {
        "state": prepared.request["state"],
        "case": "flights",
        "version": 1,
        "path": "artifacts/flights/1",
        "data_digest": prepared.result["validation"]["digest"],
        "spans": prepared.request["spans"],
        "spans_of_data": [1, 2, 3, 4],
        "models": {
            name: {"path": f"artifacts/flights/1/{name}", "sha256": name, "trained": trained}
            for name, trained in TRAINED.items()
        },
        "blessings": blessings,
        "infra_blessings": infra,
    }


def test_none_means_no_and_no_means_no(prepared, judged):
    ids = {name: each["blessing_id"] for name, each in judged[1]["models"].items()}
    infra = infra_ids(prepared)
    with pytest.raises(NotBlessed, match="pytorch was not blessed"):
        call("push", push_request(prepared, ids, infra), timeout_seconds=TIMEOUT_SECONDS)
    del ids["tensorflow"]
    with pytest.raises(NotBlessed, match="has no blessing of tensorflow"):
        call("push", push_request(prepared, ids, infra), timeout_seconds=TIMEOUT_SECONDS)
    request = {"state": prepared.request["state"], "case": "flights", "version": 1}
    with pytest.raises(ArtifactMissing, match="Version 1 of flights has no lineage"):
        call("lineage", request, timeout_seconds=TIMEOUT_SECONDS)


@pytest.fixture(scope="module")
def blessed(prepared, tmp_path_factory):
    """The blessings of two good models."""
    arrays = predictions()
    arrays["pytorch"] = arrays["tensorflow"]
    path = tmp_path_factory.mktemp("good") / "good.npz"
    np.savez(path, **{n: a for n, a in arrays.items() if n not in SERVICE})
    request = {**ASKED, "state": prepared.request["state"], "predictions": str(path), "slices": []}
    result = call("evaluate", request, timeout_seconds=TIMEOUT_SECONDS)
    assert not result["compared_with_service"]
    return {name: each["blessing_id"] for name, each in result["models"].items()}


def test_a_blessing_is_of_one_model_only(prepared, blessed):
    infra = infra_ids(prepared)
    request = push_request(prepared, blessed, infra)
    others = {
        "trained": "the blessing of pytorch was given to pytorch-77ab, and version 1 is of another",
        "sha256": "infra blessing of torchserve was given to another file",
    }
    for key, told in others.items():
        models = request["models"]
        another = {**models, "pytorch": {**models["pytorch"], key: "another"}}
        with pytest.raises(NotBlessed, match=f"(?i){told}"):
            call("push", {**request, "models": another}, timeout_seconds=TIMEOUT_SECONDS)


def test_a_push_that_did_not_come_about_has_no_lineage(prepared, blessed):
    request = push_request(prepared, blessed, infra_ids(prepared)) | {"version": 5, "path": "a/5"}
    wanted = {"state": request["state"], "case": "flights", "version": 5}
    recorded = call("push", request, timeout_seconds=TIMEOUT_SECONDS)
    assert recorded["new"]
    assert not call("push", request, timeout_seconds=TIMEOUT_SECONDS)["new"], "the same again"
    assert call("lineage", wanted, timeout_seconds=TIMEOUT_SECONDS)["id"] == recorded["artifact"]
    taken = {"state": request["state"], "artifact": recorded["artifact"]}
    call("take_back", taken, timeout_seconds=TIMEOUT_SECONDS)
    with pytest.raises(ArtifactMissing, match="Version 5 of flights has no lineage"):
        call("lineage", wanted, timeout_seconds=TIMEOUT_SECONDS)
    again = call("push", request, timeout_seconds=TIMEOUT_SECONDS)
    assert again["artifact"] != recorded["artifact"]
    assert call("lineage", wanted, timeout_seconds=TIMEOUT_SECONDS)["id"] == again["artifact"]


def test_lineage_leads_from_the_version_to_the_spans(prepared, blessed):
    refused = infra_ids(prepared, refused=["torchserve"])
    for infra, told in ((refused, "torchserve did not pass"), ({}, "no infra blessing of tf")):
        with pytest.raises(NotBlessed, match=told):
            call("push", push_request(prepared, blessed, infra), timeout_seconds=TIMEOUT_SECONDS)
    request = push_request(prepared, blessed, infra_ids(prepared))
    call("push", request, timeout_seconds=TIMEOUT_SECONDS)
    wanted = {"state": request["state"], "case": "flights", "version": 1}
    tree = call("lineage", wanted, timeout_seconds=TIMEOUT_SECONDS)
    assert tree["type"] == "TwinServeVersion"
    assert tree["made_by"]["type"] == "Push"
    inputs = [each["type"] for each in tree["made_by"]["inputs"]]
    assert sorted(inputs) == ["InfraBlessing"] * 2 + ["Model"] * 2 + ["ModelBlessing"] * 2
    spans = {node["properties"]["span"] for node in nodes_of(tree) if node["type"].endswith("Span")}
    assert spans == {1, 2, 3, 4}
    assert {"Examples", "TransformGraph", "Schema", "TwinServePredictions"} <= {
        node["type"] for node in nodes_of(tree)
    }


def nodes_of(tree):
    yield tree
    for each in (tree["made_by"] or {"inputs": []})["inputs"]:
        yield from nodes_of(each)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (dict.fromkeys(SERVICE), BaselineMissing, "model in service was asked for"),
        ({"pytorch": None}, EvaluationError, "lack pytorch"),
        ({"pytorch": np.full(ROWS, 2.0)}, EvaluationError, "pytorch holds what is no probability"),
        ({"pytorch": np.full(7, 0.5)}, EvaluationError, r"pytorch has shape \(7,\)"),
        ({LABEL: np.zeros(ROWS)}, EvaluationError, "both must occur"),
    ],
)
def test_predictions_that_cannot_be_judged(tmp_path, change, error, told):
    arrays = {n: a for n, a in (predictions() | change).items() if a is not None}
    np.savez(tmp_path / "p.npz", **arrays)
    request = {
        "state": str(tmp_path / "state"),
        "predictions": str(tmp_path / "p.npz"),
        **ASKED,
        "slices": ["carrier"],
        "baseline": True,
    }
    with pytest.raises(error, match=told):
        call("evaluate", request, timeout_seconds=TIMEOUT_SECONDS)
    assert not (tmp_path / "state").exists()
