"""Text as tensors of numbers, for formats that have no text, such as safetensors.

A text tensor ``carrier`` travels as two: ``carrier``, uint8 (N, longest), each row a word in UTF-8 with zeros
behind it, and ``carrier.length``, int64 (N,), the word's bytes. Our TorchServe handler, which travels without this
module, reads the same.
"""

from __future__ import annotations

import numpy as np

from models.contract import Tensors

LENGTH = ".length"


def without_text(tensors: Tensors) -> dict[str, np.ndarray]:
    """The same tensors, each text tensor (N,) as two of numbers; what else holds no numbers is left as it is."""
    plain: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        if array.dtype.kind == "U" and array.ndim == 1:
            plain |= _as_numbers(name, array)
        else:
            plain[name] = np.ascontiguousarray(array)
    return plain


def _as_numbers(name: str, words: np.ndarray) -> dict[str, np.ndarray]:
    encoded = [word.encode() for word in words.tolist()]
    lengths = np.array([len(each) for each in encoded], np.int64)
    longest = max(1, int(lengths.max(initial=0)))
    letters = np.frombuffer(b"".join(each.ljust(longest, b"\0") for each in encoded), np.uint8)
    return {name: letters.reshape(len(words), longest), f"{name}{LENGTH}": lengths}
