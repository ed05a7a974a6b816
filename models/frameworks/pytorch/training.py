"""Build, fill and train a PyTorch network."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from models.batches import blocks
from models.case import Case, Training, case_function
from models.constants import Constants
from models.contract import Contract, Tensors
from models.dataset import StoredDataset
from models.errors import ContractMismatch
from models.framework import EpochListener, EpochRecord
from models.frameworks.pytorch.encoding import body, encode_shards, tensors_of
from models.predictor import Closing, Predictor, Signature, StatedTensor, check_signature
from models.shards import Shards
from models.split import Split
from models.weights import Shapes, check_same_shapes

Batch = tuple[dict[str, Tensor], Tensor]
"""Inputs by name and labels."""

SCORED_AT_ONCE = 1024
"""Batches of a training epoch."""

# PyTorch's role of a parameter -> canonical role, by the kind of module.
NORMALISATION_ROLES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
KERNEL_ROLES = {"weight": "kernel", "bias": "bias"}
EMBEDDING_ROLES = {"weight": "embeddings"}


def build(case: Case, constants: Constants | None = None) -> nn.Module:
    """The case's network, held against its contract by asking it once.

    Args:
        case: whose network.
        constants: of its preprocessing, where the case asks for them.

    Raises:
        ContractMismatch: inputs or outputs differ from the contract's.
    """
    given = () if constants is None else (constants,)
    network: nn.Module = case_function(case.name, "pytorch", "network")(*given)
    try:
        check_signature(case.contract, as_predictor(network, case.contract).signature())
    except Exception as error:
        raise ContractMismatch(
            f"The PyTorch network of {case.name!r} disagrees with the contract: {error}",
            "Correct the case's pytorch.py or the contract in its case.py.",
        ) from error
    return network


def weight_shapes(network: nn.Module) -> Shapes:
    """Shape of every weight by canonical name, in canonical layout."""
    return {name: array.shape for name, array in read_weights(network).items()}


def load_weights(network: nn.Module, weights: Tensors) -> None:
    """Overwrite every weight.

    Args:
        weights: arrays by canonical name, in canonical layout.

    Raises:
        ContractMismatch: names or shapes differ.
    """
    found = {name: array.shape for name, array in weights.items()}
    check_same_shapes(weight_shapes(network), found, "the PyTorch network", "the weights file")
    with torch.no_grad():
        for name, (module, tensor) in _tensors(network).items():
            tensor.copy_(torch.from_numpy(_from_canonical(module, name, weights[name])))


def read_weights(network: nn.Module) -> dict[str, np.ndarray]:
    """Every weight by canonical name, in canonical layout."""
    return {
        name: _to_canonical(module, name, tensor.detach().numpy())
        for name, (module, tensor) in _tensors(network).items()
    }


def as_predictor(network: nn.Module, contract: Contract) -> Predictor:
    """The network in memory, in inference mode."""
    return InMemoryPredictor(network, contract)


def train(
    network: nn.Module,
    case: Case,
    dataset: StoredDataset,
    scratch: Path,
    on_epoch: EpochListener,
) -> list[EpochRecord]:
    """Train in place with Adam on cross-entropy, on the batches of ``models.batches``.

    Args:
        network: with its initial weights loaded.
        dataset: the train split is trained on, the validation split is scored after each epoch.
        scratch: a folder for encoded rows, made here; the caller removes it.
        on_epoch: told after each epoch.

    Returns:
        one record an epoch.

    Raises:
        ArtifactCorrupt: a shard is not what was written.
    """
    plan = case.training
    optimizer = torch.optim.Adam(
        network.parameters(), plan.learning_rate, betas=(plan.beta_1, plan.beta_2), eps=plan.epsilon
    )
    train_split, validation = (
        encode_shards(network, shards, case.contract, scratch / name)
        for name, shards in (("train", dataset.train), ("validation", dataset.validation))
    )
    steps = plan.epochs * plan.steps(len(train_split))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 - step / steps if plan.decay else 1.0
    )
    records: list[EpochRecord] = []
    for epoch in range(plan.epochs):
        began = time.perf_counter()
        rows = batches(train_split, plan, [epoch])
        loss, accuracy = _train_epoch(network, case, optimizer, schedule, rows)
        seconds = time.perf_counter() - began
        scores = _score(network, case, validation)
        records.append(EpochRecord(epoch + 1, loss, accuracy, *scores, seconds))
        on_epoch(records[-1])
    return records


def batches(shards: Shards, plan: Training, epochs: Iterable[int]) -> Iterable[Any]:
    """Batches from shards, in the order of ``models.batches``, of some epochs, which count from 0."""
    return _Batches(shards, plan, epochs)


class InMemoryPredictor(Closing):
    """A module as a Predictor; it is put into inference mode at every call."""

    def __init__(self, network: nn.Module, contract: Contract) -> None:
        self._network = network
        self._contract = contract

    def signature(self) -> Signature:
        """Inputs by the argument names of ``forward``, in its order; outputs as it answers a probe."""
        arguments = tuple(inspect.signature(self._network.forward).parameters)
        if set(arguments) == set(names := self._contract.input_names) and arguments != names:
            raise ContractMismatch(f"forward takes {arguments}; the contract's order is {names}.")
        inputs = tuple(StatedTensor(name) for name in arguments)
        probe = {s.name: s.filled(2, None) for s in self._contract.inputs}
        outputs = [
            StatedTensor(n, a.dtype.name, a.shape[1:]) for n, a in self.predict(probe).items()
        ]
        return Signature(inputs, tuple(outputs))

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        self._network.eval()
        with torch.inference_mode():
            outputs = self._network(*tensors_of(inputs, self._contract))
        if not isinstance(outputs, dict):
            raise ContractMismatch("Outputs must be a dict by contract name.")
        return {name: tensor.numpy() for name, tensor in outputs.items()}


class _Batches(IterableDataset[Batch]):
    """Each batch is ready as it comes, a view of a shuffled window: a ``DataLoader`` takes ``batch_size=None``."""

    def __init__(self, shards: Shards, plan: Training, epochs: Iterable[int]) -> None:
        self._shards, self._plan, self._epochs = shards, plan, epochs

    def __iter__(self) -> Iterator[Batch]:
        for epoch in self._epochs:
            for block in blocks(self._shards, self._plan, epoch):
                yield from self._of(block)
                del block  # before the next window is read

    def _of(self, block: Split) -> Iterator[Batch]:
        tensors = _tensors_in(block)
        columns = [
            rows.split(self._plan.batch_size)
            for rows in (*tensors.values(), torch.from_numpy(block.labels))
        ]
        *others, last = zip(*columns, strict=True)
        for *inputs, labels in others:
            yield dict(zip(tensors, inputs, strict=True)), labels
        # Whoever takes the batches has the last one while the next window is read: it must not hold this one.
        *inputs, labels = (rows.clone() for rows in last)
        yield dict(zip(tensors, inputs, strict=True)), labels


def _tensors_in(split: Split) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(np.ascontiguousarray(rows)) for name, rows in split.inputs.items()
    }


def _train_epoch(
    network: nn.Module,
    case: Case,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    rows: Iterable[Batch],
) -> tuple[float, float]:
    """Mean loss in nats a row and accuracy, both over the epoch's training batches."""
    network.train()
    part = body(network, ())
    seen: list[tuple[Tensor, Tensor]] = []
    scores = _Scores()
    for inputs, labels in rows:
        optimizer.zero_grad(set_to_none=True)
        logits = part(inputs)[case.contract.logits]
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        schedule.step()
        seen.append((logits.detach(), labels))
        # Scored many at a time: small sums at every step would slow a small network down.
        if len(seen) == SCORED_AT_ONCE:
            scores.add_all(seen)
    scores.add_all(seen)
    return scores.loss_and_accuracy()


