"""Findings: what is wrong with rows, in one form, whoever found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.errors import DataAnomaly

SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One anomaly.

    Attributes:
        span: where; 0 where it is in a whole split.
        feature: its name; empty where it is about whole rows.
        kind: what it is called, such as "Unexpected string values".
        expected: what the schema, or a check of ours, expects.
        found: what there is instead.
    """

    span: int
    feature: str
    kind: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"span {self.span}" if self.span else "all spans"
        what = f"{self.feature}: {self.kind}" if self.feature else self.kind
        return f"{where}, {what}; expected {self.expected}, found {self.found.rstrip('.')}"

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def refuse(findings: Sequence[Finding], schema: str) -> None:
    """Raise what was found, if anything was.

    Args:
        findings: all of them.
        schema: the file to review if it is the world that has changed.

    Raises:
        DataAnomaly: naming the first few.
    """
    if not findings:
        return
    lines = "\n".join(f"  {each}" for each in findings[:SHOWN])
    more = f"\n  and {len(findings) - SHOWN} more" if len(findings) > SHOWN else ""
    plural = "anomaly" if len(findings) == 1 else "anomalies"
    raise DataAnomaly(
        f"The data have {len(findings)} {plural}:\n{lines}{more}",
        f"Correct the data; or, if the world has changed, review {schema}.",
    )
