"""The analyses that scikit-learn ships, split 60 / 20 / 20, stratified and seeded."""

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from models.dataset import Dataset, Split

COLUMNS = {
    "alcohol": "alcohol",
    "flavanoids": "flavanoids",
    "colour": "color_intensity",
    "hue": "hue",
    "proline": "proline",
}
"""The contract's inputs, and what scikit-learn calls them."""


def load(seed: int) -> Dataset:
    """178 rows: five inputs, float32 (N, 1), as they were measured; labels int64 (N,)."""
    wine = load_wine()
    labels = wine.target.astype(np.int64)
    train, rest = train_test_split(
        np.arange(len(labels)), train_size=0.6, stratify=labels, random_state=seed
    )
    validation, test = train_test_split(
        rest, train_size=0.5, stratify=labels[rest], random_state=seed
    )
    inputs = {
        name: wine.data[:, [wine.feature_names.index(column)]].astype(np.float32)
        for name, column in COLUMNS.items()
    }
    return Dataset(
        *(
            Split({name: rows[i] for name, rows in inputs.items()}, labels[i])
            for i in (train, validation, test)
        )
    )
