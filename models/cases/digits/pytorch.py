"""The digits network in PyTorch."""

import torch
from torch import Tensor, nn


class Digits(nn.Module):
    """Raw pixels (N, 8, 8, 1), 0 to 16, to ``logits`` and ``probabilities`` (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(1, 32, 3, padding="same", bias=False)
        # PyTorch's momentum is the share that is REPLACED: 0.1 here is 0.9 in Keras.
        self.normalisation1 = nn.BatchNorm2d(32, momentum=0.1, eps=1e-5)
        self.convolution2 = nn.Conv2d(32, 64, 3, padding="same", bias=False)
        self.normalisation2 = nn.BatchNorm2d(64, momentum=0.1, eps=1e-5)
        self.dropout = nn.Dropout(0.3)
        self.hidden = nn.Linear(4 * 4 * 64, 64)
        self.classifier = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = image.permute(0, 3, 1, 2) / 16  # NHWC on the wire, (N, 1, 8, 8) here
        x = torch.relu(self.normalisation1(self.convolution1(x)))  # (N, 32, 8, 8)
        x = torch.relu(self.normalisation2(self.convolution2(x)))  # (N, 64, 8, 8)
        x = nn.functional.max_pool2d(x, 2)  # (N, 64, 4, 4)
        x = x.permute(0, 2, 3, 1).flatten(1)  # rows, columns, channels: the order of Keras' Flatten
        x = torch.relu(self.hidden(self.dropout(x)))
        logits = self.classifier(x)
        return {"logits": logits, "probabilities": torch.softmax(logits, dim=1)}


def network() -> nn.Module:
    """A fresh network; its weights are overwritten with the shared initial ones."""
    return Digits()
