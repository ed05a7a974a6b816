"""Who is asked: both servers over both protocols, and the TFLite files in this process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from models.contract import Contract, Tensors
from models.errors import TwinServeError
from models.lite import TFLitePredictor
from serving.endpoints import Client
from serving.tfserving.client import GrpcClient as TfServingGrpc


@dataclass(frozen=True)
class Reply:
    """Outputs by contract name, each (N, ...), and the version that gave them; None where nobody says."""

    outputs: Tensors
    version: int | None


class Engine(Protocol):
    """Something that answers.

    Attributes:
        key: short name, unique: ``tfserving-grpc``, ``tflite-int8``.
        label: what really runs, for people: "TF Serving API (embedded)".
    """

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...

    def ask(self, inputs: Tensors) -> Reply:
        """Answer a batch.

        Raises:
            TwinServeError: it cannot.
        """
        ...


@dataclass(frozen=True)
class ServerEngine:
    """A server over one protocol.

    ``version`` is what the server said of itself last; TF Serving's gRPC answers state their own.
    """

    key: str
    label: str
    client: Client
    version: int | None

    def ask(self, inputs: Tensors) -> Reply:
        if isinstance(self.client, TfServingGrpc):
            outputs, stated = self.client.predict_with_version(inputs)
            return Reply(outputs, stated or self.version)
        return Reply(self.client.predict(inputs), self.version)


class FileEngine:
    """A TFLite file in this process. Its interpreter serves one thread at a time."""

    def __init__(self, key: str, label: str, predictor: TFLitePredictor, version: int) -> None:
        self.key = key
        self.label = label
        self.version = version
        self._predictor = predictor
        self._lock = threading.Lock()

    def ask(self, inputs: Tensors) -> Reply:
        with self._lock:
            return Reply(self._predictor.predict(inputs), self.version)


@dataclass(frozen=True)
class Absent:
    """An engine that cannot be asked now, and why; ``for_good`` where the case does without it."""

    key: str
    label: str
    why: str
    for_good: bool = False

    def ask(self, inputs: Tensors) -> Reply:
        raise Silent(self.why, for_good=self.for_good)


class Silent(TwinServeError):
    """It is known to be down, so it was not even asked."""

    def __init__(self, message: str, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


def answer(engine: Engine, inputs: Tensors, contract: Contract) -> dict[str, Any]:
    """One engine's answer to one row, as the page shows it; an error is an answer too.

    Returns:
        ``engine``, ``label``, and either ``scores`` float32 (classes,), ``winner``, ``version`` and
        ``milliseconds``, or ``problem`` and whether it is ``absent`` for good.
    """
    said: dict[str, Any] = {"engine": engine.key, "label": engine.label}
    began = time.perf_counter()
    try:
        reply = engine.ask(inputs)
        scores = np.asarray(reply.outputs[contract.scores], np.float32)[0]
        if not np.isfinite(scores).all():
            return {**said, "problem": "The answer is not a number."}
    except TwinServeError as error:
        absent = isinstance(error, Silent) and error.for_good
        return {**said, "problem": error.message, "absent": absent}
    except (RuntimeError, ValueError, LookupError) as error:
        # A client that was closed under its question, because its server was exchanged.
        return {**said, "problem": f"{type(error).__name__}: {error}"}
    return {
        **said,
        "scores": scores,
        "winner": int(scores.argmax()),
        "version": reply.version,
        "milliseconds": (time.perf_counter() - began) * 1000,
    }
