"""How batches are formed: the file of ``--batching_parameters_file``, and the one in a version's folder.

Names and numbers are those of ``BatchingParameters`` in ``session_bundle_config.proto``; what stands
for a field that is not set, and which combinations are refused, is ``SharedBatchScheduler``'s in
TensorFlow's ``kernels/batching_util/shared_batch_scheduler.h`` and ``bundle_factory_util`` in TF
Serving.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.tfserving.embedded.options.config_files import make_message, read_text_file
from serving.tfserving.embedded.status import invalid

PER_MODEL_FILE = "batching_params.pbtxt"
"""In a version's folder, with ``--enable_per_model_batching_parameters``."""

_UNSIGNED = 2**64
FIELDS = (
    ("max_batch_size", 1, "Int64Value"),
    ("batch_timeout_micros", 2, "Int64Value"),
    ("max_enqueued_batches", 3, "Int64Value"),
    ("num_batch_threads", 4, "Int64Value"),
    ("thread_pool_name", 5, "StringValue"),
    ("allowed_batch_sizes", 6, "repeated int64"),
    ("pad_variable_length_inputs", 7, "bool"),
    ("enable_large_batch_splitting", 8, "BoolValue"),
    ("max_execution_batch_size", 9, "Int64Value"),
)


@dataclass(frozen=True)
class BatchingParameters:
    """The parameters, with the values that hold where the file has none.

    Attributes:
        max_batch_size: rows of the largest request, and of a batch unless requests are split.
        batch_timeout_micros: how long a batch with room waits for more.
        max_enqueued_batches: batches of one queue that wait for a thread.
        num_batch_threads: batches that run at a time, of all models.
        thread_pool_name: of these threads.
        allowed_batch_sizes: rows that a batch may have; it is filled up to the next of them.
        pad_variable_length_inputs: whether tensors of other lengths are filled up to the longest.
        enable_large_batch_splitting: whether a request may be spread over several batches.
        max_execution_batch_size: rows of a batch where requests are split; None for max_batch_size.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    @property
    def batch_size(self) -> int:
        """Rows that a batch can hold."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size

    def padded(self, size: int) -> int:
        """The rows that a batch of so many rows is run with."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)

    def check_threads(self) -> None:
        """Raises:
        StatusError: the server cannot start with them.
        """
        if self.num_batch_threads < 1:
            raise invalid(f"num_batch_threads must be positive; was {self.num_batch_threads}")

    def check_queue(self) -> None:
        """Raises:
        StatusError: a model cannot be loaded with them.
        """
        if self.allowed_batch_sizes and self.allowed_batch_sizes[-1] != self.max_batch_size:
            raise invalid(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{self.allowed_batch_sizes[-1]}; expected {self.max_batch_size}"
            )
        if self.max_batch_size == 0:
            raise invalid("input_batch_size_limit must be positive; was 0")
        if self.batch_timeout_micros < 0:
            raise invalid(
                f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}"
            )
        if self.max_enqueued_batches == 0:
            raise invalid("max_enqueued_batches must be positive; was 0")
        if self.max_batch_size < self.batch_size or self.batch_size < 1:
            # The three values at the end are there too: StrCat puts them after the sentence.
            raise invalid(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater "
                "than or equal to max_execution_batch_size."
                f"1{self.max_batch_size}{self.batch_size}"
            )


def read_batching_parameters(path: str | Path) -> BatchingParameters:
    """The parameters of a file; of none where the path is empty, as without the flag.

    Raises:
        StatusError: the file cannot be read, or is no text of ``BatchingParameters``.
    """
    if not path:
        return BatchingParameters(thread_pool_name="model_server_batch_threads")
    message = make_message("BatchingParameters", FIELDS)
    read_text_file(path, message)
    return read_batching_message(message)


def parameters_for(
    folder: Path, common: BatchingParameters, per_model: bool
) -> BatchingParameters | None:
    """What holds for the version in a folder; None where its requests are not batched.

    Args:
        folder: the version's.
        common: the server's.
        per_model: whether the file in the folder decides instead.

    Raises:
        StatusError: that file cannot be used.
    """
    if not per_model:
        return common
    path = folder / PER_MODEL_FILE
    return read_batching_parameters(path) if path.is_file() else None


def read_batching_message(message: Any) -> BatchingParameters:
    """What a ``BatchingParameters`` message says."""
    given: dict[str, Any] = {}
    for name, _, kind in FIELDS:
        if kind.endswith("Value") and message.HasField(name):
            given[name] = getattr(message, name).value
    given["allowed_batch_sizes"] = tuple(message.allowed_batch_sizes)
    given["pad_variable_length_inputs"] = message.pad_variable_length_inputs
    for name in ("max_batch_size", "max_enqueued_batches", "max_execution_batch_size"):
        if name in given:
            given[name] %= _UNSIGNED  # size_t there: below zero is as good as without a limit
    if not given.get("enable_large_batch_splitting") and given.get("max_enqueued_batches") == 0:
        given["max_enqueued_batches"] = 1  # ``AddQueue`` rewrites this one
    return BatchingParameters(**given)
