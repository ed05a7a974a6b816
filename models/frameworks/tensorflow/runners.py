"""Every way to run a trained Keras network in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from models.contract import Contract, Tensors
from models.formats import Format
from models.frameworks.tensorflow.encoding import call_form
from models.frameworks.tensorflow.runtime import open_artifact
from models.frameworks.tensorflow.training import InMemoryPredictor, as_predictor
from models.lite import TFLitePredictor
from models.predictor import Predictor
from models.runner import MissingRunner, Runner

LITE = (Format.TFLITE, Format.TFLITE_INT8)


def runners(
    network: keras.Model, contract: Contract, artifacts: Mapping[str, Path], threads: Sequence[int]
) -> list[Runner | MissingRunner]:
    """Eager, as a function, as a SavedModel, as TFLite files.

    TensorFlow's own threads are set once a process, so only TFLite runs with several numbers of them.

    Args:
        network: with its trained weights loaded.
        contract: names inputs and outputs.
        artifacts: exported file or folder by format.
        threads: numbers of threads for what can be told one.
    """
    own = max(1, tf.config.threading.get_intra_op_parallelism_threads())
    found: list[Runner | MissingRunner] = [
        Runner("Keras eager", own, lambda: as_predictor(network, contract)),
        Runner("tf.function", own, lambda: FunctionPredictor(network, contract)),
    ]
    saved_model = str(Format.SAVED_MODEL)
    if saved_model in artifacts:
        path = artifacts[saved_model]
        found.append(Runner(saved_model, own, lambda: open_artifact(path, saved_model, contract)))
    found += [
        Runner(str(form), count, _lite(artifacts[form], contract, count))
        for form in LITE
        if form in artifacts
        for count in threads
    ]
    return found


class FunctionPredictor(InMemoryPredictor):
    """A Keras model behind ``tf.function``, traced once with an open batch axis."""

    def __init__(self, network: keras.Model, contract: Contract) -> None:
        super().__init__(network, contract)
        specs = [
            tf.TensorSpec((None, *spec.shape), spec.dtype, name=spec.name)
            for spec in contract.inputs
        ]

        def call(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            named = dict(zip(contract.input_names, tensors, strict=True))
            outputs = network(call_form(named), training=False)
            return {name: outputs[name] for name in contract.output_names}

        self._function = tf.function(call, input_signature=specs)

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        tensors = [tf.constant(inputs[name]) for name in self._contract.input_names]
        return {name: tensor.numpy() for name, tensor in self._function(*tensors).items()}


def _lite(path: Path, contract: Contract, threads: int) -> Callable[[], Predictor]:
    return lambda: TFLitePredictor(path, contract, threads)