class _Scores:
    """Loss and accuracy over rows that come in parts."""

    def __init__(self) -> None:
        self._rows = 0
        self._loss = self._hits = 0.0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        self._rows += len(labels)
        self._loss += float(nn.functional.cross_entropy(logits, labels)) * len(labels)
        self._hits += float((logits.argmax(dim=1) == labels).sum())

    def add_all(self, seen: list[tuple[Tensor, Tensor]]) -> None:
        """All of them, and forget them."""
        if seen:
            logits, labels = (torch.cat(parts) for parts in zip(*seen, strict=True))
            self.add(logits, labels)
            seen.clear()

    def loss_and_accuracy(self) -> tuple[float, float]:
        return self._loss / self._rows, self._hits / self._rows


def _score(network: nn.Module, case: Case, shards: Shards) -> tuple[float, float]:
    network.eval()
    part, scores = body(network, shards.input_names), _Scores()
    with torch.inference_mode():
        for rows in shards.parts():
            logits = part(_tensors_in(rows))[case.contract.logits]
            scores.add(logits, torch.from_numpy(rows.labels))
    return scores.loss_and_accuracy()


def _tensors(network: nn.Module) -> dict[str, tuple[nn.Module, Tensor]]:
    """Parameters and running statistics by canonical name, with the module that owns each."""
    found: dict[str, tuple[nn.Module, Tensor]] = {}
    for layer, module in network.named_modules():
        own: list[Any] = [
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        ]
        for role, tensor in own:
            canonical = _roles(module).get(role)
            if canonical is not None:
                found[f"{layer.replace('.', '_')}/{canonical}"] = (module, tensor)
            elif role != "num_batches_tracked" and isinstance(tensor, nn.Parameter):
                name, kind = f"{layer}.{role}".lstrip("."), type(module).__name__
                raise ContractMismatch(
                    f"The parameter {name} ({kind}) has no canonical name.",
                    "Use convolution, linear, batch-norm and embedding modules, or extend "
                    "models/frameworks/pytorch/training.py.",
                )
    return found


def _roles(module: nn.Module) -> dict[str, str]:
    if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm):
        return NORMALISATION_ROLES
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
        return KERNEL_ROLES
    return EMBEDDING_ROLES if isinstance(module, nn.Embedding) else {}


def _to_canonical(module: nn.Module, name: str, array: np.ndarray) -> np.ndarray:
    """PyTorch's kernels are (out, in, *space); the canonical ones (*space, in, out)."""
    if not name.endswith("/kernel"):
        return array.copy()
    axes = (*range(2, array.ndim), 1, 0)
    return np.ascontiguousarray(array.transpose(axes))


def _from_canonical(module: nn.Module, name: str, array: np.ndarray) -> np.ndarray:
    if not name.endswith("/kernel"):
        return np.ascontiguousarray(array)
    axes = (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
    return np.ascontiguousarray(array.transpose(axes))
