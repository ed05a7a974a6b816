"""The flights case: its raw rows, and what every part of it makes of them, up to all four endpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.arrays import read_arrays, write_arrays
from models.artifact import Manifest
from models.cases.flights.columns import MAY_BE_MISSING, NUMBERS, WORDS
from models.cases.flights.table import CATEGORICAL, LABEL, NUMERIC, left_out, raw_table
from models.constants import features, read_constants
from models.contract import UNSEEN, Contract
from models.dataset import Dataset
from models.framework import FRAMEWORKS
from models.predictor import predict_in_batches
from models.verbs import WEIGHTS
from pipelines.alone import check_alone, export_alone, servers_for, train_alone, verify_alone
from pipelines.conclude import recall
from pipelines.facts import DataFacts, Findings, Outcome, Trainings
from pipelines.settings import PROJECT, Settings
from pipelines.workspace import Workspace
from serving.endpoints import FRAMEWORK_OF, endpoints_of

SAMPLE = 4000
ROWS = 600
IN_MEMORY = Path(__file__).parent.parent / "answer_in_memory.py"

# ---- raw rows ----


@pytest.fixture(scope="module")
def september() -> dict[str, np.ndarray]:
    return raw_table([9])


def test_a_month_has_every_column_of_its_kind_and_nothing_else(september):
    assert list(september) == [*NUMERIC, *CATEGORICAL, LABEL]
    rows = len(september[LABEL])
    assert rows == 27_010
    assert left_out([9]) == 564
    for name in NUMERIC:
        assert (september[name].dtype, september[name].shape) == (np.float32, (rows,))
    for name in CATEGORICAL:
        assert (september[name].dtype.kind, september[name].shape) == ("U", (rows,))
    assert set(september[LABEL]) == {0, 1}
    assert set(september["month"]) == {9}


def test_rows_stand_in_the_order_of_the_schedule(september):
    days = (september["day_of_week"][1:] != september["day_of_week"][:-1]).cumsum()
    order = days * 1440 + september["minute_of_day"][1:]
    assert (np.diff(order) >= 0).all()


def test_the_first_flight_of_the_year_has_the_weather_of_the_hour_before():
    """UA1545 to Houston, scheduled 5:15 from Newark, 11 minutes late; the weather is that of 4 o'clock."""
    row = {name: rows[0] for name, rows in raw_table([1]).items()}
    assert [row[name] for name in CATEGORICAL] == ["UA", "EWR", "IAH", "BOEING"]
    assert [row[name] for name in ("month", "day_of_week", "minute_of_day")] == [1, 2, 315]
    assert row["scheduled_minutes"] == (8 * 60 + 19) - 315 + 60  # Houston's clock is an hour behind
    assert (row["distance"], row["plane_year"], row["seats"]) == (1400, 1999, 149)
    assert row["temp"] == pytest.approx(39.92)
    assert np.isnan(row["wind_gust"])
    assert row[LABEL] == 0


# ---- a small training, and every file ----


@dataclass(frozen=True)
class Flights:
    """A small sample, trained and exported."""

    space: Workspace
    data: DataFacts
    facts: Trainings
    manifest: Manifest

    @property
    def contract(self) -> Contract:
        return self.space.case.contract

    def in_memory(self, framework: str, raw: dict[str, np.ndarray], folder: Path) -> dict[str, Any]:
        """What ``answer_in_memory.py`` leaves, by its first and its second name."""
        trained = self.space.home / "training" / self.manifest.training[framework]
        request = {
            "framework": framework,
            "case": self.space.case.name,
            "cases_path": [str(folder) for folder in self.space.settings.case_folders],
            "constants": self.data.constants,
            "weights": str(trained / WEIGHTS),
            "inputs": str(folder / "raw.npz"),
            "target": str(folder / f"{framework}.npz"),
        }
        write_arrays(folder / "raw.npz", raw)
        (folder / "request.json").write_text(json.dumps(request))
        command = [sys.executable, "-W", "ignore", str(IN_MEMORY), str(folder / "request.json")]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = {}
        for key, rows in read_arrays(Path(request["target"])).items():
            kind, _, name = key.partition("/")
            found.setdefault(kind, {})[name] = rows
        return found


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory, state: Path) -> Flights:
    artifacts = tmp_path_factory.mktemp("flights").resolve()
    settings = Settings(artifacts=artifacts, state=state, sample=SAMPLE)
    changes = {"epochs": 12, "batch_size": 64, "learning_rate": 1e-3}
    space = Workspace.open("flights", settings, changes)
    data, facts = train_alone(space)
    return Flights(space, data, facts, export_alone(space))


