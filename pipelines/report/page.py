"""The page: one self-contained HTML file, nothing fetched, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipelines.facts import RunReport
from pipelines.report import (
    breakdown,
    charts,
    claims,
    evidence,
    figures,
    histograms,
    load,
    load_charts,
    matrices,
    quality,
    runners,
    sides,
    slice_charts,
    slices,
    statistics,
    timeline,
)

_MARKS = {"pass": "✓", "fail": "✕", "shortfall": "!", "warning": "!"}


def render_page(report: RunReport) -> str:
    """The whole page as HTML.

    The only script is ``page.js``; the page's own Content-Security-Policy admits it by its digest, and
    nothing else, so that a name or a message from a server cannot become code.
    """
    script = part_of_page("page.js")
    return (
        _environment()
        .get_template("template.html.j2")
        .render(
            report=report,
            style=Markup(part_of_page("page.css")),
            script=Markup(script),
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            embedded=_embeddable(report.model_dump_json()),
            verdict=evidence.verdict(report),
            evidence=evidence.evidence(report),
            failures=evidence.failures(report),
            checks=evidence.checks_in_order(report),
            counts=evidence.outcome_counts(report),
            sides=sides.sides(report),
            comparison=sides.comparison(report),
            frameworks=sides.FRAMEWORKS,
            proofs=matrices.same_model(report),
            parity=matrices.parity_matrix(report),
            malformed=matrices.malformed_matrix(report),
            confusions=matrices.confusions(report),
            training_charts=charts.training_charts(report),
            quality_lines=quality.quality_lines(report),
            quality_columns=quality.COLUMNS,
            quality_lead=quality.quality_lead(report) if report.quality else "",
            reliability=quality.reliability_chart(report),
            **_of_rows(report),
            **_of_slices(report),
            timeline=timeline.timeline(report.timings),
            **_of_load(report),
            **_of_breakdown(report),
            footprint_charts=charts.footprint_charts(report),
        )
    )


def _of_rows(report: RunReport) -> dict[str, Any]:
    facts = report.statistics
    return {
        "splits": statistics.split_names(facts) if facts else [],
        "features": histograms.drawn_features(facts) if facts else [],
        "features_shown": statistics.SHOWN,
        "drift": statistics.drift_table(facts) if facts else None,
    }


def _of_slices(report: RunReport) -> dict[str, Any]:
    facts = report.slices
    return {
        "metric_views": slice_charts.metric_views(facts) if facts else [],
        "slice_summaries": slices.summaries(facts) if facts else [],
        "missed": slices.missed_lines(facts) if facts else [],
        "too_small": slices.too_small(facts) if facts else "",
    }


def _of_load(report: RunReport) -> dict[str, Any]:
    return {
        "load_charts": load_charts.load_charts(report),
        "load_lead": load.load_lead(report.load) if report.load else "",
        "load_groups": load.load_groups(report),
        "load_heads": load.HEADS,
        "claims": load.claim_lines(report.claims),
        "headlines": claims.headlines(report.claims),
        "conditions": load.conditions(report.load) if report.load else (),
        "condition_heads": load.CONDITION_HEADS,
    }


def _of_breakdown(report: RunReport) -> dict[str, Any]:
    parts = report.breakdown
    return {
        "breakdown_charts": breakdown.breakdown_charts(report),
        "runner_charts": runners.runner_charts(report),
        "runner_lines": runners.runner_lines(parts.in_process) if parts.in_process else [],
        "left_out": runners.left_out(parts.in_process) if parts.in_process else [],
        "sweeps": runners.sweeps(parts.batching) if parts.batching else [],
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipelines.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(marks=_MARKS, tolerance=matrices.tolerance)
    for function in (
        figures.percent,
        figures.milliseconds,
        figures.data_size,
        figures.seconds,
        figures.rate,
        figures.difference,
        figures.moment,
        figures.count,
    ):
        environment.filters[function.__name__] = function
    return environment


def part_of_page(name: str) -> str:
    """A file that goes into the page as it stands: its style, its script."""
    return resources.files("pipelines.report").joinpath(name).read_text(encoding="utf-8")


def _embeddable(json: str) -> Markup:
    """JSON that cannot end the script element it stands in."""
    return Markup(json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
