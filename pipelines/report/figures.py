"""How numbers are written, on the page and in the terminal: units, digits, and what is unknown."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

UNKNOWN = "—"
VOIDED = "voided"
TOO_FEW = "too few"
"""Samples for a percentile."""
SAME_RATIO = 1.05
"""Two figures closer than this are called the same: a modest measurement cannot tell them apart."""


def is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def percent(share: float | None) -> str:
    """A share of 0 to 1: ``98.61 %``."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    return "100 %" if share == 1 else f"{100 * share:.2f} %"


def brief_percent(share: float | None) -> str:
    """The same in two or three digits, for tables of many: ``12 %``, ``0.4 %``, ``0``."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    if share == 0:
        return "0"
    shown = 100 * share
    if shown < 0.05:
        return "< 0.1 %"
    return f"{shown:.1f} %" if shown < 9.95 else f"{shown:.0f} %"


def plain_number(value: float | None) -> str:
    """A figure of unknown unit in three or four digits: ``0.13``, ``57.2``, ``1017``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    return f"{value:.3g}"


def data_size(count: float | None) -> str:
    """Bytes in decimal units: ``1.2 MB``."""
    if count is None or not math.isfinite(count):
        return UNKNOWN
    for unit in ("B", "kB", "MB"):
        if abs(count) < 999.5:
            return f"{_three_digits(count)} {unit}"
        count /= 1000
    return f"{_three_digits(count)} GB"


def milliseconds(value: float | None) -> str:
    """``1.24 ms``."""
    return f"{bare_milliseconds(value)} ms" if is_known(value) else UNKNOWN


def bare_milliseconds(value: float | None) -> str:
    """The same without its unit, for places where several stand in a row."""
    return UNKNOWN if value is None or not math.isfinite(value) else _three_digits(value)


def seconds(value: float | None) -> str:
    """``0.21 s``, ``41.2 s``, ``2 min 13 s``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value < 99.95:
        return f"{_three_digits(value)} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def rate(value: float | None) -> str:
    """Requests or rows in a second, unit left out: ``1,234``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.0f}" if value >= 100 else _three_digits(value)


def difference(value: float | None) -> str:
    """An absolute or relative difference: ``3.1e-6``; exactly nothing is ``0``."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1000:
        return f"{value:.3g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def ratio(larger: float, smaller: float) -> str:
    """``2.3 ×``: two digits, which is what a modest measurement can carry."""
    times = larger / smaller
    return f"{times:.1f}\u00a0×" if times < 9.95 else f"{times:.0f}\u00a0×"


def moment(when: datetime) -> str:
    """``5 March 2026, 12:30 UTC``; a time without a zone is taken for UTC."""
    zoned = when.astimezone(UTC) if when.tzinfo else when
    return f"{zoned.day} {zoned:%B %Y, %H:%M} UTC"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 check``, ``61 checks``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Text from elsewhere without control characters, which would restyle a terminal, are not allowed
    in XML, and stop the chart renderer's process; line ends stay."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(char) in ("Cc", "Cs") and char != "\n"
        else char
        for char in text
    )


def _three_digits(value: float) -> str:
    """About three digits that matter: 0.213, 1.24, 41.2, 240."""
    if value == 0:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, min(places, 3))}f}"
