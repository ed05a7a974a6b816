"""Export PyTorch networks wrongly: ``wrong_pytorch.py <own training> <other training> <initial> <folder>``.

Each mistake is one that people make; everything else is done by the functions that export honestly.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.case import load_case
from models.cases.digits.pytorch import Digits
from models.frameworks.pytorch import export, training
from models.verbs import INITIAL_WEIGHTS, WEIGHTS
from models.weights import read_weights_file
from serving.torchserve.repository import pack

CASE = load_case("digits")


def main(own: Path, other: Path, initial: Path, folder: Path) -> None:
    weights, others = (read_weights_file(each / WEIGHTS) for each in (own, other))
    wrong = {
        "layouts-swapped": filled(WithoutLayout(), weights),
        "scaling-left-out": filled(WithoutScaling(), weights),
        "another-run": filled(Digits(), others),
        "labels-permuted": filled(Digits(), permuted(weights)),
        "another-model": filled(Digits(), read_weights_file(initial / INITIAL_WEIGHTS)),
    }
    for name, network in wrong.items():
        export.write_torchscript(network, folder / f"{name}.pt")
    in_training_mode = torch.jit.script(filled(Digits(), weights).train())
    in_training_mode.save(str(folder / "training-mode.pt"))
    for name in ("scaling-left-out", "labels-permuted"):
        export.write_onnx(wrong[name], CASE.contract, folder / f"{name}.onnx")
    for name in ("scaling-left-out", "labels-permuted", "layouts-swapped", "another-model"):
        pack(folder / f"{name}.pt", CASE.contract, "digits", "1", folder / f"{name}.mar")


def filled(network: nn.Module, weights: dict[str, Any]) -> nn.Module:
    training.load_weights(network, weights)
    return network


def permuted(weights: dict[str, Any]) -> dict[str, Any]:
    """The last layer's classes in another order: 1, 2, ... 9, 0."""
    order = [*range(1, 10), 0]
    kernel, bias = weights["classifier/kernel"], weights["classifier/bias"]
    return weights | {"classifier/kernel": kernel[:, order], "classifier/bias": bias[order]}


class WithoutScaling(Digits):
    """Clients' raw values go straight into the first convolution."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = image.permute(0, 3, 1, 2)
        x = torch.relu(self.normalisation1(self.convolution1(x)))
        x = torch.relu(self.normalisation2(self.convolution2(x)))
        x = nn.functional.max_pool2d(x, 2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = torch.relu(self.hidden(self.dropout(x)))
        logits = self.classifier(x)
        return {"logits": logits, "probabilities": torch.softmax(logits, dim=1)}


class WithoutLayout(Digits):
    """Features are flattened channels first, for a kernel that wants them last."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = image.permute(0, 3, 1, 2) / 16
        x = torch.relu(self.normalisation1(self.convolution1(x)))
        x = torch.relu(self.normalisation2(self.convolution2(x)))
        x = nn.functional.max_pool2d(x, 2).flatten(1)
        x = torch.relu(self.hidden(self.dropout(x)))
        logits = self.classifier(x)
        return {"logits": logits, "probabilities": torch.softmax(logits, dim=1)}


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
