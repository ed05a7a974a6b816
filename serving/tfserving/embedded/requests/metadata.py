"""What the server says of its models, as the messages that both fronts send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serving.tfserving.embedded.graph.saved_model import Servable
from serving.tfserving.embedded.versions.models import VersionState
from serving.tfserving.messages import (
    GetModelMetadataResponse,
    GetModelStatusResponse,
    SignatureDefMap,
)

SIGNATURE_DEF = "signature_def"
"""The only field of metadata that TF Serving knows."""


def signature_map(servable: Servable) -> Any:
    """All SignatureDefs of the file, as a SignatureDefMap."""
    found = SignatureDefMap()
    for name, definition in servable.definitions.items():
        found.signature_def[name].CopyFrom(definition)
    return found


def model_metadata(servable: Servable) -> Any:
    """A GetModelMetadataResponse."""
    response = GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.metadata[SIGNATURE_DEF].Pack(signature_map(servable))
    return response


def model_status(states: Sequence[VersionState]) -> Any:
    """A GetModelStatusResponse."""
    response = GetModelStatusResponse()
    for each in states:
        found = response.model_version_status.add(version=each.version, state=int(each.state))
        found.status.SetInParent()
        if each.error is not None:
            found.status.error_code = each.error.code.value[0]
            found.status.error_message = each.error.message
    return response
