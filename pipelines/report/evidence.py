"""The verdict and the sentences under it: computed from the facts, never an opinion."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pipelines.facts import Check, Outcome, RunReport
from pipelines.report import figures, slices, statistics
from pipelines.report.contests import Evidence, contests
from pipelines.report.sides import Side, sides

CLOCK_SLACK_SECONDS = 5.0
WORST_FIRST = (Outcome.FAIL, Outcome.SHORTFALL, Outcome.WARNING, Outcome.PASS)
CHANCE = 1.96
"""Standard errors that a difference must exceed: 95 % of a normal distribution lie within."""

Tone = Literal["good", "bad", "none"]


@dataclass(frozen=True)
class Verdict:
    """The heading of the page and one line under it."""

    heading: str
    summary: str
    tone: Tone


@dataclass(frozen=True)
class Failure:
    """One subject that failed: its first failed check, and how many there are."""

    first: Check
    count: int


def checks_in_order(report: RunReport) -> list[Check]:
    """Failed ones first, then shortfalls and warnings, then the rest; each in the order of the run."""
    return sorted(report.checks, key=lambda check: WORST_FIRST.index(check.outcome))


def failures(report: RunReport) -> list[Failure]:
    """Failed checks by subject, so that one broken file does not fill the first screen."""
    failed = [check for check in report.checks if check.outcome is Outcome.FAIL]
    number = Counter(check.subject for check in failed)
    first = {check.subject: check for check in reversed(failed)}
    return [Failure(first[subject], count) for subject, count in number.items()]


def outcome_counts(report: RunReport) -> Counter[Outcome]:
    return Counter(check.outcome for check in report.checks)


def verdict(report: RunReport) -> Verdict:
    """A run that checked nothing has no verdict, whatever ``passed`` says."""
    counts, total = outcome_counts(report), len(report.checks)
    if not total:
        return Verdict(
            "No verdict", "Nothing was checked in this run, so nothing may ship.", "none"
        )
    summary = f"{counts[Outcome.PASS]:,} of {figures.count(total, 'check')} passed"
    if counts[Outcome.SHORTFALL]:
        summary += f", {figures.count(counts[Outcome.SHORTFALL], 'shortfall')} on record"
    if counts[Outcome.WARNING]:
        summary += f", {figures.count(counts[Outcome.WARNING], 'warning')}"
    if report.passed and not counts[Outcome.FAIL]:
        return Verdict(_may_ship(report), f"{summary}.", "good")
    failed = counts[Outcome.FAIL]
    reason = f": {failed} of {figures.count(total, 'check')} failed" if failed else ""
    return Verdict(f"Not released{reason}", f"{summary}.", "bad")


def _may_ship(report: RunReport) -> str:
    names = list(dict.fromkeys(side.name for side in sides(report)))
    if len(names) > 1:
        return "Both may ship"
    return f"{names[0]} may ship" if names else "May ship"


def evidence(report: RunReport) -> list[Evidence]:
    """The sentences, cautions last; what the load can show is said by ``claims.headlines``, beside them."""
    columns = sides(report)
    return [
        *_same_model(report),
        *_parity(report),
        *_accuracy(columns),
        *_quality(report),
        *rows_and_slices(report),
        *_agreement(report),
        *contests(columns),
        *_shortfalls(report),
        *_warnings(report),
        *measurement_cautions(report),
    ]


def _same_model(report: RunReport) -> Iterable[Evidence]:
    proofs = [row for row in report.parity if row.stage == "same model"]
    if proofs and all(row.passed for row in proofs):
        worst = max(row.max_abs for row in proofs)
        yield Evidence(
            "Both frameworks hold the same model",
            f"{figures.count(len(proofs), 'proof')}, largest difference {figures.difference(worst)}",
        )


def _parity(report: RunReport) -> Iterable[Evidence]:
    """One sentence where everything agrees, or one for each kind of candidate."""
    kinds = {"verify": "exported file", "check": "served endpoint"}
    rows = [row for row in report.parity if row.stage in kinds]
    present = {stage: noun for stage, noun in kinds.items() if any(r.stage == stage for r in rows)}
    if rows and all(row.passed for row in rows):
        nouns = " and every ".join(present.values())
        compared = f"{figures.count(len(rows), 'comparison')}, each within its tolerance"
        yield Evidence(f"Every {nouns} answers like the trained model", compared)
        return
    for stage, noun in present.items():
        subjects = {row.subject for row in rows if row.stage == stage}
        bad = {row.subject for row in rows if row.stage == stage and not row.passed}
        ratio = f"{len(subjects) - len(bad)} of {figures.count(len(subjects), noun)}"
        yield Evidence(
            f"{ratio} agree with the trained model",
            ", ".join(sorted(bad)) + (" differ" if len(bad) > 1 else " differs") if bad else "",
            caution=bool(bad),
        )


def _agreement(report: RunReport) -> Iterable[Evidence]:
    rows = [row for row in report.parity if row.stage == "cross-framework" and not row.error]
    if rows:
        worst = min(rows, key=lambda row: row.label_agreement)
        share, total = figures.percent(worst.label_agreement), figures.count(worst.rows, "row")
        yield Evidence(
            f"Both servers give the same label to {share} of {total}",
            "two trainings from the same start",
            caution=not worst.passed,
        )


def _accuracy(columns: tuple[Side, ...]) -> Iterable[Evidence]:
    """Who is more accurate, where the test split is large enough to tell."""
    trained = [(side.name, side.training) for side in columns if side.training]
    if len(trained) < 2:
        return
    (first, high), *_, (last, low) = sorted(trained, key=lambda each: -each[1].test_accuracy)
    rows = sum(map(sum, high.confusion))
    numbers = f"{figures.percent(high.test_accuracy)} against {figures.percent(low.test_accuracy)}"
    gap = high.test_accuracy - low.test_accuracy
    if high.test_accuracy == low.test_accuracy:
        yield Evidence("Both are equally accurate", f"{numbers} of the test split")
    elif gap < CHANCE * _standard_error(high.test_accuracy, low.test_accuracy, rows):
        yield Evidence(
            "No difference in accuracy that chance would not explain",
            f"{first} {numbers} of {figures.count(rows, 'row')}",
        )
    else:
        yield Evidence(
            f"{first} is {100 * gap:.2f} points more accurate than {last}",
            f"{numbers} of the test split",
        )


def _quality(report: RunReport) -> Iterable[Evidence]:
    """Each network beside the baseline."""
    baselines = [facts for facts in report.quality if facts.framework is None]
    networks = [facts for facts in report.quality if facts.framework is not None]
    for baseline in baselines if networks else ():
        numbers = ", ".join(f"{facts.subject} {facts.roc_auc:.4f}" for facts in networks)
        behind = max(baseline.roc_auc - facts.roc_auc for facts in networks)
        failed = any(c.stage == "quality" and c.outcome is Outcome.FAIL for c in report.checks)
        claim = f"at most {behind:.4f} behind" if behind > 0 else "both ahead of"
        yield Evidence(
            f"The networks are {claim} {baseline.subject}",
            f"ROC AUC {numbers} against {baseline.roc_auc:.4f}",
            caution=failed,
        )


def rows_and_slices(report: RunReport) -> list[Evidence]:
    """What TFX says of both models in every slice, and of the rows; none for a case without spans."""
    return [*_slices(report), *_drift(report)]


def _slices(report: RunReport) -> Iterable[Evidence]:
    """Whether each model is good enough in every slice, and where it is least so."""
    models = slices.summaries(report.slices) if report.slices else []
    columns = ", ".join(report.slices.columns) if report.slices else ""
    if models and all(model.blessed for model in models):
        said = "; ".join(f"{model.name}: {model.said}" for model in models)
        who = "Both models keep" if len(models) > 1 else f"{models[0].name} keeps"
        yield Evidence(f"{who} every threshold in every slice of {columns}", said)
        return
    for model in models:
        claim = "keeps every threshold" if model.blessed else "misses a threshold"
        yield Evidence(f"{model.name} {claim}", model.said, caution=not model.blessed)


def _drift(report: RunReport) -> Iterable[Evidence]:
    facts = report.statistics
    if facts is None or not facts.drift:
        return
    beyond = statistics.drifted(facts)
    worst = max(facts.drift, key=statistics.strain)
    said = f"{worst.score:.3f} of {worst.threshold:g} allowed in {facts.span} {worst.span}"
    if beyond:
        names = ", ".join(each.feature for each in beyond)
        claim = f"{figures.count(len(beyond), 'feature')} drifted beyond the threshold"
        yield Evidence(claim, f"{names}; most: {worst.feature}, {said}", caution=True)
    else:
        claim = f"No feature drifted beyond its threshold from {facts.span} to {facts.span}"
        yield Evidence(claim, f"{worst.feature} comes closest, {said}")


def _standard_error(one: float, other: float, rows: int) -> float:
    """Of the difference of two proportions over ``rows`` rows each, both between 0 and 1."""
    return math.sqrt((one * (1 - one) + other * (1 - other)) / rows)


def _shortfalls(report: RunReport) -> Iterable[Evidence]:
    short = Counter(c.subject for c in report.checks if c.outcome is Outcome.SHORTFALL)
    if short:
        who = ", ".join(f"{subject} ({number})" for subject, number in short.most_common())
        total = figures.count(short.total(), "shortfall")
        yield Evidence(f"{total} on record, none of which blocks a release", who, caution=True)


def _warnings(report: RunReport) -> Iterable[Evidence]:
    for check in report.checks:
        if check.outcome is not Outcome.WARNING or (check.stage == "validate" and _drifts(report)):
            continue
        if check.stage == "versions":
            claim, said = f"{check.subject} runs {check.figure}, not {check.limit}", check.detail
        else:
            held = f", held to {check.limit}" if check.limit else ""
            claim = f"{check.subject}: {check.figure}{held}"
            said = check.detail or f"asked: {check.question}"
        yield Evidence(claim, said, caution=True)


def _drifts(report: RunReport) -> bool:
    """Whether drift has a sentence of its own."""
    return bool(report.statistics and report.statistics.drift)


def measurement_cautions(report: RunReport) -> Iterable[Evidence]:
    """What a reader must know before quoting a figure."""
    rows = report.load.rows if report.load else []
    wrong = [row.wrong for row in rows if row.wrong]
    if wrong:
        answers = figures.count(sum(wrong), "wrong answer")
        voided = figures.count(len(wrong), "measurement")
        yield Evidence(
            f"{voided} voided", f"{answers} under load; no figure is given", caution=True
        )
    if report.measured is None:
        yield Evidence("Speed and memory were not measured", caution=True)
    elif measurements_reused(report, report.measured):
        when = figures.moment(report.measured)
        yield Evidence("Speed and memory are from an earlier run", f"measured {when}", caution=True)


def measurements_reused(report: RunReport, measured: datetime) -> bool:
    """Whether the measurements are older than this run.

    A measurement of this run is older than the report too, though by no more than the run's length.
    """
    cached = any(timing.cached for timing in report.timings.stages if timing.stage == "measure")
    age = report.created.timestamp() - measured.timestamp()
    return cached or age > report.timings.wall_seconds + CLOCK_SLACK_SECONDS