def spoiled(flights: Flights, count: int) -> dict[str, np.ndarray]:
    """Real rows, a fifth of their values missing where they may be, and a tenth of their words unseen."""
    test = Dataset.read(Path(flights.data.path)).test.inputs
    generator = np.random.default_rng(11)
    rows = generator.integers(0, len(test["month"]), count)
    raw = {name: values[rows] for name, values in test.items()}
    for spec in flights.contract.inputs:
        gap = generator.random(count) < 0.2
        if spec.is_text:
            unseen = generator.random(count) < 0.1
            raw[spec.name] = np.where(unseen, UNSEEN, np.where(gap, "", raw[spec.name]))
        elif spec.missing:
            raw[spec.name] = np.where(gap, np.float32(np.nan), raw[spec.name])
    return raw


@pytest.mark.frameworks
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_encoding_once_and_answering_from_it_is_the_whole_network(flights, framework, tmp_path):
    raw = spoiled(flights, ROWS)
    found = flights.in_memory(framework, raw, tmp_path)
    for name, rows in found["answer"].items():
        np.testing.assert_allclose(found["halves"][name], rows, atol=1e-6)
    wanted = features(read_constants(Path(flights.data.constants), flights.contract), raw)
    encoded = found["encoded"]
    for place, name in enumerate(WORDS):
        np.testing.assert_array_equal(encoded["columns"][:, place], wanted[name])
    scaled = np.stack([wanted[name] for name in NUMBERS], axis=1).clip(-2, 2)
    np.testing.assert_allclose(encoded["numbers"][:, : len(NUMBERS)], scaled, atol=1e-6)
    told = np.stack([np.isnan(raw[name]) for name in MAY_BE_MISSING], axis=1)
    np.testing.assert_array_equal(encoded["numbers"][:, len(NUMBERS) :], told)


@pytest.mark.frameworks
def test_both_learn_the_same_at_first(flights):
    keras, torch = (facts.epochs for facts in flights.facts.trainings)
    assert keras[0].loss == pytest.approx(torch[0].loss, rel=0.05)  # dropout draws differ
    assert keras[-1].loss < keras[0].loss


@pytest.mark.frameworks
def test_the_version_holds_its_constants_and_leaves_out_what_the_case_cannot_have(flights):
    folder = flights.space.version_folder(flights.manifest.version)
    assert read_constants(folder / "constants.json", flights.contract)["rows"] == 2661
    assert [artifact.format for artifact in flights.manifest.artifacts] == [
        "SavedModel",
        "TFLite float32",
        "TorchScript",
        "MAR",
    ]


@pytest.mark.frameworks
def test_quality_is_scored_beside_the_baseline(flights):
    found = recall(flights.space, flights.manifest.version, "quality", Findings)
    assert [facts.framework for facts in found.quality] == ["tensorflow", "pytorch", None]
    assert {facts.rows for facts in found.quality} == {1009}
    assert all(0.55 < facts.roc_auc < 0.8 for facts in found.quality)
    assert [check.limit.endswith("- 0.01") for check in found.checks] == [True, True]


@pytest.mark.frameworks
def test_every_file_answers_as_in_memory(flights):
    found = verify_alone(flights.space, flights.manifest)
    assert [check for check in found.checks if check.outcome is not Outcome.PASS] == []
    assert {row.batch for row in found.parity} == {"1", "7", "all", "edge"}


@pytest.mark.frameworks
@pytest.mark.servers
def test_every_endpoint_answers_as_in_memory_and_is_firm_with_bad_requests(flights):
    found = check_alone(flights.space, flights.manifest)
    assert [check for check in found.checks if check.outcome is Outcome.FAIL] == []
    assert "numbers for strings" in {facts.request for facts in found.malformed}


@pytest.fixture(scope="module")
def endpoints(flights: Flights) -> Iterator[list[Any]]:
    with servers_for(flights.space, flights.manifest) as started:
        yield [each for server in started.servers for each in endpoints_of(server.spec)]


@pytest.mark.frameworks
@pytest.mark.servers
def test_raw_rows_get_the_in_memory_models_answer_from_all_four_endpoints(
    flights: Flights, endpoints: list[Any], tmp_path: Path
) -> None:
    raw = spoiled(flights, ROWS)
    answer: dict[str, Any] = {
        name: flights.in_memory(name, raw, tmp_path)["answer"] for name in FRAMEWORKS
    }
    assert len(endpoints) == 4
    for endpoint in endpoints:
        with endpoint.connect(flights.space.case.name, flights.contract) as client:
            served = predict_in_batches(client, raw, 250)
        for output, rows in answer[FRAMEWORK_OF[endpoint.server]].items():
            np.testing.assert_allclose(served[output], rows, atol=1e-5, err_msg=endpoint.title)
