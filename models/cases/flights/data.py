"""Departures of 2013 by month: trained on January to August, validated on September, tested on what came later."""

import numpy as np

from models.cases.flights.table import CATEGORICAL, LABEL, NUMERIC, raw_table
from models.contract import Tensors
from models.dataset import Dataset, Split

MONTHS = {"train": range(1, 9), "validation": range(9, 10), "test": range(10, 13)}


def load(seed: int) -> Dataset:
    """327,346 rows in the order of the schedule; nothing is drawn, so the seed changes nothing.

    Inputs are float32 (N,) with NaN where missing, and text (N,) with "" where missing; labels int64 (N,).
    """
    table = raw_table()
    return Dataset(**{name: _split(table, months) for name, months in MONTHS.items()})


def slices(inputs: Tensors) -> dict[str, np.ndarray]:
    """The groups in which both models must be good: text or whole numbers (N,) by name."""
    hours = inputs["minute_of_day"].astype(np.int64) // 60
    months = inputs["month"].astype(np.int64)
    return {
        "carrier": inputs["carrier"],
        "origin": inputs["origin"],
        "month": months,
        "hour": hours,
    }


def _split(table: dict[str, np.ndarray], months: range) -> Split:
    rows = np.isin(table["month"], months)
    inputs = {name: table[name][rows] for name in (*NUMERIC, *CATEGORICAL)}
    return Split(inputs, table[LABEL][rows])
