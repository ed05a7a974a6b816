"""Export Keras networks wrongly: ``wrong_tensorflow.py <own training> <other training> <data set> <folder>``.

Each mistake is one that people make; everything else is done by the functions that export honestly.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras

from models.case import load_case
from models.dataset import Dataset
from models.frameworks.tensorflow import export, training
from models.verbs import WEIGHTS
from models.weights import read_weights_file

CASE = load_case("digits")


def main(own: Path, other: Path, dataset: Path, folder: Path) -> None:
    weights, others = (read_weights_file(each / WEIGHTS) for each in (own, other))
    wrong: dict[str, Any] = {
        "training-mode": InTrainingMode(filled(weights)),
        "layouts-swapped": without_layout(filled(weights)),
        "scaling-left-out": without_scaling(filled(weights)),
        "another-run": filled(others),
        "labels-permuted": filled(permuted(weights)),
    }
    calibration = Dataset.read(dataset).train.rows(slice(0, 128))
    saved = {name: folder / f"{name}.saved_model" for name in wrong}
    for name, network in wrong.items():
        export.write_saved_model(network, CASE.contract, saved[name])
    for name in ("scaling-left-out", "labels-permuted", "layouts-swapped", "another-run"):
        export.write_tflite(saved[name], folder / f"{name}.tflite")
    for name in ("labels-permuted", "scaling-left-out"):
        export.write_tflite_int8(saved[name], calibration, folder / f"{name}.int8")


def filled(weights: dict[str, Any]) -> keras.Model:
    """The case's network with these weights."""
    network = training.build(CASE)
    training.load_weights(network, weights)
    return network


def permuted(weights: dict[str, Any]) -> dict[str, Any]:
    """The last layer's classes in another order: 1, 2, ... 9, 0."""
    order = [*range(1, 10), 0]
    kernel, bias = weights["classifier/kernel"], weights["classifier/bias"]
    return weights | {"classifier/kernel": kernel[:, order], "classifier/bias": bias[order]}


class InTrainingMode:
    """A network that does not listen when it is called for inference."""

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self.variables = network.variables
        self.layers = network.layers

    def __call__(self, inputs: Any, training: bool) -> Any:
        return self._network(inputs, training=True)


def without_scaling(network: keras.Model) -> keras.Model:
    """Clients' raw values go straight into the first convolution."""
    return rewired(network, {keras.layers.Rescaling: lambda layer, x: x})


def without_layout(network: keras.Model) -> keras.Model:
    """Features are flattened channels first, as PyTorch lays them out, for a kernel that wants them last."""
    return rewired(
        network,
        {keras.layers.Flatten: lambda layer, x: layer(keras.layers.Permute((3, 1, 2))(x))},
    )


def rewired(network: keras.Model, changes: dict[type, Any]) -> keras.Model:
    """The same layers in the same chain, but for some of them."""
    x = first = keras.Input((8, 8, 1), name="image")
    chain = [each for each in network.layers if not isinstance(each, keras.layers.InputLayer)]
    *chain, softmax = chain
    for layer in chain:
        x = changes.get(type(layer), lambda same, value: same(value))(layer, x)
    return keras.Model(first, {"logits": x, "probabilities": softmax(x)})


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
