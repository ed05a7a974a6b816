"""Speed and its parts on the page: what is drawn, what is refused, and which words stand beside which figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.facts import RunReport
from pipelines.report import write_report
from pipelines.report.breakdown import breakdown_charts
from pipelines.report.curves import percentile_position
from pipelines.report.load import load_groups
from pipelines.report.load_charts import load_charts
from pipelines.report.runners import runner_lines, sweeps

Make = Callable[[str], RunReport]
TF, TORCH = "TF Serving API (embedded)", "TorchServe 0.12.0"


@pytest.fixture(scope="module")
def pages(make: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("measured")
    return {name: write_report(make(name), folder / name) for name in ("measured", "spoiled")}


def drawn(page: Path) -> str:
    """The page without the embedded facts."""
    return page.read_text(encoding="utf-8").partition('<script type="application/json"')[0]


def figure(html: str, title: str) -> str:
    found = re.findall(rf"<figure class=\"card\">\s*<figcaption><b>{re.escape(title)}</b>.*?</figure>",
                       html, re.DOTALL)  # fmt: skip
    assert len(found) == 1, title
    return str(found[0])


def texts(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_every_figure_that_the_issue_asks_for_is_drawn(pages: dict[str, Path]) -> None:
    html = drawn(pages["measured"])
    for title in (
        "SingleStream: latency distribution", "SingleStream: percentiles", "Server: percentiles",
        "Throughput against concurrency, REST", "Throughput against concurrency, gRPC",
        "Latency against offered load, REST", "Where a request&#39;s time goes", "Cold start",
        "Memory under load", "Processor time", "In-process, TensorFlow", "In-process, PyTorch",
    ):  # fmt: skip
        assert "<svg" in figure(html, title)
        assert "mark QUICK" in figure(html, title)
    assert "Answers a second by largest batch and longest wait" in html
    assert pages["measured"].stat().st_size < 2_000_000


def test_percentiles_stand_on_an_axis_of_nines(pages: dict[str, Path]) -> None:
    places = [percentile_position(rank) for rank in (0, 90, 99, 99.9)]
    assert places == pytest.approx([0, 1, 2, 3])
    chart = figure(drawn(pages["measured"]), "SingleStream: percentiles")
    ticks = re.findall(r">(50|90|99|99\.9|99\.99)</text>", chart)
    assert ticks == ["50", "90", "99", "99.9"]


def test_a_percentile_without_enough_samples_is_neither_printed_nor_drawn(make: Make) -> None:
    report = make("measured")
    (server,) = [group for group in load_groups(report) if group.title == "Server"]
    assert {line.cells[4] for line in server.lines} == {"too few"}
    chart = next(each for each in load_charts(report) if each.title == "Server: percentiles")
    tips = re.findall(r'data-tip="[^"]*: p([0-9.]+) ', str(chart.svg))
    assert max(map(float, tips)) == 99
    assert ">99.9</text>" not in str(chart.svg)


def test_marks_stand_beside_the_figures_they_concern(pages: dict[str, Path]) -> None:
    html = drawn(pages["measured"])
    rest = texts(figure(html, "Throughput against concurrency, REST"))
    grpc = texts(figure(html, "Throughput against concurrency, gRPC"))
    assert "UNSTABLE" not in rest
    assert f"{TORCH} · gRPC UNSTABLE" in grpc
    assert f"{TF} · gRPC SATURATED" in grpc
    assert f"{TORCH} · gRPC INVALID" in texts(figure(html, "Server: percentiles"))
    assert "its windows differ by 17 %, and 10 % are allowed" in html
    table = html.partition("<h3>By scenario</h3>")[2].partition("</table>")[0]
    rows = [row.partition("</th>")[::2] for row in table.split("<tr>")[2:] if "<td" in row]
    on_phones, beside = (
        [re.findall(r'class="mark (\w+)"', row[part]) for row in rows] for part in (0, 1)
    )
    assert on_phones == beside
    assert ["INVALID", "UNSTABLE"] in beside
    assert ["VALID"] in beside


def test_bytes_workers_and_threads_stand_open_beside_the_figures(pages: dict[str, Path]) -> None:
    html = drawn(pages["measured"])
    section = html.partition("<h3>Measured with</h3>")[2].partition("<h3>")[0]
    assert "<details" not in section
    assert f"{TORCH} · gRPC 1 612 310 1 2 1" in texts(section)
    assert "Not alike" in section


def test_void_figures_are_nowhere(make: Make, pages: dict[str, Path]) -> None:
    """Two of TorchServe's answers over REST were wrong: its latency, rate and knee are not shown."""
    good = make("measured").load
    assert good
    html = drawn(pages["spoiled"])
    speed = html.partition('<section id="speed">')[2].partition("</section>")[0]
    pictures = "".join(re.findall(r"<svg.*?</svg>", speed, re.DOTALL))
    assert f'data-tip="{TF} · REST' in pictures
    assert f'data-tip="{TORCH} · REST' not in pictures
    chart = "Throughput against concurrency, REST"
    for facts in good.throughput:
        if (facts.server, facts.protocol) == (TORCH, "REST"):
            assert f">{facts.requests_per_second:,.0f}<" in figure(drawn(pages["measured"]), chart)
            assert f">{facts.requests_per_second:,.0f}<" not in figure(html, chart)
    assert "404/s" in drawn(pages["measured"])
    assert "404/s" not in speed
    assert f"{TORCH} · REST VOID" in texts(speed)
    assert "row 3: logits differ by 0.4" in speed
    assert "slower at p99 over REST" not in texts(html)
    assert "No claim about" in texts(html)


