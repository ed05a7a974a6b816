"""TF Serving's description of a model, as our Signature."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from models.contract import TEXT
from models.errors import NameMismatch, ServerFault
from models.predictor import UNSTATED, Signature, StatedTensor
from serving.tfserving.messages import SignatureDefMap
from serving.tfserving.tensor_proto import BY_NUMBER, STRING
from serving.wire.rows import decode_json

SIGNATURE = "serving_default"
"""The signature that is asked where a request names none."""

SIGNATURE_DEF = "signature_def"
"""The one field of metadata that TF Serving has."""


def signature_in_json(body: bytes) -> Signature:
    """From the answer of ``GET /v1/models/<name>/metadata``.

    Raises:
        ServerFault: the answer is not metadata.
        NameMismatch: the model has no default signature.
    """
    try:
        described = decode_json(body)["metadata"][SIGNATURE_DEF]
        signatures = ParseDict(described, SignatureDefMap(), ignore_unknown_fields=True)
    except (ValueError, KeyError, TypeError, ParseError) as error:
        raise ServerFault(f"The metadata cannot be read: {body[:200]!r}") from error
    return _signature_in(signatures)


def signature_in_message(response: Any) -> Signature:
    """From a GetModelMetadataResponse.

    Raises:
        NameMismatch: the model has no default signature.
    """
    signatures = SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    return _signature_in(signatures)


def _signature_in(signatures: Any) -> Signature:
    if SIGNATURE not in signatures.signature_def:
        raise NameMismatch(
            f"The model has no signature {SIGNATURE!r}, only {sorted(signatures.signature_def)}."
        )
    definition = signatures.signature_def[SIGNATURE]
    return Signature(_stated(definition.inputs), _stated(definition.outputs))


def _stated(tensors: Any) -> tuple[StatedTensor, ...]:
    return tuple(_state(name, tensors[name]) for name in sorted(tensors))


def _state(name: str, info: Any) -> StatedTensor:
    kind = BY_NUMBER.get(info.dtype)
    dtype = UNSTATED if kind is None else TEXT if kind is STRING else kind.dtype.name
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(each.size for each in shape.dim[1:])
    return StatedTensor(name, dtype, sizes)
