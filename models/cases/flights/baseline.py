"""The baseline: gradient boosting on the same raw rows, with categories and gaps as its own.

Boosted trees are what tabular data are usually given to first; a network that loses to them has no case.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from models.cases.flights.table import CATEGORICAL, NUMERIC
from models.contract import Tensors
from models.dataset import Dataset


def score(dataset: Dataset, seed: int) -> np.ndarray:
    """Train on the train split, stop by the validation split, answer the test split.

    Returns:
        float64 (N,): the probability of "late".
    """
    known = {name: np.unique(dataset.train.inputs[name]) for name in CATEGORICAL}
    train, validation, test = (
        _matrix(split.inputs, known) for split in (dataset.train, dataset.validation, dataset.test)
    )
    trees = HistGradientBoostingClassifier(
        categorical_features=[name in known for name in (*NUMERIC, *CATEGORICAL)],
        learning_rate=0.05,
        max_iter=400,
        early_stopping=True,
        random_state=seed,
    )
    trees.fit(train, dataset.train.labels, X_val=validation, y_val=dataset.validation.labels)
    probabilities: np.ndarray = trees.predict_proba(test)[:, 1]
    return probabilities


def _matrix(inputs: Tensors, known: Tensors) -> np.ndarray:
    """Numbers as they are, words as places among those of the train split; missing and unseen ones NaN."""
    numbers = [inputs[name] for name in NUMERIC]
    return np.stack([*numbers, *(_codes(inputs[name], known[name]) for name in known)], axis=1)


def _codes(words: np.ndarray, known: np.ndarray) -> np.ndarray:
    places = np.searchsorted(known, words).clip(max=len(known) - 1)
    there = (known[places] == words) & (words != "")
    return np.where(there, places, np.nan).astype(np.float32)
