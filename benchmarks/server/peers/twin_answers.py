"""``python -m benchmarks.server.peers.twin_answers ROWS TORCHSCRIPT TARGET``: the twin's right answers.

The twin was trained from the same initial weights, yet by itself: its answers are its own. In
TorchServe's environment; TorchScript is run here without TorchServe.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from models.arrays import read_arrays, write_arrays


def main(rows: Path, torchscript: Path, target: Path) -> None:
    """Write ``target``, an ``.npz`` like ``rows`` with the twin's answers."""
    inputs = {
        name: array for name, array in read_arrays(rows).items() if name.startswith("inputs/")
    }
    module = torch.jit.load(str(torchscript)).eval()
    with torch.inference_mode():
        outputs = module(*map(torch.from_numpy, inputs.values()))
    expected = {f"expected/{name}": tensor.numpy() for name, tensor in outputs.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(target, {**inputs, **expected})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
