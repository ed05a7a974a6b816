"""Status and metadata as JSON: ``ToJsonString`` in TF Serving's ``http_rest_api_util.cc``."""

from __future__ import annotations

from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.requests.metadata import SIGNATURE_DEF, signature_map


def write_status(response: Message) -> bytes:
    """A GetModelStatusResponse."""
    return _write(_as_dict(response))


def write_metadata(servable: Servable) -> bytes:
    """What a GetModelMetadataResponse holds, the signatures unpacked."""
    spec = {
        "name": servable.name,
        "signature_name": "",
        "version": str(servable.version),  # int64 is text in protobuf's JSON
    }
    signatures = _as_dict(signature_map(servable))
    return _write({"model_spec": spec, "metadata": {SIGNATURE_DEF: signatures}})


def _as_dict(message: Message) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _write(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)
