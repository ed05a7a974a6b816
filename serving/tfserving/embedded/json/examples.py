"""The bodies of ``:classify`` and ``:regress`` requests as ``tensorflow.Example``s.

Rules and words: ``FillClassifyRegressRequestFromJson`` in TF Serving's ``util/json_tensor.cc``.
"""

from __future__ import annotations

from typing import Any

from serving.tfserving.embedded.json.elements import is_base64, read_base64, read_text
from serving.tfserving.embedded.json.excerpt import excerpt, type_name
from serving.tfserving.embedded.json.tensors import Body
from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.messages import Input

_CONTEXT = "context"
_EXAMPLES = "examples"
_INT64 = 2**63
_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def read_examples(body: Body) -> Any:
    """An ``Input`` of the body's examples, with its context where it has one.

    Raises:
        StatusError: the document has another form, or a feature mixes types.
    """
    document = body.document
    found = Input()
    into = found.example_list
    if _CONTEXT in document:
        into = found.example_list_with_context
        into.context.SetInParent()
        _fill(into.context, document[_CONTEXT])
    if _EXAMPLES not in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} When method is classify, key '{_EXAMPLES}' is "
            "expected and was not found"
        )
    examples = document[_EXAMPLES]
    if not isinstance(examples, list):
        raise invalid(
            f"JSON Value: {excerpt(document)} Expecting '{_EXAMPLES}' value to be an list/array"
        )
    if not examples:
        raise invalid(f"JSON Value: {excerpt(document)} '{_EXAMPLES}' value is an empty array")
    for example in examples:
        _fill(into.examples.add(), example)
    return found


def _fill(example: Any, value: Any) -> None:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    for name, content in value.items():
        feature = example.features.feature[name]
        for each in content if isinstance(content, list) else [content]:
            _add(feature, name, each)


def _add(feature: Any, name: str, value: Any) -> None:
    kind, element = _element(name, value)
    already = feature.WhichOneof("kind")
    if already not in (None, kind):
        raise invalid(
            f"Unexpected element type in feature: {name} expecting type: {_KINDS[already]}"
        )
    getattr(feature, kind).value.append(element() if callable(element) else element)


def _element(name: str, value: Any) -> tuple[str, Any]:
    """The list that it belongs to, and the element; decoding comes after the check of the list."""
    if isinstance(value, bool):
        return "int64_list", int(value)
    if isinstance(value, float):
        return "float_list", value
    if isinstance(value, int):
        return "int64_list", lambda: _check_int(name, value)
    if isinstance(value, str):
        return "bytes_list", read_text(value)
    if is_base64(value):
        return "bytes_list", lambda: read_base64(value)
    raise _unexpected(name, value)


def _check_int(name: str, value: int) -> int:
    if value >= _INT64:
        raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    return value


def _unexpected(name: str, value: Any) -> StatusError:
    return invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
