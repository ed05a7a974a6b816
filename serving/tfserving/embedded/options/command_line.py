"""Reads a command line as TensorFlow's ``tsl/util/command_line_flags.cc`` does.

Three of its rules surprise. A value comes after ``=`` and in no other way. An unknown flag is no
error: ``main.cc`` prints the usage and goes on. And ``--help`` is an unknown flag, which ends the
program only if it is the first of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.tfserving.embedded.options.flags import FLAGS, Flags, Kind, Value

_INTEGER = re.compile(r"\s*[+-]?\d+", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|\s*[+-]?(inf|nan)", re.ASCII | re.I)
_BITS = {Kind.INT32: 32, Kind.INT64: 64}
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class CommandLine:
    """What was found on a command line.

    Attributes:
        flags: the values; defaults where none was given or it cannot be read.
        given: names of the flags that were given.
        unknown: arguments that are no flag of ours, in their order.
        complaints: a sentence for each value that cannot be read.
    """

    flags: Flags
    given: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether the server may start; else the usage is all that is printed."""
        return not self.complaints and self.unknown[:1] != ("--help",)


@dataclass
class _Findings:
    values: dict[str, Value] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Read the command line without the program's name; the last value of a flag counts."""
    found = _Findings()
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for argument in arguments[:end]:
        _read_one(argument, found)
    found.unknown += arguments[end:]
    return CommandLine(
        Flags(**found.values),  # type: ignore[arg-type]
        frozenset(found.values),
        tuple(found.unknown),
        tuple(found.complaints),
    )


def usage(program: str) -> str:
    """Every flag with its default, its kind and what it is."""
    lines = [f"usage: {program}", "Flags:"]
    for name, flag in FLAGS.items():
        kind = flag.metadata["kind"]
        given = f"--{name}={_spell(kind, flag.default)}"
        lines.append(f"\t{given:<33}\t{kind.value}\t{flag.metadata['says']}")
    return "\n".join(lines)


def _read_one(argument: str, found: _Findings) -> None:
    for name, flag in FLAGS.items():
        text = _text_for(argument, name, flag.metadata["kind"])
        if text is None:
            continue
        value = _read(flag.metadata["kind"], text)
        if value is None:
            found.complaints.append(f"Couldn't interpret value {text} for flag {name}.")
        else:
            found.values[name] = value
        return
    found.unknown.append(argument)


def _text_for(argument: str, name: str, kind: Kind) -> str | None:
    """What stands after ``=``; None where the argument is for another flag.

    A truth may stand without a value.
    """
    if kind is Kind.BOOL and argument == f"--{name}":
        return "true"
    prefix = f"--{name}="
    return argument.removeprefix(prefix) if argument.startswith(prefix) else None


def _read(kind: Kind, text: str) -> Value | None:
    """The value; None where the text is none of its kind."""
    if kind is Kind.STRING:
        return text
    if kind is Kind.BOOL:
        return _TRUTHS.get(text.lower())
    if kind is Kind.FLOAT:
        return float(text) if _FLOAT.fullmatch(text) else None
    return _read_integer(text, _BITS[kind])


def _read_integer(text: str, bits: int) -> int | None:
    """None where it has too many digits, too; C's ``sscanf`` would take some other number."""
    if not _INTEGER.fullmatch(text) or len(text) > bits:
        return None
    number = int(text)
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


def _spell(kind: Kind, value: Any) -> str:
    if kind is Kind.BOOL:
        return str(value).lower()
    if kind is Kind.FLOAT:
        return f"{value:f}"
    return f'"{value}"' if kind is Kind.STRING else str(value)
