"""One way to run a trained model in its framework's own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.predictor import Predictor


@dataclass(frozen=True)
class Runner:
    """A way to run the model.

    Attributes:
        name: for tables: ``tf.function``, ``SavedModel``, ``ONNX Runtime``.
        threads: that it may use.
        open: makes it ready; may raise whatever its framework raises.
        may_fail: whether that says something of this machine, not of the model: then it is missing, not wrong.
    """

    name: str
    threads: int
    open: Callable[[], Predictor]
    may_fail: bool = False


@dataclass(frozen=True)
class MissingRunner:
    """A way to run the model that is not there, and why, for people."""

    name: str
    reason: str
