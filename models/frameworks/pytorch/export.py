"""Export a PyTorch network to what people deploy: TorchScript (packed for TorchServe elsewhere)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from models.contract import Contract
from models.dataset import Split
from models.formats import Format


def export(
    network: nn.Module,
    contract: Contract,
    calibration: Split,
    folder: Path,
    absent: Collection[str] = (),
) -> dict[str, str]:
    """Write every format into ``folder``.

    Args:
        network: with its trained weights loaded.
        contract: the twin's argument; TorchScript takes its names from the network's ``forward``.
        calibration: the twin's argument; nothing is quantised here.
        folder: exists and is empty.
        absent: the twin's argument; TorchScript is what TorchServe serves.

    Returns:
        file or folder name by format.
    """
    name = "model.pt"
    write_torchscript(network, folder / name)
    return {str(Format.TORCHSCRIPT): name}


def write_torchscript(network: nn.Module, path: Path) -> None:
    """Scripted (not traced, so that any batch size works), in inference mode, frozen.

    Freezing folds the mode and the parameters into the graph: what is loaded cannot be put back into
    training mode by accident.
    """
    scripted = torch.jit.script(network.eval())
    torch.jit.freeze(scripted).save(str(path))
