"""The scans that scikit-learn ships, split 60 / 20 / 20, stratified and seeded."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from models.dataset import Dataset, Split


def load(seed: int) -> Dataset:
    """1,797 rows: ``image`` float32 (N, 8, 8, 1) from 0 to 16; labels int64 (N,)."""
    scans = load_digits()
    images = scans.images[..., np.newaxis].astype(np.float32)
    labels = scans.target.astype(np.int64)
    train, rest = train_test_split(
        np.arange(len(labels)), train_size=0.6, stratify=labels, random_state=seed
    )
    validation, test = train_test_split(
        rest, train_size=0.5, stratify=labels[rest], random_state=seed
    )
    return Dataset(*(Split({"image": images[i]}, labels[i]) for i in (train, validation, test)))
