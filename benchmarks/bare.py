"""The plainest training loops: ``python -m benchmarks.bare <framework> request.json``, a process of its own.

What the pipeline's trainings are held against: the same network, rows, batch size, optimiser, threads and
number of epochs, and nothing else: no shared order of batches, no validation, no accuracy, no records but time.
Keras gets numpy arrays and ``fit(shuffle=False)``. PyTorch gets slices of tensors: a ``TensorDataset`` in a
``DataLoader`` collates row by row and is slower. One JSON line an epoch, as ``models.worker`` writes them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.case import Case, case_module, load_case
from models.dataset import Dataset
from models.framework import load_framework

OnEpoch = Callable[[int, float], None]
"""Told the epoch's number, from 1, and its seconds."""


def train_keras(case: Case, dataset: Dataset, on_epoch: OnEpoch) -> None:
    """``compile`` and ``fit``."""
    import keras  # noqa: PLC0415  # never both frameworks in one process

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            on_epoch(epoch + 1, time.perf_counter() - self.began)

    plan, network = case.training, case_module(case.name, "tensorflow").network()
    model = keras.Model(network.inputs, network.output[case.contract.logits])
    model.compile(
        keras.optimizers.Adam(plan.learning_rate, plan.beta_1, plan.beta_2, plan.epsilon),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    inputs = dict(dataset.train.inputs)
    model.fit(
        inputs if len(inputs) > 1 else next(iter(inputs.values())),
        dataset.train.labels,
        batch_size=plan.batch_size,
        shuffle=False,
        epochs=plan.epochs,
        callbacks=[Clock()],
        verbose=0,
    )


def train_pytorch(case: Case, dataset: Dataset, on_epoch: OnEpoch) -> None:
    """Forward, backward, step."""
    import torch  # noqa: PLC0415  # never both frameworks in one process

    plan, network = case.training, case_module(case.name, "pytorch").network()
    optimizer = torch.optim.Adam(
        network.parameters(), plan.learning_rate, (plan.beta_1, plan.beta_2), plan.epsilon
    )
    loss_of = torch.nn.CrossEntropyLoss()
    inputs = [torch.from_numpy(dataset.train.inputs[name]) for name in case.contract.input_names]
    labels = torch.from_numpy(dataset.train.labels)
    network.train()
    for epoch in range(plan.epochs):
        began = time.perf_counter()
        for start in range(0, len(labels), plan.batch_size):
            batch = slice(start, start + plan.batch_size)
            optimizer.zero_grad()
            logits = network(*(rows[batch] for rows in inputs))[case.contract.logits]
            loss_of(logits, labels[batch]).backward()
            optimizer.step()
        on_epoch(epoch + 1, time.perf_counter() - began)


LOOPS = {"tensorflow": train_keras, "pytorch": train_pytorch}


def main() -> int:
    """Train once; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bare", description=__doc__)
    parser.add_argument("framework", choices=sorted(LOOPS))
    parser.add_argument("request", type=Path, help="a JSON file, as for `train` of models.worker")
    arguments = parser.parse_args()
    request: Mapping[str, Any] = json.loads(arguments.request.read_text())
    load_framework(arguments.framework).runtime.prepare(request["threads"], request["seed"])
    case = load_case(request["case"], [Path(folder) for folder in request["cases_path"]])
    case = case.with_training(request["training"])
    LOOPS[arguments.framework](case, Dataset.read(Path(request["dataset"])), _say_epoch)
    return 0


def _say_epoch(number: int, seconds: float) -> None:
    line = {"progress": {"epoch": {"number": number, "seconds": seconds}}}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
