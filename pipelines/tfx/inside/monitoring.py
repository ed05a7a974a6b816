"""Verb ``monitor``: a span that has just arrived, against the schema and against a model's own training rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.errors import ArtifactMissing
from pipelines.tfx.inside.findings import Finding, refuse
from pipelines.tfx.inside.staging import stage
from pipelines.tfx.inside.validation import judge, read_schema, statistics_of

Report = Callable[[Mapping[str, Any]], None]
BEFORE, ARRIVED = "before", "arrived"


def monitor(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Validate one span and measure how far it has drifted; see docs/tfx.md for request and result.

    Raises:
        SpanError: the span is missing, broken or empty.
        SchemaError: the schema cannot be read.
        DataAnomaly: there are anomalies.
        ArtifactMissing: the statistics to compare with are gone.
    """
    began, span = time.monotonic(), int(request["span"])
    schema = read_schema(Path(request["schema"]))
    reference = request.get("statistics", "")
    if reference and not Path(reference).is_file():
        raise ArtifactMissing(f"The statistics of the training rows are gone: {reference}.")
    spans, state = Path(request["spans"]), Path(request["state"])
    before = request.get("before")
    splits = {ARRIVED: [span]} if before is None else {BEFORE: [int(before)], ARRIVED: [span]}
    staged = stage(spans, splits, request["label"], state)
    report({"message": f"Validating {staged.rows[ARRIVED]:,} rows of span {span}."})
    judged = judge(request, staged, schema)
    found = [*staged.findings, *(Finding(**each) for each in judged["findings"])]
    # The span before was judged when it arrived; here it is what units and numbers of rows are compared with.
    judged_now = [each for each in found if before is None or each.span != int(before)]
    refuse(judged_now, request["schema"])
    return {
        "span": span,
        "rows": staged.rows[ARRIVED],
        "drift": _drift(request, span, Path(reference), schema) if reference else [],
        "seconds": round(time.monotonic() - began, 1),
    }


def _drift(
    request: Mapping[str, Any], span: int, reference: Path, schema: Any
) -> list[dict[str, Any]]:
    """By TFDV's distances, with the schema's comparators of drift."""
    import tensorflow_data_validation as tfdv

    from pipelines.tfx.inside.anomalies import drift_of

    found = tfdv.validate_statistics(
        statistics_of(request, ARRIVED),
        schema,
        environment="TRAINING",
        previous_statistics=tfdv.load_stats_binary(str(reference)),
    )
    return drift_of(span, "the training rows", found, schema)