def test_offered_load_is_drawn_by_the_percentile_that_most_points_have(make: Make) -> None:
    report = make("measured")
    assert report.load
    few = [
        each.model_copy(update={"percentiles": [p for p in each.percentiles if p.rank <= 90]})
        if number % 4
        else each
        for number, each in enumerate(report.load.sweep)
    ]
    short = report.model_copy(update={"load": report.load.model_copy(update={"sweep": few})})
    charts = [each for each in load_charts(short) if "offered load" in each.title]
    assert {each.columns[2] for each in charts} == {"p90 ms"}
    full = [each for each in load_charts(report) if "offered load" in each.title]
    assert {each.columns[2] for each in full} == {"p99 ms"}


def test_knee_and_bound_are_named_in_the_drawing(pages: dict[str, Path]) -> None:
    chart = figure(drawn(pages["measured"]), "Latency against offered load, REST")
    assert ">955/s</text>" in chart
    assert ">404/s</text>" in chart
    assert ">10 ms asked</text>" in chart
    grpc = figure(drawn(pages["measured"]), "Latency against offered load, gRPC")
    assert f"{TF}: no knee up to the highest load of the sweep." in texts(grpc)
    assert not re.search(r">[0-9,.]+/s</text>", grpc)


def test_a_request_is_divided_into_its_parts_and_a_void_one_is_not(pages: dict[str, Path]) -> None:
    chart = figure(drawn(pages["measured"]), "Where a request&#39;s time goes")
    parts = re.findall(rf'data-tip="{re.escape(TF)} · REST, (\w+): ([0-9.]+) ms"', chart)
    assert parts == [
        ("model", "0.310"),
        ("server", "0.400"),
        ("protocol", "0.250"),
        ("rest", "0.140"),
    ]
    assert f'data-tip="{TORCH} · gRPC, ' not in chart
    assert f"{TORCH} · gRPC voided" in texts(chart).replace("VOID ", "")
    _, *widths = [float(width) for width in re.findall(r'd="M[0-9.-]+,[0-9.-]+h([0-9.]+)v', chart)]
    scale = widths[0] / 0.31
    assert widths[:4] == pytest.approx([scale * ms for ms in (0.31, 0.4, 0.25, 0.14)], rel=0.02)


