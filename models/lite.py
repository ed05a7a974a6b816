"""TFLite files through LiteRT's own interpreter: no TensorFlow in the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from models.contract import TEXT, Contract, Tensors
from models.predictor import Closing, Signature, StatedTensor

SIGNATURE = "serving_default"


class TFLitePredictor(Closing):
    """A TFLite file's signature; integers are quantised and dequantised here, as a client would.

    ``real = (integer - zero_point) * scale``
    (https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec)
    """

    def __init__(self, path: Path, contract: Contract, threads: int | None = None) -> None:
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._runner = self._interpreter.get_signature_runner(SIGNATURE)
        self._contract = contract

    def signature(self) -> Signature:
        return Signature(
            self._facts(self._runner.get_input_details()),
            self._facts(self._runner.get_output_details()),
        )

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        details = self._runner.get_input_details()
        answers = self._runner(
            **{name: _quantise(inputs[name], details[name]) for name in self._contract.input_names}
        )
        details = self._runner.get_output_details()
        return {name: _dequantise(array, details[name]) for name, array in answers.items()}

    def close(self) -> None:
        del self._runner, self._interpreter

    @staticmethod
    def _facts(details: dict[str, Any]) -> tuple[StatedTensor, ...]:
        """A quantised tensor stands for float32; its integers are the file's own affair."""
        return tuple(
            StatedTensor(
                name,
                "float32" if _is_quantised(detail) else _dtype_name(detail["dtype"]),
                tuple(int(size) for size in detail["shape_signature"][1:]),
            )
            for name, detail in details.items()
        )


def _dtype_name(dtype: Any) -> str:
    """LiteRT's strings are numpy's bytes."""
    return TEXT if np.dtype(dtype).kind == "S" else np.dtype(dtype).name


def _is_quantised(detail: dict[str, Any]) -> bool:
    return bool(detail["quantization"][0])


def _quantise(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8")
    if not _is_quantised(detail):
        return np.asarray(array, dtype=detail["dtype"])
    scale, zero_point = detail["quantization"]
    bounds = np.iinfo(detail["dtype"])
    integers = np.clip(np.round(array / scale) + zero_point, bounds.min, bounds.max)
    return np.asarray(integers, detail["dtype"])


def _dequantise(array: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    if not _is_quantised(detail):
        return array
    scale, zero_point = detail["quantization"]
    return np.asarray((array.astype(np.float32) - zero_point) * scale, np.float32)
