"""Counters and histograms in the text that Prometheus reads, spelled as TF Serving spells them.

Written here because ``prometheus_client`` appends ``_total`` to a counter's name and TF Serving's
``util/prometheus_exporter.cc`` does not.

Counting one request takes about 2 µs, whether anybody reads the numbers or not.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Labels = tuple[str, ...]

LATENCY_LIMITS = tuple(10 * 1.8**power for power in range(33))
"""Upper limits in microseconds, 10 µs to about 25 minutes: ``Buckets::Exponential(10, 1.8, 33)``."""

_ESCAPES = {ord("\\"): r"\\", ord('"'): r"\"", ord("\n"): r"\n"}


class Counter:
    """A number for each combination of labels that only grows. Safe to use from several threads.

    Args:
        name: TensorFlow's, ``/tensorflow/serving/...``.
        labels: names of the labels.
    """

    def __init__(self, name: str, labels: Labels) -> None:
        self.name = name
        self._name = _spell_name(name)
        self._labels = labels
        self._lock = threading.Lock()
        self._values: dict[Labels, int] = {}

    def add(self, values: Labels, amount: int = 1) -> None:
        """Count.

        Args:
            values: of the labels, in their order.
            amount: by how much.
        """
        with self._lock:
            self._values[values] = self._values.get(values, 0) + amount

    def first(self) -> int:
        """The number for the first labels in their order; 0 where nothing was counted."""
        with self._lock:
            return self._values[min(self._values)] if self._values else 0

    def lines(self) -> Iterator[str]:
        with self._lock:
            values = sorted(self._values.items())
        yield f"# TYPE {self._name} counter"
        for labels, value in values:
            yield f"{self._name}{{{_spell_labels(self._labels, labels)}}} {value}"


@dataclass
class _Cell:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_LIMITS) + 1))
    total: float = 0.0


class Histogram:
    """A distribution of microseconds for each combination of labels. Safe to use from several threads.

    Args:
        name: TensorFlow's, ``/tensorflow/serving/...``.
        labels: names of the labels.
    """

    def __init__(self, name: str, labels: Labels) -> None:
        self._name = _spell_name(name)
        self._labels = labels
        self._lock = threading.Lock()
        self._cells: dict[Labels, _Cell] = {}

    def add(self, values: Labels, seconds: float) -> None:
        """Count one duration, in seconds, as microseconds."""
        microseconds = seconds * 1e6
        with self._lock:
            cell = self._cells.get(values)
            if cell is None:
                cell = self._cells[values] = _Cell()
            cell.buckets[bisect_right(LATENCY_LIMITS, microseconds)] += 1
            cell.total += microseconds

    def lines(self) -> Iterator[str]:
        with self._lock:
            cells = sorted(
                (labels, tuple(cell.buckets), cell.total) for labels, cell in self._cells.items()
            )
        yield f"# TYPE {self._name} histogram"
        for values, buckets, total in cells:
            labels = _spell_labels(self._labels, values)
            count = 0
            for limit, in_bucket in zip((*LATENCY_LIMITS, None), buckets, strict=True):
                count += in_bucket
                bound = "+Inf" if limit is None else f"{limit:.6g}"
                yield f'{self._name}_bucket{{{labels},le="{bound}"}} {count}'
            yield f"{self._name}_sum{{{labels}}} {total:.3f}"
            yield f"{self._name}_count{{{labels}}} {count}"


class Metrics:
    """What is counted, under TF Serving's own names and labels.

    Attributes:
        request_count: requests to Predict over gRPC and all under ``/v1/`` over REST, by the name
            that was asked for and the status.
        request_latency: those that were answered; ``API`` is ``Predict`` over gRPC and ``predict``
            over REST, and empty for status and metadata, as there; ``entrypoint`` GRPC or REST.
        runtime_latency: of those, what the session took.
        load_attempt_count: SavedModels that were loaded, by folder, ``success`` or ``fail``.
        load_latency: microseconds that this took.
    """

    def __init__(self) -> None:
        serving, loading = "/tensorflow/serving/", "/tensorflow/cc/saved_model/"
        self.request_count = Counter(f"{serving}request_count", ("model_name", "status"))
        self.request_latency = Histogram(
            f"{serving}request_latency", ("model_name", "API", "entrypoint")
        )
        self.runtime_latency = Histogram(
            f"{serving}runtime_latency", ("model_name", "API", "runtime")
        )
        self.load_attempt_count = Counter(f"{loading}load_attempt_count", ("model_path", "status"))
        self.load_latency = Counter(f"{loading}load_latency", ("model_path",))

    def first_value(self, name: str) -> int:
        """What the answer to a reload says of a counter by its name: one value, whatever its labels.

        0 for a histogram and for a name that is not known, as in ``model_service_impl.cc``.
        """
        counters = (self.load_attempt_count, self.load_latency, self.request_count)
        return next((each.first() for each in counters if each.name == name), 0)

    def page(self) -> bytes:
        """All of it, in Prometheus's text format 0.0.4."""
        kinds: Sequence[Counter | Histogram] = (
            self.load_attempt_count,
            self.load_latency,
            self.request_count,
            self.request_latency,
            self.runtime_latency,
        )
        return "".join(f"{line}\n" for kind in kinds for line in kind.lines()).encode()


def _spell_name(name: str) -> str:
    """As ``GetPrometheusMetricName``: the slashes of TensorFlow's names become colons."""
    return re.sub(r"[^a-zA-Z0-9_]", ":", name)


def _spell_labels(names: Labels, values: Labels) -> str:
    return ",".join(
        f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True)
    )
