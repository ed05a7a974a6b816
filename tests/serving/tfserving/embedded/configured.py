"""A server on a configuration of many models, and the models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf import text_format

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.messages import (
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
    ReloadConfigRequest,
)
from serving.tfserving.tensor_proto import to_proto

DEADLINE_SECONDS = 60


class Store:
    """Base paths with versions; the odd ones are one model, the even ones the other."""

    def __init__(self, folder: Path, odd: Path, even: Path) -> None:
        self.folder = folder
        self._models = (even, odd)

    def put(self, name: str, *versions: int) -> str:
        """Make versions; returns the model's entry for a configuration."""
        for version in versions:
            shutil.copytree(self._models[version % 2], self.folder / name / str(version))
        return self.entry(name)

    def entry(self, name: str, more: str = 'model_platform: "tensorflow"') -> str:
        return f'config {{ name: "{name}" base_path: "{self.folder / name}" {more} }}'


def listed(*entries: str) -> str:
    return f"model_config_list {{ {' '.join(entries)} }}"


class Configured:
    """A server on a configuration file, and questions to it."""

    def __init__(self, spec: ServerSpec, path: Path) -> None:
        self.server = ProcessServer(spec)
        self.path = path
        self.server.start()
        self._http = httpx.Client(base_url=spec.url("rest"), trust_env=False, timeout=30)
        self._channel = grpc.insecure_channel(spec.address("grpc"))

    def close(self) -> None:
        self._http.close()
        self._channel.close()
        self.server.stop()

    def is_open(self) -> bool:
        assert self.server.is_alive(), self.server.log_tail()
        try:
            self._http.get("/v1/models/digits")
        except httpx.ConnectError:
            return False
        return True

    def write(self, text: str) -> None:
        other = self.path.with_suffix(".new")
        other.write_text(text)
        other.replace(self.path)

    def states(self, name: str) -> dict[int, str]:
        told = self._http.get(f"/v1/models/{name}").json()
        return {
            int(each["version"]): each["state"] for each in told.get("model_version_status", [])
        }

    def reload(self, text: str, timeout: float = DEADLINE_SECONDS) -> Any:
        request = ReloadConfigRequest()
        text_format.Parse(text, request.config)
        return self.send(request, timeout)

    def send(self, request: Any, timeout: float = DEADLINE_SECONDS) -> Any:
        return ModelServiceStub(self._channel).HandleReloadConfigRequest(request, timeout=timeout)

    def refused(self, text: str) -> str:
        """How a configuration is refused: the code's name and the message."""
        with pytest.raises(grpc.RpcError) as failed:
            self.reload(text)
        return f"{failed.value.code().name}: {failed.value.details()}"

    def answer(self, name: str, image: np.ndarray, **spec: Any) -> tuple[int, np.ndarray]:
        """Over gRPC: the version that answered, and its logits."""
        request = PredictRequest()
        request.model_spec.name = name
        if "label" in spec:
            request.model_spec.version_label = spec["label"]
        request.inputs["image"].CopyFrom(to_proto(image, as_content=False))
        told = PredictionServiceStub(self._channel).Predict(request, timeout=30)
        logits = np.array(told.outputs["logits"].float_val).reshape(len(image), 10)
        return told.model_spec.version.value, logits

    def rest_answer(self, part: str, image: np.ndarray) -> tuple[int, Any]:
        """Over REST: the status, and the logits or the error."""
        body = {"instances": [{"image": row} for row in image.tolist()]}
        told = self._http.post(f"/v1/models/{part}:predict", json=body)
        if told.status_code != 200:
            return told.status_code, told.json()["error"]
        return 200, np.array([row["logits"] for row in told.json()["predictions"]])


Start = Callable[..., Configured]
