"""A framework's batches from shards, printed as JSON: ``batches_of_both.py <framework> <folder>``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from models.case import Training
from models.dataset import StoredDataset
from models.framework import load_framework

BATCH_SIZE, EPOCHS, SEEDS = 6, 2, (7, 8)


def main(framework: str, folder: Path) -> None:
    training = load_framework(framework).training
    shards = StoredDataset.open(folder).train
    found = {
        str(seed): [
            (rows["key"].numpy().tolist(), rows["x"].numpy().tolist(), labels.numpy().tolist())
            for rows, labels in training.batches(
                shards, Training(batch_size=BATCH_SIZE, seed=seed), range(EPOCHS)
            )
        ]
        for seed in SEEDS
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