def test_parts_that_are_more_than_the_whole_divide_nothing(make: Make) -> None:
    report = make("measured")
    overhead = report.breakdown.overhead
    assert overhead
    rows = [
        each.model_copy(update={"rest_ms": -2 * each.served_ms, "wrong": 0})
        for each in overhead.rows
    ]
    parts = report.breakdown.model_copy(
        update={"overhead": overhead.model_copy(update={"rows": rows})}
    )
    chart = breakdown_charts(report.model_copy(update={"breakdown": parts}))[0]
    assert ", model: " not in str(chart.svg)
    assert {mark.word for mark in chart.marks if mark.about} == {"UNSTABLE"}


def test_a_runner_with_wrong_answers_has_no_figure_though_it_was_timed(make: Make) -> None:
    found = make("measured").breakdown.in_process
    assert found
    wrong = [
        each.model_copy(update={"right": False}) if each.runner == "SavedModel" else each
        for each in found.answers
    ]
    names = [line.name for line in runner_lines(found.model_copy(update={"answers": wrong}))]
    assert not any("SavedModel" in name for name in names)
    assert any("tf.function" in name for name in names)


def test_the_best_batching_is_marked_and_what_is_beyond_the_bound_is_struck(
    pages: dict[str, Path],
) -> None:
    html = drawn(pages["measured"])
    assert len(re.findall(r'<td class="best"', html)) == 2
    assert "★" in html
    assert "<s>2,400</s>" in html
    assert "batches of up to 8 after 5 ms, 32 clients: 1 of 4,000 answers wrong" in html


def test_of_several_numbers_of_clients_a_setting_shows_its_best_within_the_bound(
    make: Make,
) -> None:
    """A full sweep asks each setting with 4, 16 and 64 clients, and the most clients come last."""
    found = make("measured").breakdown.batching
    assert found
    late = [
        point.model_copy(update={"clients": 64, "within": False, "p99_ms": 99.0, "wrong": 0})
        for point in found.points
    ]
    more = found.model_copy(update={"points": [*found.points, *late]})
    assert sweeps(more)[0].rows[0] == sweeps(found)[0].rows[0]
    states = [cell.state for sweep in sweeps(more) for _, row in sweep.rows for cell in row if cell]
    assert states.count("best") == 2


def test_memory_that_grows_is_called_a_possible_leak(pages: dict[str, Path]) -> None:
    assert f"{TORCH} may leak" in figure(drawn(pages["measured"]), "Memory under load")


def test_the_verdict_stands_on_top_in_the_terminal_and_in_the_facts(
    make: Make, pages: dict[str, Path]
) -> None:
    said = "TorchServe 0.12.0 is 1.8 to 2.1 times slower at p99 over REST"
    header = drawn(pages["measured"]).partition("</header>")[0]
    assert said in header
    assert "quick runs" in header
    stored = RunReport.model_validate_json(pages["measured"].with_name("report.json").read_text())
    assert any(claim.sentence.startswith(said) for claim in stored.claims)


@pytest.mark.parametrize("width", [390, 1280])
def test_lines_and_words_fit(pages: dict[str, Path], tab: Any, width: int) -> None:
    tab.problems.clear()
    tab.open(pages["measured"], width, 844)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    outside = """[...document.querySelectorAll("figure svg text")].filter((text) => {
      const box = text.getBoundingClientRect(), card = text.closest("figure").getBoundingClientRect();
      return box.width && (box.left < card.left || box.right > card.right);
    }).map((text) => text.textContent)"""
    assert tab.evaluate(outside) == []
    assert tab.evaluate(OVERLAPPING) == []
    clipped = """[...document.querySelectorAll(".sweep")].filter(
      (table) => table.scrollWidth > table.parentElement.clientWidth).length"""
    assert tab.evaluate("document.querySelectorAll('.sweep').length") == 2
    if width > 1000:  # a phone may scroll; the best setting often stands in the last column
        assert tab.evaluate(clipped) == 0
    assert tab.problems == []


OVERLAPPING = """[...document.querySelectorAll("figure svg")].flatMap((svg) => {
  const texts = [...svg.querySelectorAll("text")].filter((text) => text.getBoundingClientRect().width);
  const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], n) => boxes.slice(n + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1)
    .filter(([, b]) => a.top < b.bottom - 3 && b.top < a.bottom - 3)
    .map(([two]) => `${one} over ${two}`));
})"""
