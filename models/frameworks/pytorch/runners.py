"""Every way to run a trained PyTorch network in this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.contract import Contract, Tensors
from models.formats import Format
from models.frameworks.pytorch.encoding import tensors_of
from models.frameworks.pytorch.runtime import OnnxPredictor, open_artifact
from models.frameworks.pytorch.training import InMemoryPredictor, as_predictor
from models.predictor import Predictor
from models.runner import MissingRunner, Runner

ONNX_RUNTIME, COMPILED = "ONNX Runtime", "torch.compile"


def runners(
    network: nn.Module, contract: Contract, artifacts: Mapping[str, Path], threads: Sequence[int]
) -> list[Runner | MissingRunner]:
    """Eager, as TorchScript, compiled, as ONNX.

    PyTorch's own threads are those of the process, so only ONNX Runtime runs with several numbers of them.

    Args:
        network: with its trained weights loaded.
        contract: names inputs and outputs.
        artifacts: exported file by format.
        threads: numbers of threads for what can be told one.
    """
    own = torch.get_num_threads()
    found: list[Runner | MissingRunner] = [
        Runner("PyTorch eager", own, lambda: as_predictor(network, contract))
    ]
    script = str(Format.TORCHSCRIPT)
    if script in artifacts:
        path = artifacts[script]
        found.append(Runner(script, own, lambda: open_artifact(path, script, contract)))
    why = why_not_compiled(contract)
    found.append(
        MissingRunner(COMPILED, why)
        if why
        else Runner(COMPILED, own, lambda: CompiledPredictor(network, contract), True)
    )
    if Format.ONNX in artifacts:
        found += [
            Runner(ONNX_RUNTIME, count, _onnx(artifacts[Format.ONNX], contract, count))
            for count in threads
        ]
    return found


def why_not_compiled(contract: Contract) -> str:
    """Why ``torch.compile`` is not tried; empty where it is.

    TorchInductor writes C++ for a CPU, and takes the compiler that ``CXX`` names, else g++.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        return f"there is no C++ compiler here ({compiler}), and it writes C++ for this machine"
    if any(spec.is_text for spec in contract.inputs):
        return "text inputs are Python strings to it: it would compile anew for every new word"
    return ""


class CompiledPredictor(InMemoryPredictor):
    """A module behind ``torch.compile``, with an open batch axis; the first calls compile."""

    def __init__(self, network: nn.Module, contract: Contract) -> None:
        super().__init__(network, contract)
        self._compiled = torch.compile(network.eval(), dynamic=True)

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            outputs = self._compiled(*tensors_of(inputs, self._contract))
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def _onnx(path: Path, contract: Contract, threads: int) -> Callable[[], Predictor]:
    return lambda: OnnxPredictor(path, contract, threads)
