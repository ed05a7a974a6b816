"""SpanValidator, a TFX component of ours: ExampleValidator judges a split as a whole, this one every span in it.

A month of nulls in a year of rows is a twelfth of them; here it is all of them. Each span is held against the
schema and against the span before it, by TFDV, with the schema's comparators of drift; and, for what neither
shows, its quantiles against those of the span before it (a change of unit multiplies all of them alike).

Rows that were served are held against the training rows with the comparators of skew.
"""

# No `from __future__ import annotations`: TFX reads a component's annotations as objects.
import json
from pathlib import Path
from typing import Any

import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils, writer_utils

from pipelines.tfx.inside.anomalies import drift_of, findings_of
from pipelines.tfx.inside.summaries import summary_of
from pipelines.tfx.inside.units import changed_units

FILE = "spans.json"
SERVING = "serving"
"""The split that came without labels, from what was served."""
TRAIN = "train"
ALL = "All Examples"


@component
def SpanValidator(  # noqa: N802 - a component is a class to those who use it
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    schema: InputArtifact[standard_artifacts.Schema],
    anomalies: OutputArtifact[standard_artifacts.ExampleAnomalies],
    splits: Parameter[str],
    code: Parameter[str],
) -> None:
    """Write ``spans.json``: findings, drift and summaries of every span, and TFDV's own protos beside it.

    Args:
        statistics: sliced by span.
        schema: the reviewed one.
        anomalies: where to.
        splits: JSON, numbers of the spans by split.
        code: ``running.code_digest``, so that MLMD's cache keeps apart what other code has found.
    """
    del code
    numbers: dict[str, list[int]] = json.loads(splits)
    reviewed = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    lists = {
        split: stats_artifact_utils.load_statistics(statistics, split).proto() for split in numbers
    }
    judged = _judge(lists, numbers, reviewed, Path(anomalies.uri))
    anomalies.split_names = statistics.split_names
    anomalies.span = max(max(each) for each in numbers.values())
    Path(anomalies.uri, FILE).write_text(json.dumps(judged))


def _judge(
    lists: dict[str, Any], numbers: dict[str, list[int]], schema: Any, folder: Path
) -> dict[str, Any]:
    spans = {
        number: (split, slice_of(lists[split], f"span_{number}"))
        for split, each in numbers.items()
        for number in each
    }
    training = slice_of(lists[TRAIN], ALL) if TRAIN in lists else None
    findings, drift = [], []
    previous = None
    for number, (split, stats) in sorted(spans.items()):
        served = split == SERVING
        found = tfdv.validate_statistics(
            stats,
            schema,
            environment="SERVING" if served else "TRAINING",
            previous_statistics=None if served else previous and previous[1],
        )
        if served and training is not None:
            skew = tfdv.validate_statistics(training, schema, "TRAINING", serving_statistics=stats)
            drift += drift_of(number, "serving", skew, schema)
        writer_utils.write_anomalies(str(folder / f"Span-{number:02}" / "SchemaDiff.pb"), found)
        here = findings_of(number, found, schema)
        if not served:
            against = f"span {previous[0]}" if previous else ""
            drift += drift_of(number, against, found, schema)
            if previous:
                here += changed_units(number, stats, *previous, schema)
            # A span that is wrong itself is nothing to compare the next one with.
            previous = previous if here else (number, stats)
        findings += here
    return {
        "findings": [each.facts() for each in findings],
        "drift": drift,
        "splits": {split: summary_of(slice_of(each, ALL)) for split, each in lists.items()},
        "spans": {
            str(number): summary_of(stats, curves=False) for number, (_, stats) in spans.items()
        },
    }


def slice_of(statistics: Any, name: str) -> Any:
    """The statistics of one slice, as a list of one; what has no value counts as missing.

    CsvExampleGen writes an empty list for an empty cell, and TFDV takes that for a value. A column without any is
    one that this slice does not have.
    """
    found = type(statistics)()
    found.datasets.extend(each for each in statistics.datasets if each.name == name)
    for dataset in found.datasets:
        for feature in dataset.features:
            common = _common(feature)
            common.num_missing = dataset.num_examples - common.tot_num_values
            common.num_non_missing = common.tot_num_values
            common.min_num_values = min(1, common.tot_num_values)
        held = [each for each in dataset.features if _common(each).tot_num_values]
        del dataset.features[:]
        dataset.features.extend(held)
    return found


def _common(feature: Any) -> Any:
    return getattr(feature, feature.WhichOneof("stats")).common_stats
