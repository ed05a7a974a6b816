"""The parts that need no TFX: spans, leaks, intervals, weighted rows."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from pipelines.tfx.inside.bootstrap import intervals, metrics_of
from pipelines.tfx.inside.leaks import area_under_roc, separating_columns
from pipelines.tfx.inside.predictions import Predictions, weighted_rows
from pipelines.tfx.spans import write_span


def test_a_span_is_read_back_as_the_same_float32(tmp_path):
    values = np.array([1400, np.nan, 12.65858, 1 / 3, 1e-7, 29.92], np.float32)
    words = np.array(["UA", "", 'a "b", c', "é", "x", "y"])
    file = write_span(tmp_path, 3, {"x": values, "word": words, "late": np.arange(6)})
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert file.parent.name == "span-03"
    read = np.array([float(row["x"] or "nan") for row in rows], np.float32)
    np.testing.assert_array_equal(read, values)
    assert rows[0]["x"] == "1400.0"
    assert [row["word"] for row in rows] == words.tolist()


def test_area_under_roc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    truth = random.random(500) < 0.3
    scores = np.round(random.random(500) + 0.3 * truth, 1)
    assert area_under_roc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))


def test_columns_that_know_the_label_are_found():
    random = np.random.default_rng(0)
    late = random.integers(0, 2, 400)
    columns = {
        "noise": random.normal(size=400),
        "delay": late * 30 + random.normal(size=400),
        "verdict": np.where(late, "no", "yes"),
        "many": np.arange(400).astype(str),
        "late": late,
    }
    rows = list(
        zip(*(np.asarray(each).astype(str).tolist() for each in columns.values()), strict=True)
    )
    assert set(separating_columns(list(columns), rows, "late")) == {"delay", "verdict"}


def test_metrics_are_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

    random = np.random.default_rng(1)
    late = (random.random(800) < 0.3).astype(float)
    scores = np.clip(np.round(random.random(800) * 0.5 + 0.3 * late, 2), 0.01, 0.99)
    weights = random.poisson(1.0, 800).astype(float)
    order = np.argsort(scores, kind="stable")
    found = metrics_of(late[order], scores[order], weights[order])
    kept = {"sample_weight": weights}
    assert found["roc_auc"] == pytest.approx(roc_auc_score(late, scores, **kept))
    assert found["pr_auc"] == pytest.approx(average_precision_score(late, scores, **kept))
    assert found["log_loss"] == pytest.approx(log_loss(late, scores, **kept))


def test_intervals_are_repeatable_and_hold_the_value():
    random = np.random.default_rng(2)
    late = (random.random(1000) < 0.3).astype(float)
    scores = np.clip(random.random(1000) * 0.5 + 0.2 * late, 0.01, 0.99)
    first, again = (intervals(late, scores, 7, 100) for _ in range(2))
    assert first == again
    low, high = first["roc_auc"]
    assert low < area_under_roc(scores, late == 1) < high
    assert intervals(np.zeros(9), scores[:9], 0) == {}


def test_weighted_rows_stand_for_all_rows():
    random = np.random.default_rng(3)
    late = random.integers(0, 2, 5000).astype(float)
    scores = {"pytorch": random.random(5000), "pytorch_in_service": random.random(5000)}
    table = Predictions(late, scores, {"origin": random.choice(["EWR", "JFK"], 5000)})
    masks, small = table.slices(200)
    rows = list(weighted_rows(table, masks, "pytorch"))
    assert not small
    assert len(rows) < 5000
    for (column, value), mask in masks.items():
        mine = [row for row in rows if (row["column"], row["value"]) == (column, value)]
        weights = np.array([row["candidate_weight"] for row in mine])
        assert weights.sum() == mask.sum()
        mean = weights @ [row["candidate"] for row in mine] / weights.sum()
        assert mean == pytest.approx(scores["pytorch"][mask].mean())
