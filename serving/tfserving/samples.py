"""Ready-to-paste commands that send a sample."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

from google.protobuf.json_format import MessageToJson

from models.contract import Tensors
from serving.tfserving.messages import PredictRequest
from serving.tfserving.tensor_proto import to_proto
from serving.wire.rows import encode_rows

METHOD = "tensorflow.serving.PredictionService/Predict"


def curl_line(base_url: str, model_name: str, inputs: Tensors) -> str:
    """A predict request over REST.

    Args:
        base_url: ``http://host:port``.
        model_name: the name under which the model is served.
        inputs: a small batch, (N, ...) each.
    """
    url = f"{base_url}/v1/models/{quote(model_name, safe='')}:predict"
    body = encode_rows(inputs).decode()
    return f"curl -sS -H 'Content-Type: application/json' -d {shlex.quote(body)} {shlex.quote(url)}"


def grpcurl_line(address: str, model_name: str, inputs: Tensors, protoset: Path) -> str:
    """A predict request over gRPC.

    TF Serving has no reflection, so that grpcurl needs the interface from a file.

    Args:
        address: ``host:port``.
        model_name: the name under which the model is served.
        inputs: a small batch, (N, ...) each.
        protoset: written by :func:`serving.tfserving.messages.write_protoset`.
    """
    body = MessageToJson(_request(model_name, inputs), indent=None)
    return (
        f"grpcurl -plaintext -protoset {shlex.quote(str(protoset))} -d {shlex.quote(body)} "
        f"{address} {METHOD}"
    )


def _request(model_name: str, inputs: Tensors) -> Any:
    request = PredictRequest()
    request.model_spec.name = model_name
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(to_proto(array, as_content=False))
    return request
