"""The verbs that TensorFlow and PyTorch both have, and how to get hold of them.

``frameworks/tensorflow`` and ``frameworks/pytorch`` are twins: the same four modules with the same functions
and signatures. Neither is imported before it is asked for, and never both in one process: importing
``torch._dynamo`` after ``tensorflow`` crashes the interpreter on the pinned versions.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from models.case import Case, Training
from models.constants import Constants
from models.contract import Contract, Tensors
from models.dataset import Split, StoredDataset
from models.errors import SettingsError
from models.predictor import Predictor
from models.runner import MissingRunner, Runner
from models.shards import Shards
from models.weights import Shapes

FrameworkName = Literal["tensorflow", "pytorch"]
FRAMEWORKS: tuple[FrameworkName, FrameworkName] = ("tensorflow", "pytorch")
TITLES: dict[FrameworkName, str] = {"tensorflow": "Keras", "pytorch": "PyTorch"}
MODULES = ("training", "export", "runtime", "runners")

Network = Any
"""A ``keras.Model`` or a ``torch.nn.Module``; nobody but its framework looks inside."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: mean cross-entropy in nats a row, accuracy 0 to 1, and its time without validation."""

    number: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


EpochListener = Callable[[EpochRecord], None]


class TrainingVerbs(Protocol):
    """``frameworks/<name>/training.py``"""

    def build(self, case: Case, constants: Constants | None = None) -> Network: ...
    def weight_shapes(self, network: Network) -> Shapes: ...
    def load_weights(self, network: Network, weights: Tensors) -> None: ...
    def read_weights(self, network: Network) -> dict[str, Any]: ...
    def as_predictor(self, network: Network, contract: Contract) -> Predictor: ...
    def batches(self, shards: Shards, plan: Training, epochs: Iterable[int]) -> Iterable[Any]: ...
    def train(
        self,
        network: Network,
        case: Case,
        dataset: StoredDataset,
        scratch: Path,
        on_epoch: EpochListener,
    ) -> list[EpochRecord]: ...


class ExportVerbs(Protocol):
    """``frameworks/<name>/export.py``"""

    def export(
        self,
        network: Network,
        contract: Contract,
        calibration: Split,
        folder: Path,
        absent: Collection[str] = (),
    ) -> dict[str, str]: ...
    def write_noop(self, contract: Contract, answer: Tensors, folder: Path) -> dict[str, str]: ...


class RuntimeVerbs(Protocol):
    """``frameworks/<name>/runtime.py``"""

    def prepare(self, threads: int, seed: int) -> None: ...
    def label(self) -> str: ...
    def open_artifact(self, path: Path, format_name: str, contract: Contract) -> Predictor: ...


class RunnerVerbs(Protocol):
    """``frameworks/<name>/runners.py``"""

    def runners(
        self,
        network: Network,
        contract: Contract,
        artifacts: Mapping[str, Path],
        threads: Sequence[int],
    ) -> list[Runner | MissingRunner]: ...


@dataclass(frozen=True)
class Framework:
    """One framework's verbs."""

    name: str
    training: TrainingVerbs
    export: ExportVerbs
    runtime: RuntimeVerbs
    runners: RunnerVerbs


def load_framework(name: str) -> Framework:
    """Import a framework. Once a process: see the module's docstring.

    Raises:
        SettingsError: there is no framework of that name.
    """
    if name not in FRAMEWORKS:
        raise SettingsError(f"There is no framework {name!r}; there is {', '.join(FRAMEWORKS)}.")
    training, export, runtime, runners = (
        importlib.import_module(f"models.frameworks.{name}.{module}") for module in MODULES
    )
    return Framework(
        name,
        cast(TrainingVerbs, training),
        cast(ExportVerbs, export),
        cast(RuntimeVerbs, runtime),
        cast(RunnerVerbs, runners),
    )
