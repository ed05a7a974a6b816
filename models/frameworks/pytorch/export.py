"""Export a PyTorch network to what people deploy: TorchScript (packed for TorchServe elsewhere) and ONNX."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from models.contract import Contract, Tensors
from models.dataset import Split
from models.errors import CaseError
from models.formats import Format
from models.frameworks.pytorch.encoding import tensors_of


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
        contract: names inputs and outputs in the ONNX file; TorchScript takes its names from the network's
            ``forward``.
        calibration: the twin's argument; nothing is quantised here.
        folder: exists and is empty.
        absent: formats that the case does without; TorchScript is what TorchServe serves.

    Returns:
        file or folder name by format.

    Raises:
        CaseError: the network has no form in ONNX, and the case does not say so.
    """
    names = {Format.TORCHSCRIPT: "model.pt", Format.ONNX: "model.onnx"}
    write_torchscript(network, folder / names[Format.TORCHSCRIPT])
    if Format.ONNX not in absent:
        write_onnx(network, contract, folder / names[Format.ONNX])
    return {str(form): name for form, name in names.items() if form not in absent}


def write_torchscript(network: nn.Module, path: Path) -> None:
    """Scripted (not traced, so that any batch size works), in inference mode, frozen.

    Freezing folds the mode and the parameters into the graph: what is loaded cannot be put back into
    training mode by accident.
    """
    scripted = torch.jit.script(network.eval())
    torch.jit.freeze(scripted).save(str(path))


def write_onnx(network: nn.Module, contract: Contract, path: Path) -> None:
    """Under the contract's names, batch axis open, in inference mode, weights inside the file.

    https://docs.pytorch.org/docs/stable/onnx_export.html

    Raises:
        CaseError: the network has no form in ONNX.
    """
    if texts := [spec.name for spec in contract.inputs if spec.is_text]:
        raise _no_onnx(f"{', '.join(texts)}: PyTorch has no tensors of text")
    # Two rows: the exporter takes a size of 1 for a constant.
    rows = tensors_of({spec.name: spec.filled(2, spec.low) for spec in contract.inputs}, contract)
    batch = torch.export.Dim("batch")
    try:
        with torch.inference_mode():
            outputs = network.eval()(*rows)
        program = torch.onnx.export(
            network,
            tuple(rows),
            dynamo=True,
            verbose=False,
            input_names=list(contract.input_names),
            output_names=pytree.tree_leaves({name: name for name in outputs}),  # in their order
            dynamic_shapes=tuple({0: batch} for _ in rows),
        )
    except Exception as error:  # whatever the exporter makes of a network
        raise _no_onnx(str(error).splitlines()[0]) from error
    assert program is not None  # it is for the exporter's older half only
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # source lines and paths of this machine
    program.save(str(path), external_data=False)


def _no_onnx(why: str) -> CaseError:
    return CaseError(
        f"The PyTorch network cannot be exported to ONNX: {why}.",
        'If that is so, let the case say it: absent={"ONNX": "<why>"}.',
    )


def write_noop(contract: Contract, answer: Tensors, folder: Path) -> dict[str, str]:
    """A file for the server that computes nothing: whatever is asked, every row gets one and the same answer.

    Args:
        contract: its inputs and outputs.
        answer: one row, each (1, ...).
        folder: exists.

    Returns:
        file name by format.
    """
    module = _Answers([torch.from_numpy(answer[name]) for name in contract.output_names])
    module.define(_noop_source(contract))
    name = "model.pt"
    torch.jit.freeze(module.eval()).save(str(folder / name))
    return {str(Format.TORCHSCRIPT): name}


class _Answers(torch.jit.ScriptModule):
    """Holds tensors ``answer0`` ...; its ``forward`` is compiled into it from source."""

    def __init__(self, answers: list[Tensor]) -> None:
        super().__init__()
        for place, tensor in enumerate(answers):
            self.register_buffer(f"answer{place}", tensor)


def _noop_source(contract: Contract) -> str:
    arguments = ", ".join(
        f"{spec.name}: {'List[str]' if spec.is_text else 'Tensor'}" for spec in contract.inputs
    )
    outputs = ", ".join(
        f'"{spec.name}": self.answer{place}.repeat([rows{", 1" * len(spec.shape)}])'
        for place, spec in enumerate(contract.outputs)
    )
    return f"""
def forward(self, {arguments}) -> Dict[str, Tensor]:
    rows = len({contract.inputs[0].name})
    return {{{outputs}}}
"""
