"""Spans, checked for what no statistics show, and laid out as CsvExampleGen wants them: one folder a split.

Every staged row says which span it came from, in the column ``span``: statistics are sliced by it. A column that
only some spans have is empty in the others, so that validation, and not a parser, says what is missing.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.artifact import digest_of, digest_of_parts, whole_folder
from models.errors import SpanError
from pipelines.tfx.inside.findings import Finding
from pipelines.tfx.inside.leaks import LEAKS, separating_columns
from pipelines.tfx.spans import FILE, span_folder

SPAN = "span"
MOST_DUPLICATES = 0.02
"""Share of a span's rows that may repeat another row of it in every column."""

Rows = list[list[str]]


@dataclass(frozen=True)
class Staged:
    """What lies ready.

    Attributes:
        folder: ``<split>/span-NN.csv`` below it.
        digest: over the spans' files and the splits.
        splits: numbers of the spans by split.
        rows: by split.
        findings: what no statistics show.
    """

    folder: Path
    digest: str
    splits: dict[str, list[int]]
    rows: dict[str, int]
    findings: list[Finding]


def stage(spans: Path, splits: Mapping[str, Sequence[int]], label: str, state: Path) -> Staged:
    """Read, check and lay out the spans of each split.

    Raises:
        SpanError: a span is missing, empty, or cannot be read as CSV; it is named.
        StorageError: the disk is full.
    """
    files = {number: _file(spans, number) for each in splits.values() for number in each}
    digest = digest_of_parts(
        *(f"{name} {list(each)}" for name, each in splits.items()),
        *(digest_of(files[number]) for number in sorted(files)),
    )
    folder = state / "staged" / digest[:12]
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    columns = _all_columns(files)
    with whole_folder(folder) as partial:
        for split, numbers in splits.items():
            (partial / split).mkdir()
            for number in numbers:
                header, rows = _read(files[number], number)
                counts[split] += len(rows)
                findings += _look_at(number, header, rows, label)
                target = partial / split / f"{span_folder(number)}.csv"
                _write(target, number, columns, header, rows)
                # TFX reuses what it made of a file by the file's time.
                stat = files[number].stat()
                os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    named = {name: list(each) for name, each in splits.items()}
    return Staged(folder, digest, named, dict(counts), findings)


def _file(spans: Path, number: int) -> Path:
    file = spans / span_folder(number) / FILE
    if not file.is_file():
        raise SpanError(
            f"Span {number} is missing: there is no {file}.", "Write it, or leave it out."
        )
    return file


def _all_columns(files: Mapping[int, Path]) -> list[str]:
    """Every column that any span has, in order of appearance."""
    found: dict[str, None] = {}
    for number in sorted(files):
        with files[number].open(newline="", encoding="utf-8", errors="replace") as stream:
            try:
                found |= dict.fromkeys(next(csv.reader(stream), []))
            except csv.Error as error:
                raise SpanError(f"Span {number} ({files[number]}) is no CSV: {error}.") from error
    return list(found)


def _read(file: Path, number: int) -> tuple[list[str], Rows]:
    where = f"Span {number} ({file})"
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            header, *rows = [row for row in csv.reader(stream, strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpanError(f"{where} cannot be read as CSV: {error}.") from error
    except ValueError as error:
        raise SpanError(f"{where} is empty: it has not even a header.") from error
    if not rows:
        raise SpanError(
            f"{where} is empty: it has a header, and no rows.", "An empty month is no data."
        )
    if len(set(header)) != len(header):
        twice = next(name for name, count in Counter(header).items() if count > 1)
        raise SpanError(f"{where} cannot be read as CSV: its header names {twice!r} twice.")
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise SpanError(
                f"{where} cannot be read as CSV: row {line} has {len(row)} values, the header has {len(header)}."
            )
    return header, rows


def _look_at(number: int, header: list[str], rows: Rows, label: str) -> list[Finding]:
    distinct = {hashlib.blake2b("\0".join(row).encode(), digest_size=16).digest() for row in rows}
    share = 1 - len(distinct) / len(rows)
    found = []
    if share > MOST_DUPLICATES:
        found.append(
            Finding(
                number,
                "",
                "duplicated rows",
                f"at most {MOST_DUPLICATES:.0%} of the rows repeat another one",
                f"{share:.1%} of {len(rows):,} rows repeat another one",
            )
        )
    for name in sorted(LEAKS.intersection(header)):
        expected = "only columns that are known beforehand"
        found.append(
            Finding(number, name, "label leaks", expected, "a column that is known only afterwards")
        )
    for name, auc in separating_columns(header, rows, label).items():
        expected = f"no single column that separates {label} (ROC AUC below 0.95)"
        found.append(
            Finding(
                number, name, "label leaks", expected, f"ROC AUC {auc:.3f} with this column alone"
            )
        )
    return found


def _write(target: Path, number: int, columns: list[str], header: list[str], rows: Rows) -> None:
    places = [header.index(name) if name in header else None for name in columns]
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*columns, SPAN])
        if places == list(range(len(header))):
            writer.writerows([*row, number] for row in rows)
        else:
            writer.writerows(
                [*("" if at is None else row[at] for at in places), number] for row in rows
            )
