"""A case: one problem, its data, its hyper-parameters, its tolerances and its two networks.

A case is a folder with four files: ``case.py`` (a ``CASE``), ``data.py`` (a ``load``), ``tensorflow.py`` and
``pytorch.py`` (a ``network`` each). A case that is held against a baseline has a fifth, ``baseline.py`` (a
``score``). ``docs/bring-your-own-model.md`` walks through one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import models.cases
from models.contract import Contract
from models.dataset import SPLITS, Dataset, Parts, Split, check_split, share
from models.errors import CaseError, UnknownCase
from models.formats import MAY_BE_ABSENT, Format
from models.parity import Tolerance
from models.shards import Shards
from models.split import joined, spread_over

FILES = ("case.py", "data.py", "tensorflow.py", "pytorch.py")
BASELINE = "baseline.py"
SCHEMA = "schema.pbtxt"


@dataclass(frozen=True)
class Training:
    """How both networks are trained. Both frameworks are set to these very numbers.

    Attributes:
        epochs: passes over the training split.
        batch_size: rows a step; the last step of an epoch may be smaller.
        learning_rate: Adam's.
        beta_1: Adam's decay of the first moment.
        beta_2: Adam's decay of the second moment.
        epsilon: Adam's; Keras' default is 1e-7 and PyTorch's 1e-8, so it is always set.
        seed: initial weights, the order of batches, and dropout.
        decay: whether the learning rate falls to 0, in a straight line over all steps.
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    seed: int = 7
    decay: bool = False

    def steps(self, rows: int) -> int:
        """Steps of an epoch over so many rows."""
        return -(-rows // self.batch_size)


@dataclass(frozen=True)
class Tolerances:
    """What every comparison of the case is held to."""

    before_training: Tolerance = field(default_factory=lambda: Tolerance(atol=1e-5))
    transplant: Tolerance = field(default_factory=lambda: Tolerance(atol=1e-4))
    float32: Tolerance = field(default_factory=lambda: Tolerance(atol=1e-4, rtol=1e-4))
    int8: Tolerance = field(
        default_factory=lambda: Tolerance(
            atol=2.0, rtol=0.0, min_label_agreement=0.97, max_accuracy_drop=0.02
        )
    )
    cross_framework: Tolerance = field(
        default_factory=lambda: Tolerance(
            atol=None, min_label_agreement=0.95, max_accuracy_drop=0.03
        )
    )

    def of(self, subject: str) -> Tolerance:
        """What a file or a runner of that name is held to: integer files have their own bounds."""
        return self.int8 if subject == Format.TFLITE_INT8 else self.float32


@dataclass(frozen=True)
class Quality:
    """How good the probabilities of a two-class case must be, held against a baseline of another kind.

    Attributes:
        positive: the label whose probability is scored.
        max_auc_loss: how far each network's ROC AUC may be below the baseline's.
        baseline: what the baseline is, for people.
        called: what rows of that label are called, for people: "late flights".
    """

    positive: str
    max_auc_loss: float = 0.01
    baseline: str = "baseline"
    called: str = ""


@dataclass(frozen=True)
class Case:
    """One problem.

    Attributes:
        name: the folder's name; also the served model's name.
        title: one line for people.
        contract: inputs and outputs.
        min_test_accuracy: what each framework must reach on the test split, 0 to 1; None where accuracy says
            little, and ``quality`` says more.
        training: hyper-parameters.
        calibration_rows: training rows that set the ranges of the int8 file.
        tolerances: bounds of the comparisons.
        compared_rows: rows of the test split, evenly spread, on which networks, files and servers are compared.
        constants: whether preprocessing needs constants of the train split (see ``models.constants``); ``network``
            is then called with them.
        quality: what is asked of the probabilities; the case's ``baseline.py`` is held beside them.
        absent: by format that the case does without, the reason.
        span: the input whose whole numbers tell the spans of the data apart, such as months; with one, TFX holds
            each of them against the case's ``schema.pbtxt``, computes the constants, and judges both models on
            the slices that ``data.slices`` names. Empty for a case without.
        packages: distributions that the data come from; another version of one makes everything anew.
    """

    name: str
    title: str
    contract: Contract
    min_test_accuracy: float | None
    training: Training = field(default_factory=Training)
    calibration_rows: int = 256
    tolerances: Tolerances = field(default_factory=Tolerances)
    compared_rows: int = 1000
    constants: bool = False
    quality: Quality | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    span: str = ""
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for form in self.absent:
            if form not in MAY_BE_ABSENT:
                raise CaseError(
                    f"The case {self.name!r} cannot do without {form!r}; it may leave out "
                    f"{', '.join(MAY_BE_ABSENT)}."
                )
        labels = self.contract.labels
        if self.quality and (len(labels) != 2 or self.quality.positive not in labels):
            raise CaseError(
                f"The case {self.name!r} scores {self.quality.positive!r}; that needs two labels, and it "
                f"among them, and they are {list(labels)}."
            )

        if self.span and (self.span not in self.contract.input_names or not self.quality):
            raise CaseError(
                f"The case {self.name!r} has spans by {self.span!r}; that must be one of its inputs, and it needs "
                "a `quality`."
            )

    @property
    def label_column(self) -> str:
        """The label that is scored, which is also the name of its column in the spans; empty without one."""
        return self.quality.positive if self.quality else ""

    @property
    def share_called(self) -> str:
        """What the share of rows of that label is called, for people: "share of late flights"."""
        called = self.quality.called if self.quality else ""
        return f"share of {called or f'rows labelled {self.label_column!r}'}"

    def compared(self, split: Split | Shards) -> Split:
        """The rows of a split on which everything is compared."""
        return split.spread(self.compared_rows)

    def with_training(self, changes: Mapping[str, Any]) -> Case:
        """The same case with other hyper-parameters, fields of ``Training`` by name."""
        return replace(self, training=replace(self.training, **changes))


def case_names(folders: Iterable[Path] = ()) -> list[str]:
    """Names of all cases: ours, then those in ``folders``."""
    homes = [Path(path) for path in models.cases.__path__] + list(folders)
    return sorted({path.parent.name for home in homes for path in home.glob("*/case.py")})


def load_case(name: str, folders: Iterable[Path] = ()) -> Case:
    """Find and import ``<folder>/<name>/case.py``.

    Args:
        name: the case's name.
        folders: more homes of cases, beside ``models/cases``.

    Raises:
        UnknownCase: no such folder.
        CaseError: the folder lacks a file, or its ``case.py`` holds no ``CASE`` of that name.
    """
    folders = list(folders)
    if name not in case_names(folders):
        raise UnknownCase(
            f"There is no case {name!r}; there is {', '.join(case_names(folders))}.",
            "Choose one with CASE=<name>, or add a folder as docs/bring-your-own-model.md shows.",
        )
    _admit(folders)
    folder = case_folder(name)
    _check_files(name, folder, FILES)
    case = getattr(case_module(name, "case"), "CASE", None)
    if not isinstance(case, Case) or case.name != name:
        raise CaseError(f"{folder / 'case.py'} must define CASE = Case(name={name!r}, ...).")
    if case.quality:
        _check_files(name, folder, (BASELINE,))
    if case.span:
        _check_files(name, folder, (SCHEMA,))
    return case


def load_dataset(case: Case, sample: int | None = None) -> Dataset:
    """The same in memory: see :func:`load_parts`."""
    found: dict[str, list[Split]] = {}
    for name, part in load_parts(case, sample):
        found.setdefault(name, []).append(part)
    return Dataset(**{name: joined(parts) for name, parts in found.items()})


def load_parts(case: Case, sample: int | None = None) -> Iterator[tuple[str, Split]]:
    """The case's rows by its own ``data.py``, part by part; always the same for the same seed.

    Args:
        case: the case. Its ``load`` returns a ``Dataset``, or, where the rows are more than memory holds, yields
            the name of a split and some of its rows as often as it likes.
        sample: so many rows of all splits together, evenly spread; all of them for None.

    Raises:
        CaseError: the rows disagree with the contract.
    """
    load = case_function(case.name, "data", "load")
    loaded = load(case.training.seed)
    if isinstance(loaded, Dataset):
        loaded.check(case.contract)
        yield from (loaded if sample is None else loaded.sample(sample)).parts()
        return
    if not isinstance(loaded, Iterable):
        raise CaseError(
            f"load() of {case.name!r} gave {type(loaded).__name__}; it must return a Dataset or yield its rows in "
            "parts."
        )
    taken = None if sample is None else _places(loaded, sample)
    passed = dict.fromkeys(SPLITS, 0)
    for name, part in loaded if taken is None else load(case.training.seed):
        if name not in SPLITS:
            raise CaseError(f"A part of {case.name!r}: {name!r} is not one of {', '.join(SPLITS)}.")
        if len(part) == 0:
            continue
        check_split(name, part, case.contract)
        yield name, part if taken is None else part.rows(_within(taken[name], passed[name], part))
        passed[name] += len(part)


def _places(parts: Parts, sample: int) -> dict[str, np.ndarray]:
    """By split, the places of the rows that are taken; for that, all of them are counted first."""
    whole: dict[str, int] = {}
    for name, part in parts:
        whole[name] = whole.get(name, 0) + len(part)
    return {name: spread_over(rows, share(sample, whole, name)) for name, rows in whole.items()}


def _within(places: np.ndarray, passed: int, part: Split) -> np.ndarray:
    """Those of the places that lie in the part, counted from its beginning."""
    here: np.ndarray = places[(places >= passed) & (places < passed + len(part))] - passed
    return here


def case_module(name: str, part: str) -> ModuleType:
    """One of a case's four files, imported when it is asked for.

    Raises:
        CaseError: the file cannot be imported, or its syntax is wrong.
    """
    try:
        return importlib.import_module(f"models.cases.{name}.{part}")
    except (ImportError, SyntaxError, NameError, AttributeError, TypeError) as error:
        raise CaseError(
            f"{case_folder(name) / part}.py cannot be imported: {type(error).__name__}: {error}."
        ) from error


def case_function(name: str, part: str, function: str) -> Callable[..., Any]:
    """A function that one of a case's files must define.

    Raises:
        CaseError: it does not.
    """
    found = getattr(case_module(name, part), function, None)
    if not callable(found):
        raise CaseError(f"{case_folder(name) / part}.py must define {function}().")
    made: Callable[..., Any] = found
    return made


def case_folder(name: str) -> Path:
    """Where a case lives.

    Raises:
        UnknownCase: nowhere.
    """
    for home in models.cases.__path__:
        if (Path(home) / name / "case.py").exists():
            return Path(home) / name
    raise UnknownCase(f"There is no case {name!r}.")


def _check_files(name: str, folder: Path, files: Iterable[str]) -> None:
    missing = [file for file in files if not (folder / file).exists()]
    if missing:
        raise CaseError(
            f"The case {name!r} lacks {', '.join(missing)} in {folder}.",
            "docs/bring-your-own-model.md shows the files of a case.",
        )


def _admit(folders: Iterable[Path]) -> None:
    """Let ``models.cases`` be spread over more folders, as a namespace package is."""
    for folder in folders:
        if str(folder) not in models.cases.__path__:
            models.cases.__path__.append(str(folder))
