"""Build, fill and train a Keras network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.batches import blocks
from models.case import Case, Training, case_function
from models.constants import Constants
from models.contract import Contract, Tensors
from models.dataset import StoredDataset
from models.errors import ContractMismatch
from models.framework import EpochListener, EpochRecord
from models.frameworks.tensorflow.encoding import body, call_form, encode_shards
from models.predictor import Closing, Predictor, Signature, StatedTensor, check_signature
from models.shards import INPUTS, LABELS, Column, Shards, row_bytes
from models.split import Split
from models.weights import Shapes, check_same_shapes

BATCHES_AT_ONCE, STACK_BYTES = 64, 2**24
"""What Python hands over to tf.data at a time is at most either, and at least a batch."""


def build(case: Case, constants: Constants | None = None) -> keras.Model:
    """The case's network, held against its contract.

    Args:
        case: whose network.
        constants: of its preprocessing, where the case asks for them.

    Raises:
        ContractMismatch: inputs or outputs differ from the contract's.
    """
    given = () if constants is None else (constants,)
    network = case_function(case.name, "tensorflow", "network")(*given)
    try:
        check_signature(case.contract, as_predictor(network, case.contract).signature())
    except Exception as error:
        raise ContractMismatch(
            f"The Keras network of {case.name!r} disagrees with the contract: {error}",
            "Correct the case's tensorflow.py or the contract in its case.py.",
        ) from error
    return network


def weight_shapes(network: keras.Model) -> Shapes:
    """Shape of every weight by canonical name."""
    return {name: tuple(variable.shape) for name, variable in _variables(network).items()}


def load_weights(network: keras.Model, weights: Tensors) -> None:
    """Overwrite every weight.

    Args:
        weights: arrays by canonical name, in canonical layout.

    Raises:
        ContractMismatch: names or shapes differ.
    """
    found = {name: array.shape for name, array in weights.items()}
    check_same_shapes(weight_shapes(network), found, "the Keras network", "the weights file")
    for name, variable in _variables(network).items():
        variable.assign(weights[name])


def read_weights(network: keras.Model) -> dict[str, np.ndarray]:
    """Every weight by canonical name; Keras' layout IS the canonical one."""
    return {
        name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(network).items()
    }


def as_predictor(network: keras.Model, contract: Contract) -> Predictor:
    """The network in memory, in inference mode."""
    return InMemoryPredictor(network, contract)


