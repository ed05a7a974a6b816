"""Open what Keras exported: SavedModel through TensorFlow, TFLite through LiteRT's interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.contract import Contract, Tensors
from models.errors import ArtifactCorrupt
from models.formats import Format
from models.frameworks.tensorflow.export import SIGNATURE
from models.lite import TFLitePredictor
from models.predictor import Closing, Predictor, Signature, StatedTensor


def prepare(threads: int, seed: int) -> None:
    """Set threads and seeds; call before anything else runs."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(seed)


def label() -> str:
    """What exactly runs, for people."""
    return f"Keras {keras.__version__} on TensorFlow {tf.__version__}"


def open_artifact(path: Path, format_name: str, contract: Contract) -> Predictor:
    """Open an exported file or folder.

    Raises:
        ArtifactCorrupt: it cannot be opened as that format.
    """
    opener = SavedModelPredictor if format_name == Format.SAVED_MODEL else TFLitePredictor
    try:
        return opener(path, contract)
    except (OSError, ValueError, RuntimeError, LookupError, tf.errors.OpError) as error:
        raise ArtifactCorrupt(f"{path.name} cannot be opened as {format_name}: {error}") from error


class SavedModelPredictor(Closing):
    """A SavedModel's ``serving_default``."""

    def __init__(self, path: Path, contract: Contract) -> None:
        self._loaded = tf.saved_model.load(str(path))  # keeps the variables alive
        self._serve = self._loaded.signatures[SIGNATURE]
        self._contract = contract

    def signature(self) -> Signature:
        _, inputs = self._serve.structured_input_signature
        return Signature(_stated(inputs), _stated(self._serve.structured_outputs))

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(inputs[name]) for name in self._contract.input_names}
        return {name: tensor.numpy() for name, tensor in self._serve(**tensors).items()}


def _stated(tensors: dict[str, Any]) -> tuple[StatedTensor, ...]:
    return tuple(
        StatedTensor(name, tensor.dtype.name, tuple(tensor.shape.as_list()[1:]))
        for name, tensor in tensors.items()
    )
