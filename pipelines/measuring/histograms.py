"""HDR histograms as files: every latency of a scenario, to three significant digits.

They are in the log format of HdrHistogram. Other programs read it: HistogramLogProcessor,
hdr-plot, and the ``hdrh`` package of Python.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

from models.artifact import write_text

LARGEST_US = 3_600_000_000
DIGITS = 3


def write_histogram(path: Path, title: str, latencies_ms: np.ndarray) -> None:
    """Write latencies in microseconds.

    Args:
        path: ``....hlog``.
        title: a comment in the file.
        latencies_ms: (N,).
    """
    histogram = HdrHistogram(1, LARGEST_US, DIGITS)
    micros = np.clip(np.rint(latencies_ms * 1000).astype(np.int64), 1, LARGEST_US)
    for value, count in zip(*np.unique(micros, return_counts=True), strict=True):
        histogram.record_value(int(value), int(count))
    text = io.StringIO()
    text.write(f"#[{title}; values are microseconds]\n")
    text.write("#[Histogram log format version 1.2]\n")
    text.write(
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
    )
    HistogramLogWriter(text).output_interval_histogram(histogram, max_value_unit_ratio=1000.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
