"""Files in protobuf's text format, and messages that ``tensorflow-serving-api`` leaves out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format, wrappers_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from serving.tfserving.embedded.status import invalid, not_found

log = logging.getLogger(__name__)

_PACKAGE = "tensorflow.serving"
_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "string": FieldDescriptorProto.TYPE_STRING,
}

Field = tuple[str, int, str]
"""Name, number and type: a scalar as ``int64``; a wrapper as ``Int64Value``; another message by its
whole name, with a full stop before it. ``repeated`` before it where there may be several, ``map`` where
each has a text for its name."""


def make_message(name: str, fields: Sequence[Field]) -> Any:
    """An empty message of a type that is made here.

    Args:
        name: in the package ``tensorflow.serving``.
        fields: as in its ``.proto`` file.
    """
    return make_messages({name: fields})(name)


def make_messages(
    schema: Mapping[str, Sequence[Field]], *files: FileDescriptor
) -> Callable[[str], Any]:
    """A function that gives an empty message of one of some types that are made here.

    Args:
        schema: fields by the names of messages, in the package ``tensorflow.serving``.
        files: what the fields need beside wrappers.
    """
    pool = DescriptorPool()
    depends_on = (wrappers_pb2.DESCRIPTOR, *files)
    file = FileDescriptorProto(
        name=f"{next(iter(schema))}.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[each.name for each in depends_on],
    )
    for name, fields in schema.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            _add_field(message, field_name, number, kind)
    for each in depends_on:
        _add_file(pool, each)
    pool.Add(file)
    return lambda name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()


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
        text_format.Parse(text, message, descriptor_pool=message.DESCRIPTOR.file.pool)
    except OSError as error:
        raise not_found(f"{path}; {error.strerror}") from error
    except (
        text_format.ParseError,
        ValueError,
    ) as error:  # ValueError: no UTF-8, or an enum's number
        name = message.DESCRIPTOR.full_name
        log.error("Error parsing text-format %s: %s", name, error)
        raise invalid(f"Invalid protobuf file: '{path}'") from error


def _add_file(pool: DescriptorPool, file: FileDescriptor) -> None:
    """After those that it needs; one that is there already stays."""
    for each in file.dependencies:
        _add_file(pool, each)
    pool.AddSerializedFile(file.serialized_pb)


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    label, _, base = kind.rpartition(" ")
    if label == "map":
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, base)
        base = f".{_PACKAGE}.{message.name}.{entry.name}"
    field = message.field.add(
        name=name,
        number=number,
        type=_SCALARS.get(base, FieldDescriptorProto.TYPE_MESSAGE),
        label=FieldDescriptorProto.LABEL_REPEATED if label else FieldDescriptorProto.LABEL_OPTIONAL,
    )
    if base not in _SCALARS:
        field.type_name = base if base.startswith(".") else f".google.protobuf.{base}"
