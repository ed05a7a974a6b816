"""``python -m benchmarks.scale`` (``make bench-scale``): does a row cost the same among thirty times as many?

The flights' rows are drawn ×1, ×10 and ×30 (10 million) with replacement and written as shards. Both frameworks
train on each through the pipeline's own workers, side by side, while the process tree's memory is watched. Files
go to a folder below build/ that is removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, all_met, print_figures, write_json
from benchmarks.pipeline import out, say
from benchmarks.scale_figures import row_seconds, scale_figures
from benchmarks.scale_formats import format_figures
from benchmarks.scaling import Scale, Size
from benchmarks.stopping import stop_on_signals
from models.errors import StorageError, TwinServeError
from models.framework import FRAMEWORKS, TITLES
from models.worker import QUIET
from pipelines.hardware import hardware, versions
from pipelines.settings import PROJECT

FACTORS, QUICK_FACTORS = (1, 10, 30), (1, 3)
EPOCHS = {1: 4, 3: 3, 10: 2, 30: 2}
"""The first compiles, and does not count."""
QUICK_SAMPLE = 60_000
BYTES_OF_A_TIME = 400_000_000
"""Disk for once the rows: raw, and encoded by both frameworks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code: 0 all goals met, 1 not, 2 it could not be measured."""
    options = parse(arguments)
    stop_on_signals()
    try:
        with _temporary_folder(max(options.factors)) as home:
            figures = measure(options, home)
    except KeyboardInterrupt:
        out.print("Stopped; nothing is left running.")
        return 130
    except TwinServeError as error:
        out.print(f"[bold red]Error:[/] {error}", highlight=False)
        return 2
    print_figures(figures, out, "Many rows: time and memory")
    if options.json:
        write_json(options.json, figures, hardware=hardware(), versions=versions())
    return 0 if all_met(figures) else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog="Through make: make bench-scale ARGS='--quick --json scale.json'\n"
        "Takes up to 10 minutes on two cores, and 12 GB of disk meanwhile; leave the machine alone.\n"
        "Exit code: 0 all goals met, 1 not all, 2 it could not be measured.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a smoke run: ×1 and ×3 of {QUICK_SAMPLE:,} rows; its figures say little",
    )
    parser.add_argument(
        "--formats", action="store_true", help="instead, the record format beside TFRecord and .npz"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    options.factors = QUICK_FACTORS if options.quick else FACTORS
    options.sample = QUICK_SAMPLE if options.quick else None
    return options


def measure(options: argparse.Namespace, home: Path) -> list[Figure]:
    """Every size in turn, the smallest first; or every format."""
    began = time.monotonic()
    load = os.getloadavg()[0]
    say(f"Load of the machine at the start: {load:.2f} (more than 0.5 disturbs the figures)")
    say("the source: flights, its rows and their constants")
    scale = Scale(home, options.sample)
    if options.formats:
        say("the formats")
        os.environ.update(QUIET)  # TensorFlow, which only TFRecord needs, is imported below
        return format_figures(home, scale.source())
    sizes = [_size(scale, factor) for factor in options.factors]
    return scale_figures(sizes, time.monotonic() - began)


def _size(scale: Scale, factor: int) -> Size:
    folder, seconds = scale.write(factor)
    say(f"×{factor}: shards written in {seconds:.1f} s; both frameworks train")
    try:
        size = scale.measure(factor, folder, seconds, EPOCHS[factor])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rows = ", ".join(
        f"{TITLES[name]} {row_seconds(size, name) * 1e6:.2f} µs" for name in FRAMEWORKS
    )
    say(f"  {size.rows:,} rows; a row: {rows}; peak {size.memory.peak_bytes / 1e6:,.0f} MB")
    return size


@contextmanager
def _temporary_folder(factor: int) -> Iterator[Path]:
    """A new folder on the checkout's disk (a temporary one may lie in memory), removed at the end.

    Raises:
        StorageError: the disk has too little space.
    """
    build = PROJECT / "build"
    build.mkdir(exist_ok=True)
    needed, free = (factor + 1) * BYTES_OF_A_TIME, shutil.disk_usage(build).free
    if free < needed:
        raise StorageError(
            f"{build} has {free / 1e9:.1f} GB free; this needs {needed / 1e9:.1f} GB.",
            "Free some space, or try ARGS='--quick'.",
        )
    path = Path(tempfile.mkdtemp(prefix="scale-", dir=build))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
