"""``python -m benchmarks.server.in_process HOME``: what TensorFlow does in a process of its own, without a server.

Prints one JSON object: the quickest call of the digits network by batch size, what the best JSON
library takes to parse a batch of about 1 MB, and how often a second the 100 MB network can be called at all.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import tensorflow as tf
from tensorflow.core.protobuf.config_pb2 import CallableOptions

from benchmarks.server.subject import Subject
from serving.wire.rows import encode_rows

SECONDS = 1.5
LARGE_BYTES = 2**20
IN_CALLING_THREAD = -1
HEAVY = "mlp"
HEAVY_ROWS = (1, 32)
PROCESSORS = len(os.sched_getaffinity(0))

Call = Callable[[np.ndarray], object]


def main(home: Path) -> None:
    """Measure and print."""
    # Else the first session decides for all how many threads work within an operation.
    os.environ["TF_OVERRIDE_GLOBAL_THREADPOOL"] = "1"
    subject = Subject.read("digits", home)
    calls = _calls(subject)
    large = rows_of_bytes(subject, LARGE_BYTES)
    body = encode_rows({subject.input_name: subject.batches(large)[0]})
    sizes = (1, 32, large)
    fastest = {size: _fastest(calls, subject.batches(size)[0]) for size in sizes}
    found = {
        "call_ms": {str(size): fastest[size][1] for size in sizes},
        "way": {str(size): fastest[size][0] for size in sizes},
        "large_rows": large,
        "large_bytes": len(body),
        "large_parse_ms": _median_ms(lambda: orjson.loads(body)),
        **_heavy_rates(Subject.read(HEAVY, home)),
        "processors": PROCESSORS,
    }
    print(json.dumps(found))


def rows_of_bytes(subject: Subject, size: int) -> int:
    """How many rows make a request of about that many bytes of JSON."""
    return round(size / (len(encode_rows({subject.input_name: subject.rows})) / len(subject.rows)))


def _calls(subject: Subject) -> dict[str, Call]:
    """Every way to call; the quickest is the limit."""
    function = tf.saved_model.load(str(subject.folder)).signatures["serving_default"]
    name = subject.input_name
    return {
        "concrete function": lambda rows: {
            key: value.numpy() for key, value in function(**{name: tf.constant(rows)}).items()
        },
        "session": _session_call(subject, 0),
        "session, in the calling thread": _session_call(subject, IN_CALLING_THREAD),
    }


def _session_call(subject: Subject, pool: int, threads: int = 0) -> Call:
    """``threads`` work within an operation; 0 leaves it to TensorFlow."""
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads)
    session: Any = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    with session.graph.as_default():
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(subject.folder))
    signature = meta.signature_def["serving_default"]
    options = CallableOptions()
    options.feed.append(signature.inputs[subject.input_name].name)
    options.fetch.extend(each.name for each in signature.outputs.values())
    options.run_options.inter_op_thread_pool = pool
    call: Call = session._make_callable_from_options(options)
    return call


def _heavy_rates(subject: Subject) -> dict[str, dict[str, float]]:
    """By rows: calls a second of the way that does most, for one caller and for as many as do most.

    Callers are one or as many as there are processors; operations on all processors or each in its
    caller's thread.
    """
    shared = _session_call(subject, 0)
    alone = _session_call(subject, IN_CALLING_THREAD, threads=1)
    most, of_one = {}, {}
    for rows in HEAVY_ROWS:
        batch = subject.batches(rows)[0]
        rates = {
            count: max(_rate(partial(call, batch), count) for call in (shared, alone))
            for count in {1, PROCESSORS}
        }
        most[str(rows)], of_one[str(rows)] = max(rates.values()), rates[1]
    return {"heavy_rate": most, "heavy_rate_of_one": of_one}


def _rate(work: Callable[[], object], threads: int) -> float:
    _repeat(work, SECONDS / 5)
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        done = sum(map(len, pool.map(lambda _: _repeat(work, SECONDS), range(threads))))
        return done / (time.perf_counter() - began)


def _fastest(calls: dict[str, Call], rows: np.ndarray) -> tuple[str, float]:
    times = {way: _median_ms(partial(call, rows)) for way, call in calls.items()}
    return min(times.items(), key=lambda each: each[1])


def _median_ms(work: Callable[[], object]) -> float:
    _repeat(work, SECONDS / 5)
    # Bare: no collection of this process's many objects among the calls.
    gc.collect()
    gc.disable()
    times = _repeat(work, SECONDS / 3)
    gc.enable()
    return statistics.median(times) * 1000


def _repeat(work: Callable[[], object], seconds: float) -> list[float]:
    """The seconds of each call; at least one."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while not times or time.perf_counter() < until:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    main(Path(sys.argv[1]))
