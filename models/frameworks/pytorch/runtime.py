"""Open what PyTorch exported: TorchScript, alone or inside a model archive, and ONNX through ONNX Runtime."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors

from models.contract import Contract, Tensors
from models.errors import ArtifactCorrupt
from models.formats import Format
from models.frameworks.pytorch.encoding import tensors_of
from models.predictor import Closing, Predictor, Signature, StatedTensor

ONNX_ERRORS = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NoSuchFile,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
)
"""They have no base of their own."""


def prepare(threads: int, seed: int) -> None:
    """Set threads and seeds; call before anything else runs."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)


def label() -> str:
    """What exactly runs, for people."""
    return f"PyTorch {torch.__version__}"


def open_artifact(path: Path, format_name: str, contract: Contract) -> Predictor:
    """Open an exported file.

    Raises:
        ArtifactCorrupt: it cannot be opened as that format.
    """
    try:
        if format_name == Format.ONNX:
            return OnnxPredictor(path, contract, torch.get_num_threads())
        source = _archived(path) if format_name == Format.MAR else io.BytesIO(path.read_bytes())
        return TorchScriptPredictor(source, contract)
    except (
        OSError, ValueError, RuntimeError, LookupError, zipfile.BadZipFile, *ONNX_ERRORS
    ) as error:  # fmt: skip
        raise ArtifactCorrupt(f"{path.name} cannot be opened as {format_name}: {error}") from error


class TorchScriptPredictor(Closing):
    """A TorchScript module whose ``forward`` takes the contract's inputs and returns a dict."""

    def __init__(self, source: io.BytesIO, contract: Contract) -> None:
        self._module = torch.jit.load(source)
        self._contract = contract

    def signature(self) -> Signature:
        """Argument names are in the file; output names are those of one answer; shapes are not stated."""
        arguments = self._module.forward.schema.arguments[1:]  # the first one is self
        probe = {s.name: s.filled(1, None) for s in self._contract.inputs}
        outputs = self.predict(probe)
        return Signature(
            tuple(StatedTensor(argument.name) for argument in arguments),
            tuple(StatedTensor(n, a.dtype.name, a.shape[1:]) for n, a in outputs.items()),
        )

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            outputs = self._module(*tensors_of(inputs, self._contract))
        return {name: tensor.numpy() for name, tensor in outputs.items()}


class OnnxPredictor(Closing):
    """An ONNX file on ONNX Runtime's CPU provider."""

    def __init__(self, path: Path, contract: Contract, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        self._contract = contract

    def signature(self) -> Signature:
        return Signature(
            tuple(_stated(each) for each in self._session.get_inputs()),
            tuple(_stated(each) for each in self._session.get_outputs()),
        )

    def predict(self, inputs: Tensors) -> dict[str, np.ndarray]:
        names = self._contract.output_names
        given = {name: inputs[name] for name in self._contract.input_names}
        return dict(zip(names, self._session.run(names, given), strict=True))

    def close(self) -> None:
        del self._session


def _stated(tensor: onnxruntime.NodeArg) -> StatedTensor:
    """ONNX calls float32 ``tensor(float)`` and float64 ``tensor(double)``; the others are numpy's names."""
    kind = tensor.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
    return StatedTensor(tensor.name, dtype, tuple(tensor.shape[1:]))


def _archived(path: Path) -> io.BytesIO:
    """The serialised module inside a model archive, which is a zip file with a manifest.

    https://github.com/pytorch/serve/tree/master/model-archiver
    """
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
        return io.BytesIO(archive.read(manifest["model"]["serializedFile"]))
