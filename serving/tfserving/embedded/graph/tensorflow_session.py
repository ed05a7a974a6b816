"""The part of TensorFlow that the server runs on: a graph in a session.

Importing this module loads TensorFlow's C++ library and its session, 600 modules instead of 3,600;
the rest of TensorFlow is not there in this process.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.tfserving.lean_tensorflow import stand_in_for_tensorflow


@contextmanager
def _quietly() -> Iterator[None]:
    """Hold back what TensorFlow's C++ side says of the machine at import; show it if import fails.

    ``TF_CPP_MIN_LOG_LEVEL`` alone does not: some lines are printed before it is read.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


# Each session has threads of its own; else the first one in the process decides for all how many
# there are within an operation (``common_runtime/local_device.cc``).
os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")

stand_in_for_tensorflow()
with _quietly():
    from tensorflow.core.protobuf.config_pb2 import CallableOptions, ConfigProto
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.python.client import session as tensorflow_session
    from tensorflow.python.framework import op_def_registry
    from tensorflow.python.framework.errors_impl import DataLossError, OpError
    from tensorflow.python.framework.importer import import_graph_def
    from tensorflow.python.framework.ops import Graph
    from tensorflow.python.lib.io._pywrap_record_io import RecordIterator

__all__ = [
    "CallableOptions",
    "ConfigProto",
    "OpError",
    "SavedModel",
    "Session",
    "SessionOptions",
    "op_def_registry",
    "open_session",
    "read_records",
]


@dataclass(frozen=True)
class SessionOptions:
    """How many threads a session may use, 0 leaves it to TensorFlow; and what else is set.

    Attributes:
        intra_op_threads: within one operation.
        inter_op_threads: operations at a time.
        config: a ``ConfigProto`` as bytes, in which these numbers do not count.
    """

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    config: bytes = b""


class Session:
    """TensorFlow's session: runs operations of one graph by name."""

    def __init__(self, graph: Any, config: Any) -> None:
        self._session = tensorflow_session.Session(graph=graph, config=config)

    def run(self, operation: str, feeds: Mapping[str, str]) -> None:
        """Run an operation for its effect.

        Raises:
            OpError: TensorFlow's error, with ``error_code`` and ``message``.
        """
        self._session.run(operation, dict(feeds))

    def prepare(self, options: Any) -> Callable[..., list[np.ndarray]]:
        """A function of the feeds' arrays, in order, that returns the fetches' arrays.

        The session's public ``run`` checks and maps names on every call; this is the same without.
        """
        call: Callable[..., list[np.ndarray]] = self._session._make_callable_from_options(options)
        return call

    def close(self) -> None:
        self._session.close()


def open_session(graph_def: Any, options: SessionOptions) -> Session:
    """A session on a graph.

    Raises:
        ValueError: the graph holds operations that this TensorFlow does not know.
    """
    graph = Graph()
    with graph.as_default():
        import_graph_def(graph_def, name="")
    config = ConfigProto.FromString(options.config)
    config.intra_op_parallelism_threads = options.intra_op_threads
    config.inter_op_parallelism_threads = options.inter_op_threads
    config.allow_soft_placement = True
    config.device_count["GPU"] = 0  # a server for processors; no complaints of missing drivers
    return Session(graph, config)


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file in the format TFRecord, held against their checksums.

    TensorFlow's reader for Python takes a record that is cut off for the end of the file; its reader
    for C++ (``lib/io/record_reader.cc``) does not, and neither does this.

    Raises:
        OpError: the file cannot be read, or a record is damaged or cut off.
    """
    offset, around = 0, 16  # bytes: length and two checksums
    for record in RecordIterator(str(path), ""):
        offset += around + len(record)
        yield bytes(record)
    if offset != path.stat().st_size:
        raise DataLossError(None, None, f"truncated record at {offset}")
