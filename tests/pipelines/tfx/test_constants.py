"""TensorFlow Transform's constants against numpy's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.tfx.worker import call

from .conftest import TIMEOUT_SECONDS

pytestmark = pytest.mark.tfx


@pytest.fixture(scope="module")
def document(prepared):
    return json.loads(Path(prepared.result["constants"]["path"]).read_text())


@pytest.fixture(scope="module")
def train(prepared):
    tables = [prepared.tables[month] for month in prepared.request["splits"]["train"]]
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def test_numbers_are_those_of_numpy(document, train):
    numeric = [name for name, values in train.items() if values.dtype == np.float32]
    assert list(document["numeric"]) == numeric
    for name in numeric:
        values = train[name].astype(np.float64)
        found = document["numeric"][name]
        # What is written as text is read back as the same float32; sums are float64 on both sides.
        assert found["mean"] == pytest.approx(np.nanmean(values), rel=1e-9)
        assert found["std"] == pytest.approx(np.nanstd(values), rel=1e-6)
        assert found["missing"] == found["mean"]


def test_vocabularies_are_those_of_numpy(document, train):
    words = ["carrier", "origin", "dest", "manufacturer"]
    assert list(document["categorical"]) == words
    for name in words:
        values, counts = np.unique(train[name][train[name] != ""], return_counts=True)
        ordered = [str(values[at]) for at in np.lexsort((values, -counts))]
        assert document["categorical"][name]["vocabulary"] == ordered


def test_only_the_train_split_counts(document, prepared):
    assert document["rows"] == 1200
    assert document["data_digest"] == prepared.result["validation"]["digest"]
    assert document["source"].startswith("tensorflow-transform ")
    assert document["format"] == 1


def test_the_graph_is_there(prepared):
    assert Path(prepared.result["constants"]["graph"], "transform_fn/saved_model.pb").exists()


@pytest.mark.slow
def test_another_local_runner_finds_the_same(prepared, tmp_path: Path):
    request = prepared.request | {
        "splits": {"train": [2]},
        "state": str(tmp_path / "state"),
        "out": str(tmp_path / "out"),
        "beam_runner": "DirectRunner",
        "beam_options": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
    }
    result = call("validate", request, timeout_seconds=TIMEOUT_SECONDS)
    ours = prepared.result["validation"]
    assert result["anomalies"] == []
    for name, stats in ours["statistics"]["spans"]["2"]["features"].items():
        other = result["statistics"]["spans"]["2"]["features"][name]
        assert other["count"] == stats["count"]
        assert other.get("mean") == pytest.approx(stats.get("mean"))