def train(
    network: keras.Model,
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
    train_split, validation = (
        encode_shards(network, shards, case.contract, scratch / name)
        for name, shards in (("train", dataset.train), ("validation", dataset.validation))
    )
    # The other outputs are functions of the logits; the learner shares all weights and leaves them out.
    part = body(network, train_split.input_names)
    learner = keras.Model(part.input, part.output[case.contract.logits])
    learner.compile(
        optimizer=keras.optimizers.Adam(
            _learning_rate(plan, len(train_split)),
            beta_1=plan.beta_1,
            beta_2=plan.beta_2,
            epsilon=plan.epsilon,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    recorder = _Recorder(learner, validation, on_epoch)
    learner.fit(
        batches(train_split, plan, range(plan.epochs)),
        epochs=plan.epochs,
        steps_per_epoch=plan.steps(len(train_split)),
        callbacks=[recorder],
        verbose=0,
    )
    return recorder.records


class InMemoryPredictor(Closing):
    """A Keras model as a Predictor."""

    def __init__(self, network: keras.Model, contract: Contract) -> None:
        self._network = network
        self._contract = contract

    def signature(self) -> Signature:
        inputs = [StatedTensor(t.name, t.dtype, tuple(t.shape[1:])) for t in self._network.inputs]
        outputs: dict[str, Any] = self._network.output
        if not isinstance(outputs, dict):
            raise ContractMismatch("Outputs must be a dict by contract name.")
        stated = [StatedTensor(n, t.dtype, tuple(t.shape[1:])) for n, t in outputs.items()]
        return Signature(tuple(inputs), tuple(stated))

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(inputs[name]) for name in self._contract.input_names}
        outputs = self._network(call_form(tensors), training=False)
        return {name: outputs[name].numpy() for name in self._contract.output_names}


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Scores the validation split after each epoch, outside the epoch's time."""

    def __init__(self, learner: keras.Model, validation: Shards, on_epoch: EpochListener) -> None:
        super().__init__()
        self.records: list[EpochRecord] = []
        self._validation = validation
        self._on_epoch = on_epoch
        self._score = tf.function(lambda inputs: learner(inputs, training=False))
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seconds = time.perf_counter() - self._began
        logs = logs or {}
        loss, accuracy = self._scores()
        record = EpochRecord(
            epoch + 1, float(logs["loss"]), float(logs["accuracy"]), loss, accuracy, seconds
        )
        self.records.append(record)
        self._on_epoch(record)

    def _scores(self) -> tuple[float, float]:
        parts = [(*self._part_scores(part), len(part)) for part in self._validation.parts()]
        losses, accuracies, rows = zip(*parts, strict=True)
        return float(np.average(losses, weights=rows)), float(np.average(accuracies, weights=rows))

    def _part_scores(self, part: Split) -> tuple[float, float]:
        inputs = {n: tf.constant(rows) for n, rows in part.inputs.items()}
        logits = self._score(call_form(inputs))
        labels = tf.constant(part.labels)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.argmax(logits, axis=-1) == labels
        return float(tf.reduce_mean(losses)), float(tf.reduce_mean(tf.cast(hits, tf.float32)))


def _variables(network: keras.Model) -> dict[str, Any]:
    """Variables by ``<layer>/<role>``, without the seeds of dropout layers."""
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.weights
        if "seed" not in variable.name
    }


def _learning_rate(plan: Training, rows: int) -> Any:
    if not plan.decay:
        return plan.learning_rate
    steps = plan.epochs * plan.steps(rows)
    return keras.optimizers.schedules.PolynomialDecay(plan.learning_rate, steps, 0.0, power=1.0)


def batches(shards: Shards, plan: Training, epochs: Iterable[int]) -> Iterable[Any]:
    """Batches from shards, in the order of ``models.batches``, of some epochs, which count from 0.

    Python hands over many at a time, and tf.data takes them apart.
    """

    def stacks() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        for epoch in epochs:
            for block in blocks(shards, plan, epoch):
                yield from _stacks(block, plan.batch_size)
                del block  # before the next window is read

    inputs = {name: _stack_spec(shards.columns[INPUTS + name]) for name in shards.input_names}
    signature = (inputs, _stack_spec(shards.columns[LABELS]))
    rows: Iterable[Any] = (
        tf.data.Dataset.from_generator(stacks, output_signature=signature)
        .prefetch(2)
        .flat_map(lambda *stack: tf.data.Dataset.from_tensor_slices(stack))
        .map(lambda rows, labels: (call_form(rows), labels))
        .prefetch(8)
    )
    return rows


def _stacks(block: Split, batch_size: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Batches on a new first axis, (K, batch, ...); an epoch's last one may be smaller and stands alone."""
    whole = len(block) // batch_size
    at_once = max(1, min(BATCHES_AT_ONCE, STACK_BYTES // (batch_size * row_bytes(block))))
    for first in range(0, whole, at_once):
        rows = block.rows(slice(first * batch_size, min(whole, first + at_once) * batch_size))
        yield _stacked(rows, batch_size)
    if rest := len(block) % batch_size:
        yield _stacked(block.rows(slice(whole * batch_size, None)), rest)


def _stacked(rows: Split, size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    inputs = {name: _as_stack(array, size) for name, array in rows.inputs.items()}
    return inputs, _as_stack(rows.labels, size)


def _as_stack(array: np.ndarray, size: int) -> np.ndarray:
    stack = array.reshape(-1, size, *array.shape[1:])
    return np.char.encode(stack, "utf-8") if stack.dtype.kind == "U" else stack


def _stack_spec(column: Column) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, *column.shape), column.dtype)
