"""The TFX nodes that stages share: the same names and settings in each, so that MLMD's cache knows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf  # noqa: F401 - before tfx, whose own order of imports fails on some versions
import tensorflow_data_validation as tfdv
from tfx.components.example_gen.csv_example_gen.component import CsvExampleGen
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.common.importer import Importer
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts
from tfx_bsl.public.proto import slicing_spec_pb2

from models.artifact import digest_of, write_text
from pipelines.tfx.inside.running import code_digest
from pipelines.tfx.inside.span_validator import SERVING, SpanValidator
from pipelines.tfx.inside.staging import SPAN, Staged


def examples_node(staged: Staged) -> Any:
    """CsvExampleGen over the staged spans; a split each."""
    given = [
        example_gen_pb2.Input.Split(name=name, pattern=f"{name}/*.csv") for name in staged.splits
    ]
    return CsvExampleGen(
        input_base=str(staged.folder),
        input_config=example_gen_pb2.Input(splits=given),
        output_config=_undivided(next(iter(staged.splits))) if len(given) == 1 else None,
    )


def _undivided(name: str) -> Any:
    """A single split as it is: TFX would divide it into train and eval by itself."""
    config = example_gen_pb2.SplitConfig
    return example_gen_pb2.Output(
        split_config=config(splits=[config.Split(name=name, hash_buckets=1)])
    )


def schema_node(request: Mapping[str, Any]) -> Any:
    """The reviewed schema as an artifact, in a folder of its own, as TFX reads it."""
    source = Path(request["schema"])
    folder = Path(request["state"]) / "schemas" / digest_of(source)[:12]
    write_text(folder / "schema.pbtxt", source.read_text())
    return Importer(
        source_uri=str(folder), artifact_type=standard_artifacts.Schema, reimport=False
    ).with_id("Schema")


def validating_nodes(request: Mapping[str, Any], staged: Staged) -> list[Any]:
    """From the spans' files to their anomalies."""
    examples, schema = examples_node(staged), schema_node(request)
    by_span = slicing_spec_pb2.SlicingConfig(
        slicing_specs=[slicing_spec_pb2.SlicingSpec(feature_keys=[SPAN])]
    )
    statistics = StatisticsGen(
        examples=examples.outputs["examples"],
        stats_options=tfdv.StatsOptions(slicing_config=by_span),
    )
    whole = ExampleValidator(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["result"],
        exclude_splits=[SERVING],
    )
    spans = SpanValidator(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["result"],
        splits=json.dumps(staged.splits),
        code=code_digest(),
    )
    return [examples, schema, statistics, whole, spans]
