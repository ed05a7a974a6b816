"""Verb ``validate``: CsvExampleGen → StatisticsGen → ExampleValidator and SpanValidator, over monthly spans."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.artifact import digest_of, write_text
from models.errors import SchemaError
from pipelines.tfx.inside.findings import Finding, refuse
from pipelines.tfx.inside.staging import Staged, stage

Report = Callable[[Mapping[str, Any]], None]
RESULT = "validation.json"
STATISTICS = "train-statistics.pb"
TRAIN = "train"


def validate(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Hold spans against the schema; see docs/tfx.md for request and result.

    Raises:
        SpanError: a span is missing, broken or empty.
        SchemaError: the schema cannot be read.
        DataAnomaly: there are anomalies, and ``refuse`` is not false.
    """
    began = time.monotonic()
    schema = read_schema(Path(request["schema"]))
    staged = staged_of(request)
    rows = sum(staged.rows.values())
    report({"message": f"Validating {rows:,} rows of {len(_numbers(staged))} spans."})
    judged = judge(request, staged, schema)
    findings = [*staged.findings, *(Finding(**each) for each in judged["findings"])]
    result = {
        "digest": staged.digest,
        "schema_digest": digest_of(Path(request["schema"])),
        "splits": staged.splits,
        "rows": staged.rows,
        "anomalies": [each.facts() for each in findings],
        "drift": judged["drift"],
        "statistics": {"splits": judged["splits"], "spans": judged["spans"]},
        "examples": judged["examples"],
        "seconds": round(time.monotonic() - began, 1),
    }
    if out := request.get("out"):
        write_text(Path(out) / RESULT, json.dumps(result) + "\n")
        keep_statistics(request, staged, Path(out))
    if request.get("refuse", True):
        refuse(findings, request["schema"])
    return result


def keep_statistics(request: Mapping[str, Any], staged: Staged, out: Path) -> None:
    """Write TFDV's statistics of the train split, which later spans are held against (see ``monitoring``)."""
    if TRAIN in staged.splits:
        (out / STATISTICS).write_bytes(statistics_of(request, TRAIN).SerializeToString())


def statistics_of(request: Mapping[str, Any], split: str) -> Any:
    """TFDV's statistics of a whole split, which StatisticsGen has just made."""
    import tensorflow_data_validation as tfdv

    from pipelines.tfx.inside.running import outputs_of
    from pipelines.tfx.inside.span_validator import ALL, slice_of

    (found,) = outputs_of(request, "StatisticsGen")["statistics"]
    file = Path(found.uri, f"Split-{split}", "FeatureStats.pb")
    return slice_of(tfdv.load_stats_binary(str(file)), ALL)


def staged_of(request: Mapping[str, Any]) -> Staged:
    """The request's spans, checked and laid out."""
    state = Path(request["state"])
    return stage(Path(request["spans"]), request["splits"], request["label"], state)


def read_schema(path: Path) -> Any:
    """The reviewed schema.

    Raises:
        SchemaError: it is missing, or does not parse; the line is named.
    """
    # Without TensorFlow: a schema that does not parse is told at once.
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        return text_format.Parse(path.read_text(), schema_pb2.Schema())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise SchemaError(
            f"The schema {path} cannot be read: {error}.",
            "It is a text proto of tensorflow_metadata.",
        ) from error


def judge(request: Mapping[str, Any], staged: Staged, schema: Any) -> dict[str, Any]:
    """Run the pipeline: findings, drift from span to span, summaries, and where the examples lie."""
    from pipelines.tfx.inside.anomalies import findings_of
    from pipelines.tfx.inside.nodes import validating_nodes
    from pipelines.tfx.inside.running import outputs_of, run_pipeline
    from pipelines.tfx.inside.span_validator import FILE

    run_pipeline(validating_nodes(request, staged), request)
    judged: dict[str, Any] = json.loads(
        Path(outputs_of(request, "SpanValidator")["anomalies"][0].uri, FILE).read_text()
    )
    known = {each["feature"] for each in judged["findings"]}
    (whole,) = outputs_of(request, "ExampleValidator")["anomalies"]
    for diff in sorted(Path(whole.uri).glob("Split-*/SchemaDiff.pb")):
        # What is wrong in a whole split and in no span of it.
        more = findings_of(0, _anomalies(diff), schema)
        judged["findings"] += [each.facts() for each in more if each.feature not in known]
    (examples,) = outputs_of(request, "CsvExampleGen")["examples"]
    judged["examples"] = {name: f"{examples.uri}/Split-{name}" for name in staged.splits}
    return judged


def _anomalies(path: Path) -> Any:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    return anomalies_pb2.Anomalies.FromString(path.read_bytes())


def _numbers(staged: Staged) -> set[int]:
    return {number for each in staged.splits.values() for number in each}
