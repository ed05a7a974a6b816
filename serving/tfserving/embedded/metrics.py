"""Counters and histograms in the text that Prometheus reads, spelled as TF Serving spells them.

Written here because ``prometheus_client`` appends ``_total`` to a counter's name and TF Serving's
``util/prometheus_exporter.cc`` does not.

Counting one request takes about 2 µs, whether anybody reads the numbers or not.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Labels = tuple[str, ...]

LATENCY_LIMITS = tuple(10 * 1.8**power for power in range(33))
"""Upper limits in microseconds, 10 µs to about 25 minutes: ``Buckets::Exponential(10, 1.8, 33)``."""

_QUEUING_LIMITS = tuple(100 * 1.2**power for power in range(52))
_SIZE_LIMITS = tuple(2.0**power for power in range(14))
_EXAMPLE_LIMITS = tuple(2.0**power for power in range(15))

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
    buckets: list[int]
    total: float = 0.0


class Histogram:
    """A distribution for each combination of labels. Safe to use from several threads.

    Args:
        name: TensorFlow's, ``/tensorflow/serving/...``.
        labels: names of the labels.
        limits: upper limits of the buckets; what reaches one belongs to the next.
    """

    def __init__(self, name: str, labels: Labels, limits: Sequence[float] = LATENCY_LIMITS) -> None:
        self._name = _spell_name(name)
        self._labels = labels
        self._limits = limits
        self._lock = threading.Lock()
        self._cells: dict[Labels, _Cell] = {}

    def add(self, values: Labels, seconds: float) -> None:
        """Count one duration, in seconds, as microseconds."""
        self.count(values, seconds * 1e6)

    def count(self, values: Labels, *numbers: float) -> None:
        """Count numbers.

        Args:
            values: of the labels, in their order.
            numbers: any.
        """
        with self._lock:
            cell = self._cells.get(values)
            if cell is None:
                cell = self._cells[values] = _Cell([0] * (len(self._limits) + 1))
            for number in numbers:
                cell.buckets[bisect_right(self._limits, number)] += 1
                cell.total += number

    def lines(self) -> Iterator[str]:
        with self._lock:
            cells = sorted(
                (labels, tuple(cell.buckets), cell.total) for labels, cell in self._cells.items()
            )
        yield f"# TYPE {self._name} histogram"
        for values, buckets, total in cells:
            labels = _spell_labels(self._labels, values)
            before = f"{labels}," if labels else ""
            count = 0
            for limit, in_bucket in zip((*self._limits, None), buckets, strict=True):
                count += in_bucket
                bound = "+Inf" if limit is None else f"{limit:.6g}"
                yield f'{self._name}_bucket{{{before}le="{bound}"}} {count}'
            yield f"{self._name}_sum{{{labels}}} {total:.3f}"
            yield f"{self._name}_count{{{labels}}} {count}"


class BatchingMetrics:
    """What ``batching_session.cc`` counts.

    The label ``thread_pool_name`` is always empty, for there the session is not told.
    """

    def __init__(self) -> None:
        name = "/tensorflow/serving/batching_session/"
        self._input_size = Histogram(f"{name}input_batch_size", (), _SIZE_LIMITS)
        self._padding = Histogram(f"{name}padding_size", ("execution_batch_size",), _SIZE_LIMITS)
        self._run_size = Histogram(f"{name}processed_batch_size", (), _SIZE_LIMITS)
        self._queuing = Histogram(f"{name}queuing_latency", ("thread_pool_name",), _QUEUING_LIMITS)
        self._runs = Counter(f"{name}wrapped_run_count", ())
        self.kinds: tuple[Counter | Histogram, ...] = (
            self._input_size,
            self._padding,
            self._run_size,
            self._queuing,
            self._runs,
        )

    def count_request(self, rows: int, tensors: int) -> None:
        """A request has come; each of its tensors counts, as there."""
        self._input_size.count((), *([rows] * tensors))

    def count_start(self, waits_seconds: Iterable[float], rows: int, padded: int) -> None:
        """A batch is run.

        Args:
            waits_seconds: how long each part of a request waited.
            rows: of all of them.
            padded: rows with which it is run.
        """
        self._queuing.count(("",), *(seconds * 1e6 for seconds in waits_seconds))
        self._padding.count((str(padded),), padded - rows)
        self._run_size.count((), padded)

    def count_run(self) -> None:
        """The session has answered a batch or failed."""
        self._runs.add(())


class Metrics:
    """What is counted, under TF Serving's own names and labels.

    Attributes:
        request_count: requests to Predict, Classify and Regress over gRPC and all under ``/v1/`` over
            REST, by the name that was asked for and the status.
        request_latency: those that were answered; ``API`` is ``Predict`` over gRPC and ``predict``
            over REST, and empty for status and metadata, as there; ``entrypoint`` GRPC or REST.
        runtime_latency: of those, and of recorded requests, what the session took.
        example_counts: examples of each MultiInference request; other requests are not counted there.
        example_total: their sum.
        load_attempt_count: SavedModels that were loaded, by folder, ``success`` or ``fail``.
        load_latency: microseconds that this took.
        warmup_latency: what answering a version's recorded requests took, by folder and how it ended.
        warmup_records: how many these were.
        batching: of batches.
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
        self.example_counts = Histogram(
            f"{serving}request_example_counts", ("model",), _EXAMPLE_LIMITS
        )
        self.example_total = Counter(f"{serving}request_example_count_total", ("model",))
        self.load_attempt_count = Counter(f"{loading}load_attempt_count", ("model_path", "status"))
        self.load_latency = Counter(f"{loading}load_latency", ("model_path",))
        warmup = ("model_path", "status")
        self.warmup_latency = Histogram(f"{serving}model_warmup_latency", warmup)
        self.warmup_records = Counter(f"{serving}model_warmup_records_read", warmup)
        self.batching = BatchingMetrics()
        self._kinds: tuple[Counter | Histogram, ...] = (
            self.load_attempt_count,
            self.load_latency,
            *self.batching.kinds,
            self.warmup_latency,
            self.warmup_records,
            self.request_count,
            self.example_total,
            self.example_counts,
            self.request_latency,
            self.runtime_latency,
        )

    def count_examples(self, model: str, number: int) -> None:
        """A request of so many examples was answered by the session."""
        self.example_counts.count((model,), number)
        self.example_total.add((model,), number)

    def first_value(self, name: str) -> int:
        """What the answer to a reload says of a counter by its name: one value, whatever its labels.

        0 for a histogram and for a name that is not known, as in ``model_service_impl.cc``.
        """
        counters = (kind for kind in self._kinds if isinstance(kind, Counter))
        return next((each.first() for each in counters if each.name == name), 0)

    def page(self) -> bytes:
        """All of it, in Prometheus's text format 0.0.4."""
        return "".join(f"{line}\n" for kind in self._kinds for line in kind.lines()).encode()


def _spell_name(name: str) -> str:
    """As ``GetPrometheusMetricName``: the slashes of TensorFlow's names become colons."""
    return re.sub(r"[^a-zA-Z0-9_]", ":", name)


def _spell_labels(names: Labels, values: Labels) -> str:
    return ",".join(
        f'{name}="{value.translate(_ESCAPES)}"' for name, value in zip(names, values, strict=True)
    )
