"""Files in protobuf's text format, and messages that ``tensorflow-serving-api`` leaves out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format, wrappers_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from serving.tfserving.embedded.status import invalid, not_found

log = logging.getLogger(__name__)

_PACKAGE = "tensorflow.serving"
_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
}

Field = tuple[str, int, str]
"""Name, number and type: ``bool``, ``int64``, ``string``, a wrapper as ``Int64Value``; ``repeated``
before it where there may be several."""


def make_message(name: str, fields: Sequence[Field]) -> Any:
    """An empty message of a type that is made here.

    Args:
        name: in the package ``tensorflow.serving``.
        fields: as in its ``.proto`` file.
    """
    file = FileDescriptorProto(
        name=f"{name}.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name=name)
    for field_name, number, kind in fields:
        _add_field(message, field_name, number, kind)
    pool = DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()


def read_text_file(path: str | Path, message: Any) -> None:
    """Fill a message from a file; the words are those of ``util/proto_util.h`` there.

    What is wrong with the text goes to the log, as protobuf's own complaint does there. An empty
    file is refused, as there, where it cannot be mapped into memory: it may just be written.

    Raises:
        StatusError: NOT_FOUND where the file cannot be read, INVALID_ARGUMENT where its text is no
            such message.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        if not text:
            raise invalid(f"{path}; Invalid argument")
        text_format.Parse(text, message)
    except OSError as error:
        raise not_found(f"{path}; {error.strerror}") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        name = message.DESCRIPTOR.full_name
        log.error("Error parsing text-format %s: %s", name, error)
        raise invalid(f"Invalid protobuf file: '{path}'") from error


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    base = kind.removeprefix("repeated ")
    field = message.field.add(
        name=name,
        number=number,
        type=_SCALARS.get(base, FieldDescriptorProto.TYPE_MESSAGE),
        label=FieldDescriptorProto.LABEL_OPTIONAL
        if base == kind
        else FieldDescriptorProto.LABEL_REPEATED,
    )
    if base not in _SCALARS:
        field.type_name = f".google.protobuf.{base}"
