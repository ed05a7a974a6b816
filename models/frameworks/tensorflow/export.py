"""Export a Keras network to what people deploy: SavedModel and TFLite."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.contract import Contract, Tensors
from models.dataset import Split
from models.formats import Format
from models.frameworks.tensorflow.encoding import call_form

SIGNATURE = "serving_default"


def export(
    network: keras.Model,
    contract: Contract,
    calibration: Split,
    folder: Path,
    absent: Collection[str] = (),
) -> dict[str, str]:
    """Write every format into ``folder``.

    Args:
        network: with its trained weights loaded.
        contract: names inputs and outputs in every file.
        calibration: rows that set the ranges of the int8 file.
        folder: exists and is empty.
        absent: formats that the case does without.

    Returns:
        file or folder name by format.
    """
    names = {
        Format.SAVED_MODEL: "saved_model",
        Format.TFLITE: "model.tflite",
        Format.TFLITE_INT8: "model_int8.tflite",
    }
    saved_model = folder / names[Format.SAVED_MODEL]
    write_saved_model(network, contract, saved_model)
    if Format.TFLITE not in absent:
        write_tflite(saved_model, folder / names[Format.TFLITE])
    if Format.TFLITE_INT8 not in absent:
        write_tflite_int8(saved_model, calibration, folder / names[Format.TFLITE_INT8])
    return {str(form): name for form, name in names.items() if form not in absent}


def write_saved_model(network: keras.Model, contract: Contract, folder: Path) -> None:
    """One signature, ``serving_default``; batch axis open; in inference mode."""

    def serve(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = network(call_form(inputs), training=False)
        return {name: outputs[name] for name in contract.output_names}

    specs = {
        spec.name: tf.TensorSpec((None, *spec.shape), spec.dtype, name=spec.name)
        for spec in contract.inputs
    }
    module = tf.Module()
    # The TensorFlow variables, not Keras' wrappers: Keras gives those back as copies when the module is
    # saved, and a server that runs the graph in a session would fill the copies and find the rest empty.
    module.weights = [variable.value for variable in network.variables]
    # Look-up tables are resources; a SavedModel holds those that its module can be asked for.
    module.tables = [table for layer in network.layers for table in getattr(layer, "tables", ())]
    concrete = tf.function(serve).get_concrete_function(**specs)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: concrete})


def write_tflite(saved_model: Path, path: Path) -> None:
    """Float32 in, float32 inside, float32 out, under the SavedModel's names.

    From the SavedModel: ``from_keras_model`` fails with Keras 3 for a network with several inputs.
    """
    path.write_bytes(_converter(saved_model).convert())


def write_tflite_int8(saved_model: Path, calibration: Split, path: Path) -> None:
    """Full integer: int8 in, int8 inside, int8 out, with ranges taken from ``calibration``.

    https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant
    """

    def one_by_one() -> Iterator[dict[str, Any]]:
        for row in range(len(calibration)):
            yield {n: rows[row : row + 1] for n, rows in calibration.inputs.items()}

    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = one_by_one
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())


def _converter(saved_model: Path) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[SIGNATURE])


def write_noop(contract: Contract, answer: Tensors, folder: Path) -> dict[str, str]:
    """A file for the server that computes nothing: whatever is asked, every row gets one and the same answer.

    Args:
        contract: its inputs and outputs.
        answer: one row, each (1, ...).
        folder: exists.

    Returns:
        folder name by format.
    """

    def serve(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(inputs[contract.input_names[0]])[0]
        return {
            name: tf.repeat(tf.constant(answer[name]), rows, axis=0)
            for name in contract.output_names
        }

    specs = {
        spec.name: tf.TensorSpec((None, *spec.shape), spec.dtype, name=spec.name)
        for spec in contract.inputs
    }
    name = "saved_model"
    concrete = tf.function(serve).get_concrete_function(**specs)
    tf.saved_model.save(tf.Module(), str(folder / name), signatures={SIGNATURE: concrete})
    return {str(Format.SAVED_MODEL): name}
