"""Spans: the files that TFX reads, one folder a month: ``span-03/flights.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.artifact import whole_folder

FILE = "flights.csv"


def span_folder(number: int) -> str:
    """The folder's name: ``span-03``."""
    return f"span-{number:02}"


def write_span(home: Path, number: int, table: Mapping[str, np.ndarray]) -> Path:
    """Write one span, whole or not at all.

    Args:
        home: the folder of all spans.
        number: counts from 1; a month.
        table: columns of one length (N,): float32 with NaN for missing, text with "" for missing, int64.

    Returns:
        its file. A float is written so that it is read back as the same float32, and always with a point: TFX
        infers from the text whether a column holds whole numbers.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    columns = {name: _texts(values) for name, values in table.items()}
    with (
        whole_folder(home / span_folder(number)) as partial,
        (partial / FILE).open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return home / span_folder(number) / FILE


def _texts(values: np.ndarray) -> list[str]:
    texts = values.astype(np.str_)
    if np.issubdtype(values.dtype, np.floating):
        texts = np.where(np.isnan(values), "", texts)
    found: list[str] = texts.tolist()
    return found
