"""Open what PyTorch exported: TorchScript, alone or inside a model archive."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch

from models.contract import Contract, Tensors
from models.errors import ArtifactCorrupt
from models.formats import Format
from models.frameworks.pytorch.encoding import tensors_of
from models.predictor import Closing, Predictor, Signature, StatedTensor


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
        source = _archived(path) if format_name == Format.MAR else io.BytesIO(path.read_bytes())
        return TorchScriptPredictor(source, contract)
    except (OSError, ValueError, RuntimeError, LookupError, zipfile.BadZipFile) as error:
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


def _archived(path: Path) -> io.BytesIO:
    """The serialised module inside a model archive, which is a zip file with a manifest.

    https://github.com/pytorch/serve/tree/master/model-archiver
    """
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
        return io.BytesIO(archive.read(manifest["model"]["serializedFile"]))
