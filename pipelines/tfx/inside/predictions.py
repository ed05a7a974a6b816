"""What TFMA reads: labels and both models' probabilities, by slice, as few weighted rows.

TFMA goes over rows one by one in Python, 0.5 ms a row and slice. Rows that share a slice, a label and a
probability to ``BINS`` steps are one row with a weight here: ROC AUC, PR AUC and calibration of TFMA are made of
such steps anyway, and log loss changes in the fifth digit, because a row stands at its members' mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import BaselineMissing, EvaluationError

BINS = 250
OVERALL = "overall"
FRAMEWORKS = ("tensorflow", "pytorch")
IN_SERVICE = "_in_service"

Slice = tuple[str, str]
"""Column and value; ``("overall", "all")`` for all rows."""


@dataclass(frozen=True)
class Predictions:
    """Rows of a later month, as both models see them.

    Attributes:
        label: 1 where a row has the label that is scored, else 0; float64 (N,).
        scores: the probability of that label by framework, float64 (N,); with ``_in_service`` added, those of the
            model in service.
        columns: texts (N,) by slice column.
    """

    label: np.ndarray
    scores: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path, label: str, slices: Sequence[str], baseline: bool) -> Predictions:
        """Read an ``.npz``.

        Args:
            path: arrays of the label, ``tensorflow``, ``pytorch``, each slice column, and perhaps
                ``tensorflow_in_service`` and ``pytorch_in_service``.
            label: the name of the array that holds it.
            slices: names of the slice columns.
            baseline: whether the model in service must be among them.

        Raises:
            EvaluationError: an array is missing, or is not what it must be.
            BaselineMissing: ``baseline``, and there is none.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError) as error:
            raise EvaluationError(f"Predictions cannot be read from {path}: {error}.") from error
        missing = [name for name in (label, *FRAMEWORKS, *slices) if name not in arrays]
        if missing:
            raise EvaluationError(f"Predictions in {path} lack {', '.join(missing)}.")
        absent = [name for name in FRAMEWORKS if name + IN_SERVICE not in arrays]
        if baseline and absent:
            raise BaselineMissing(
                f"A comparison with the model in service was asked for, and {path} has no predictions of it for "
                f"{' and '.join(absent)}.",
                "Have the model in service predict the same rows, or evaluate without a baseline.",
            )
        known = [name for each in FRAMEWORKS for name in (each, each + IN_SERVICE)]
        scores = {name: arrays[name].astype(np.float64) for name in known if name in arrays}
        truth = arrays[label].astype(np.float64)
        _check(path, truth, scores, {name: arrays[name] for name in slices})
        return cls(truth, scores, {name: arrays[name].astype(np.str_) for name in slices})

    def slices(self, fewest: int) -> tuple[dict[Slice, np.ndarray], dict[Slice, int]]:
        """Every slice with enough rows, as a mask bool (N,); and the rows of those with too few."""
        found, small = {(OVERALL, "all"): np.ones(len(self.label), bool)}, {}
        for name, column in self.columns.items():
            for value in np.unique(column):
                mask = column == value
                if (rows := int(mask.sum())) >= fewest:
                    found[name, str(value)] = mask
                else:
                    small[name, str(value)] = rows
        return found, small


def weighted_rows(
    predictions: Predictions, masks: Mapping[Slice, np.ndarray], framework: str
) -> Iterator[dict[str, Any]]:
    """One model's rows, and those of the model in service where they are there.

    Yields:
        ``column``, ``value``, ``label``, and for candidate and baseline a score and a weight; one weight is 0.
    """
    for role, name in (("candidate", framework), ("baseline", framework + IN_SERVICE)):
        if name not in predictions.scores:
            continue
        scores = predictions.scores[name]
        bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1) * 2
        keys = bins + predictions.label.astype(np.int64)  # (N,): label and step in one number
        for (column, value), mask in masks.items():
            groups, places = np.unique(keys[mask], return_inverse=True)
            weights = np.bincount(places)
            means = np.bincount(places, scores[mask]) / weights
            for key, weight, mean in zip(groups, weights, means, strict=True):
                row = {"column": column, "value": value, "label": float(key % 2)}
                for each in ("candidate", "baseline"):
                    row |= {each: mean, f"{each}_weight": float(weight) if each == role else 0.0}
                yield row


def _check(
    path: Path,
    label: np.ndarray,
    scores: Mapping[str, np.ndarray],
    columns: Mapping[str, np.ndarray],
) -> None:
    for name, array in (*scores.items(), *columns.items()):
        if array.shape != label.shape:
            raise EvaluationError(
                f"Predictions in {path}: {name} has shape {array.shape}, the labels {label.shape}."
            )
    if set(np.unique(label)) != {0.0, 1.0}:
        raise EvaluationError(
            f"Predictions in {path}: labels must be 0 and 1, and both must occur."
        )
    for name, array in scores.items():
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise EvaluationError(f"Predictions in {path}: {name} holds what is no probability.")
