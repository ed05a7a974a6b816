"""The table in the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from pipelines.facts import Outcome, RunReport
from pipelines.report.terminal import print_report

Make = Callable[[str], RunReport]


def printed(report: RunReport, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["sample", "failed", "voided", "skewed", "measured", "empty"])
def test_fits_the_width(make: Make, name: str, width: int) -> None:
    assert max(len(line) for line in printed(make(name), width).splitlines()) <= width


def test_figures_stand_whole_in_one_row_at_80_columns(make: Make) -> None:
    lines = [" ".join(line.split()) for line in printed(make("sample")).splitlines()]
    assert "Test accuracy 98.89 % 98.61 %" in lines
    assert "REST p50/p90/p99, ms 1.32 / 1.61 / 2.95 3.18 / 3.92 / 7.41" in lines
    assert "gRPC req/s, 1/4/16 clients 1,011 / 1,642 / 1,688 282 / 431 / 440" in lines
    assert "Memory, idle / loaded 412 MB / 441 MB 498 MB / 537 MB" in lines
    assert "First correct answer after 2.31 s 5.94 s" in lines
    assert "Processor time per answer 0.420 ms 1.90 ms" in lines
    assert "Exported files SavedModel 412 kB TorchScript 178 kB" in lines
    assert "✓ verify: 20 passed" in lines
    assert lines[-1].startswith("✓ Both may ship")


def test_failures_and_shortfalls_are_told_in_full(make: Make) -> None:
    report = make("failed")
    text = " ".join(printed(report).split())
    for check in report.checks:
        if check.outcome is not Outcome.PASS:
            assert f"{check.subject} ({check.stage})" in text
            assert f"{check.question} found {check.figure}" in text
            assert check.detail in text
    assert f"✕ Not released: 13 of {len(report.checks)} checks failed" in text


def test_a_warning_is_told_and_fails_nothing(make: Make) -> None:
    text = " ".join(printed(make("skewed"), 120).split())
    assert "! versions: 1 with a warning" in text
    assert "found TensorFlow Library 2.16.2, held to TensorFlow Library 2.21.0" in text
    assert "Both may ship" in text
    assert "1 warning." in text
    assert "Runs in a container in a container" in text


def test_voided_figures_are_not_printed(make: Make) -> None:
    text = printed(make("voided"), 120)
    assert "voided: 3 of 500 answers wrong" in text
    assert "301 / 478 / voided" in text
    for figure in ("3.18", "8.63", "466"):
        assert figure not in text
    assert "measured 4 March 2026" in text


def test_marks_stand_below_the_figures_they_concern(make: Make) -> None:
    lines = [line.strip() for line in printed(make("measured"), 120).splitlines()]
    place = next(n for n, line in enumerate(lines) if line.startswith("gRPC p50/p90/p99"))
    assert lines[place + 1].split() == ["SATURATED", "UNSTABLE"]
    place = next(n for n, line in enumerate(lines) if line.startswith("REST p50/p90/p99"))
    assert "UNSTABLE" not in lines[place + 1]


def test_what_the_runs_can_show_is_said_in_words(make: Make) -> None:
    text = " ".join(printed(make("measured"), 120).split())
    assert "• TorchServe 0.12.0 is 1.8 to 2.1 times slower at p99 over REST" in text
    assert "! No claim about 1 of 4 comparisons TorchServe 0.12.0 over gRPC is UNSTABLE" in text
    assert "! UNSTABLE, TorchServe 0.12.0 · gRPC (SingleStream, Server, Offline)" in text
    spoiled = " ".join(printed(make("spoiled"), 120).split())
    assert "slower" not in spoiled
    assert "! VOID, TorchServe 0.12.0 · REST" in spoiled


def test_slices_and_drift_are_told(make: Make) -> None:
    text = " ".join(printed(make("sliced"), 120).split())
    assert "! PyTorch misses a threshold 3 slices judged, a threshold missed in 1" in text
    assert "! 1 feature drifted beyond the threshold temp; most: temp, 0.710 of 0.6 allowed" in text


def test_nothing_found_out(make: Make) -> None:
    assert "No verdict" in printed(make("empty"))


def test_messages_cannot_restyle_the_terminal(make: Make) -> None:
    report = make("failed")
    hostile = "[bold]x[/bold]\x1b[2Jgone"
    checks = [check.model_copy(update={"detail": hostile}) for check in report.checks]
    text = printed(report.model_copy(update={"checks": checks}))
    assert "\x1b" not in text
    assert "[bold]x[/bold]" in text
