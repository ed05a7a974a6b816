"""Rows as the flights case has them, made up; and one run of TFX over them for all tests that only look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.tfx.environment import is_ready
from pipelines.tfx.spans import write_span
from pipelines.tfx.worker import call

PROJECT = Path(__file__).resolve().parents[3]
SCHEMA = PROJECT / "models/cases/flights/schema.pbtxt"
TIMEOUT_SECONDS = 280
ROWS = 400
SPLITS = {"train": [1, 2, 3], "eval": [4]}
Table = dict[str, np.ndarray]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if is_ready():
        return
    skip = pytest.mark.skip(reason="TFX is not installed: make setup-tfx")
    for item in items:
        if item.get_closest_marker("tfx"):
            item.add_marker(skip)


def month_of_flights(month: int, rows: int = ROWS) -> Table:
    """Rows that the schema accepts, with values missing where they may be."""
    random = np.random.default_rng(month)
    numbers = {
        "month": np.full(rows, month),
        "day_of_week": random.integers(1, 8, rows),
        "minute_of_day": random.integers(300, 1440, rows),
        "scheduled_minutes": random.normal(180, 30, rows),
        "distance": np.clip(random.lognormal(6.7, 0.6, rows), 80, 3000),
        "plane_year": np.clip(random.normal(2001, 5, rows), 1960, 2013),
        "seats": random.choice([50, 140, 180], rows),
        "temp": random.normal(60, 5, rows),
        "dewp": random.normal(45, 5, rows),
        "humid": random.uniform(40, 80, rows),
        "wind_speed": random.uniform(3, 20, rows),
        "wind_gust": random.uniform(17, 30, rows),
        "precip": random.uniform(0, 0.2, rows),
        "pressure": random.normal(1015, 4, rows),
        "visib": random.uniform(5, 10, rows),
    }
    table: Table = {name: values.astype(np.float32) for name, values in numbers.items()}
    for name, share in {"wind_gust": 0.7, "plane_year": 0.15, "pressure": 0.1}.items():
        table[name][random.random(rows) < share] = np.nan
    table["carrier"] = random.choice(["AA", "B6", "DL", "UA"], rows, p=[0.2, 0.3, 0.2, 0.3])
    table["origin"] = random.choice(["EWR", "JFK", "LGA"], rows)
    table["dest"] = random.choice(["ATL", "BOS", "LAX", "ORD", "SFO"], rows)
    table["manufacturer"] = random.choice(
        ["", "AIRBUS", "BOEING", "EMBRAER"], rows, p=[0.1, 0.3, 0.4, 0.2]
    )
    table["late"] = (random.random(rows) < 0.25).astype(np.int64)
    return table


Request = dict[str, Any]


@dataclass(frozen=True)
class Prepared:
    """Healthy months, and what ``prepare`` made of them."""

    request: Request
    result: dict[str, Any]
    messages: list[Any]
    tables: dict[int, Table]


@pytest.fixture(scope="session")
def tables() -> dict[int, Table]:
    return {month: month_of_flights(month) for each in SPLITS.values() for month in each}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, tables: dict[int, Table]) -> Prepared:
    home = tmp_path_factory.mktemp("tfx")
    for month, table in tables.items():
        write_span(home / "spans", month, table)
    request = request_of(home)
    messages: list[Any] = []
    result = call("prepare", request, timeout_seconds=TIMEOUT_SECONDS, on_progress=messages.append)
    return Prepared(request, result, messages, tables)


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., Request]:
    """``asked({1: table}, splits=...)`` writes spans and gives the request for them."""

    def write(months: dict[int, Table], **changes: Any) -> Request:
        for month, table in months.items():
            write_span(tmp_path / "spans", month, table)
        return request_of(tmp_path) | changes

    return write


def request_of(home: Path) -> Request:
    return {
        "spans": str(home / "spans"),
        "splits": SPLITS,
        "schema": str(SCHEMA),
        "label": "late",
        "state": str(home / "state"),
        "out": str(home / "out"),
    }
