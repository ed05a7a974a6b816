"""The timeline on disk: ``timeline.json`` and one self-contained page, nothing fetched, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from models.artifact import write_text
from models.framework import FRAMEWORKS, TITLES, FrameworkName
from pipelines.report import figures
from pipelines.report.page import part_of_page
from pipelines.retrain.charts import timeline_charts
from pipelines.retrain.facts import Line, SpanFacts, Timeline
from pipelines.retrain.policy import Policy
from pipelines.retrain.rows import COLUMNS, rows_of

PAGE, DATA = "index.html", "timeline.json"
MARKS = {"pass": "✓", "fail": "✕"}


def write_timeline(timeline: Timeline, folder: Path) -> Path:
    """Write ``timeline.json``, then ``index.html``; where the page is, its facts are.

    Returns:
        the page's path.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    page = render_page(timeline)
    write_text(folder / DATA, timeline.model_dump_json(indent=2) + "\n")
    write_text(folder / PAGE, page)
    return folder / PAGE


def render_page(timeline: Timeline) -> str:
    """The whole page as HTML, without a script."""
    environment = Environment(
        loader=PackageLoader("pipelines.retrain", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = figures.moment
    return environment.get_template("page.html.j2").render(
        timeline=timeline,
        style=Markup(part_of_page("page.css")),
        marks=MARKS,
        heading=heading(timeline),
        summary=summary(timeline),
        gain=gain(timeline),
        charts=timeline_charts(timeline),
        columns=(*COLUMNS, "Done", "Why"),
        rows=rows_of(timeline),
        thresholds=[
            (name.replace("_", " "), f"{getattr(timeline.policy, name):g}", field.description)
            for name, field in Policy.model_fields.items()
        ],
    )


def heading(timeline: Timeline) -> str:
    """How often it was retrained, in a few words."""
    fired = [span for span in timeline.spans if span.retrained and span.compared_with is not None]
    return (
        f"Retrained {figures.count(len(fired), 'time')} in {_spans(timeline, len(timeline.spans))}"
    )


def gain(timeline: Timeline) -> str:
    """What retraining was worth: means over the spans that met a retrained version; empty where none did.

    Both models are measured on the same spans, which neither was trained on.
    """
    met = [
        span for span in timeline.spans if span.performance and _retrained_version_answered(span)
    ]
    if not met:
        return ""
    told = [
        f"{TITLES[name]} {_mean(met, 'frozen', name, 'roc_auc'):.4f} frozen, "
        f"{_mean(met, 'in service', name, 'roc_auc'):.4f} retrained (log loss "
        f"{_mean(met, 'frozen', name, 'log_loss'):.4f}, {_mean(met, 'in service', name, 'log_loss'):.4f})"
        for name in FRAMEWORKS
    ]
    return f"Mean ROC AUC over the {_spans(timeline, len(met))} since: {'; '.join(told)}."


def _retrained_version_answered(span: SpanFacts) -> bool:
    return any(
        each.line == "in service" and each.version != span.frozen for each in span.performance
    )


def _mean(spans: Sequence[SpanFacts], line: Line, framework: FrameworkName, metric: str) -> float:
    return fmean(
        getattr(each, metric)
        for span in spans
        for each in span.performance
        if (each.line, each.framework) == (line, framework)
    )


def summary(timeline: Timeline) -> str:
    """What was learned from first, what was refused, and what is in service."""
    refused = [span for span in timeline.spans if span.retrained and not span.pushed]
    pushed = sum(span.pushed for span in timeline.spans)
    last: SpanFacts = timeline.spans[-1]
    serving = (
        f"Version {last.in_service} is in service." if last.in_service else "Nothing is in service."
    )
    return (
        f"First trained on {timeline.span} {timeline.first[0]} to {timeline.first[-1]}; "
        f"{figures.count(pushed, 'version')} pushed, {len(refused)} refused. {serving}"
    )


def _spans(timeline: Timeline, count: int) -> str:
    return figures.count(count, timeline.span)
