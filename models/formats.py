"""The kinds of files that are deployed."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """The kinds of files that are deployed."""

    SAVED_MODEL = "SavedModel"
    TFLITE = "TFLite float32"
    TFLITE_INT8 = "TFLite int8"
    TORCHSCRIPT = "TorchScript"
    MAR = "MAR"
    ONNX = "ONNX"


MAY_BE_ABSENT = (Format.TFLITE, Format.TFLITE_INT8, Format.ONNX)
"""What a case may do without; the others are what the servers serve."""
