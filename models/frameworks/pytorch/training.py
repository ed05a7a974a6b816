"""Build, fill and train a PyTorch network."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.case import Case, case_function
from models.constants import Constants
from models.contract import Contract, Tensors
from models.dataset import Dataset, Split, batch_order
from models.errors import ContractMismatch
from models.framework import EpochListener, EpochRecord
from models.frameworks.pytorch.encoding import body, encode, tensors_of
from models.predictor import Closing, Predictor, Signature, StatedTensor, check_signature
from models.weights import Shapes, check_same_shapes

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
    network: nn.Module, case: Case, dataset: Dataset, on_epoch: EpochListener
) -> list[EpochRecord]:
    """Train in place with Adam on cross-entropy, on the batches of ``batch_order``.

    Args:
        network: with its initial weights loaded.
        dataset: the train split is trained on, the validation split is scored after each epoch.
        on_epoch: told after each epoch.

    Returns:
        one record an epoch.
    """
    plan = case.training
    optimizer = torch.optim.Adam(
        network.parameters(), plan.learning_rate, betas=(plan.beta_1, plan.beta_2), eps=plan.epsilon
    )
    train_split, validation = (
        Split(encode(network, split.inputs, case.contract), split.labels)
        for split in (dataset.train, dataset.validation)
    )
    steps = plan.epochs * plan.steps(len(train_split))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 - step / steps if plan.decay else 1.0
    )
    batches = _Batches(train_split, case)
    records: list[EpochRecord] = []
    for epoch in range(plan.epochs):
        began = time.perf_counter()
        loss, accuracy = _train_epoch(network, case, optimizer, schedule, batches.of_epoch(epoch))
        seconds = time.perf_counter() - began
        scores = _score(network, case, validation)
        records.append(EpochRecord(epoch + 1, loss, accuracy, *scores, seconds))
        on_epoch(records[-1])
    return records


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


class _Batches:
    """Batches in the order of ``batch_order``: rows are gathered once an epoch, batches are views."""

    def __init__(self, split: Split, case: Case) -> None:
        self._inputs = _tensors_in(split)
        self._labels = torch.from_numpy(split.labels)
        self._plan = case.training

    def of_epoch(self, epoch: int) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        plan = self._plan
        orders = batch_order(len(self._labels), plan.batch_size, epoch, plan.seed)
        index = torch.from_numpy(np.concatenate(orders))
        names = list(self._inputs)
        columns = [
            rows[index].split(plan.batch_size) for rows in (*self._inputs.values(), self._labels)
        ]
        for *inputs, labels in zip(*columns, strict=True):
            yield dict(zip(names, inputs, strict=True)), labels


def _tensors_in(split: Split) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(np.ascontiguousarray(rows)) for name, rows in split.inputs.items()
    }


def _train_epoch(
    network: nn.Module,
    case: Case,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batches: Iterator[tuple[dict[str, Tensor], Tensor]],
) -> tuple[float, float]:
    """Mean loss in nats a row and accuracy, both over the epoch's training batches."""
    network.train()
    part = body(network, {})
    seen: list[tuple[Tensor, Tensor]] = []
    for inputs, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        logits = part(inputs)[case.contract.logits]
        nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
        schedule.step()
        seen.append((logits.detach(), labels))
    # Scored together: small sums at every step would slow a small network down.
    every_logit, every_label = (torch.cat(parts) for parts in zip(*seen, strict=True))
    return _loss_and_accuracy(every_logit, every_label)


def _loss_and_accuracy(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    loss = nn.functional.cross_entropy(logits, labels)
    return float(loss), float((logits.argmax(dim=1) == labels).float().mean())


def _score(network: nn.Module, case: Case, split: Split) -> tuple[float, float]:
    network.eval()
    labels = torch.from_numpy(split.labels)
    with torch.inference_mode():
        logits = body(network, split.inputs)(_tensors_in(split))[case.contract.logits]
        return _loss_and_accuracy(logits, labels)


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
