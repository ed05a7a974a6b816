"""Makes the scripted modules of these tests; a process of its own, so that pytest's needs no torch.

Usage: python make_model.py <folder>. Leaves ``images.pt`` (one input, two outputs), ``mixed.pt`` (two
inputs of different dtypes, one output), ``texts.pt`` (a word and a number that may be missing), and
``images.npz`` with inputs and the in-memory outputs.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Images(nn.Module):
    """(N, 8, 8, 1) float32 to (N, 10) twice; NHWC outside, NCHW inside."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.dense = nn.Linear(4 * 6 * 6, 10)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        features = torch.relu(self.convolution(image.permute(0, 3, 1, 2) / 16.0))
        logits = self.dense(features.flatten(1))
        return {"logits": logits, "probabilities": torch.softmax(logits, dim=-1)}


class Mixed(nn.Module):
    """A row of ``table`` for each ``key`` (N,), plus ``offset`` (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 2)

    def forward(self, key: torch.Tensor, offset: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"score": self.table(key) + offset}


class Texts(nn.Module):
    """The length of ``word`` in bytes, as TorchScript counts, and ``size``, NaN taken for -1, (N, 2)."""

    def forward(self, word: list[str], size: torch.Tensor) -> dict[str, torch.Tensor]:
        lengths = torch.tensor([len(each) for each in word], dtype=torch.float32)
        filled = torch.where(torch.isnan(size), torch.full_like(size, -1.0), size)
        return {"score": torch.stack((lengths, filled), dim=1)}


def main(folder: Path) -> None:
    torch.manual_seed(7)
    images = Images().eval()
    # `torch.jit.script` says that it is deprecated; TorchScript is what TorchServe's archives hold.
    warnings.simplefilter("ignore", DeprecationWarning)
    torch.jit.script(images).save(str(folder / "images.pt"))
    torch.jit.script(Mixed().eval()).save(str(folder / "mixed.pt"))
    torch.jit.script(Texts().eval()).save(str(folder / "texts.pt"))
    image = np.random.default_rng(7).uniform(0, 16, (9, 8, 8, 1)).astype(np.float32)
    with torch.inference_mode():
        outputs = images(torch.from_numpy(image))
    arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
    np.savez(folder / "images.npz", image=image, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
