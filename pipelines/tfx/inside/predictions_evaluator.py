"""PredictionsEvaluator, a TFX component of ours: TFMA and a blessing for predictions, whoever made them.

TFX's Evaluator takes predictions without a model as well, but then can neither bless (it reads the model's
artifact when there are thresholds) nor compare with a baseline (it drops change thresholds). So this one runs the
same TFMA pipeline on Beam and writes the same artifacts, ModelEvaluation and ModelBlessing, with the same files
and properties.
"""

import json
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tfx.components.evaluator import constants as tfx_names
from tfx.dsl.component.experimental.annotations import (
    BeamComponentParameter,
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from pipelines.tfx.inside.artifacts import Predictions as PredictionsArtifact
from pipelines.tfx.inside.noise import slack_of
from pipelines.tfx.inside.predictions import IN_SERVICE, Predictions, weighted_rows
from pipelines.tfx.inside.tfma_config import ROLES, eval_config, without_change

BATCH = 1000


@component(use_beam=True)
def PredictionsEvaluator(  # noqa: N802 - a component is a class to those who use it
    predictions: InputArtifact[PredictionsArtifact],
    evaluation: OutputArtifact[standard_artifacts.ModelEvaluation],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    framework: Parameter[str],
    request: Parameter[str],
    code: Parameter[str],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Evaluate one framework's predictions.

    Args:
        predictions: an ``.npz``.
        evaluation: TFMA's results.
        blessing: BLESSED or NOT_BLESSED.
        framework: whose.
        request: JSON: ``label``, ``trained``, ``slices``, ``thresholds``, ``fewest_rows``, ``baseline``.
        code: as SpanValidator's.
        beam_pipeline: filled in by TFX.
    """
    del code
    asked = json.loads(request)
    table = Predictions.read(
        io_utils.get_only_uri_in_dir(predictions.uri),
        asked["label"],
        asked["slices"],
        asked["baseline"],
    )
    masks, _ = table.slices(asked["fewest_rows"])
    baseline = framework + IN_SERVICE in table.scores
    slack = slack_of(table, masks, framework)
    config = eval_config(list(masks), asked["thresholds"], slack, baseline)
    batches = _batches(list(weighted_rows(table, masks, framework)))
    with beam_pipeline as pipeline:
        (
            pipeline
            | beam.Create(batches, reshuffle=False)
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=config,
                eval_shared_model=_stand_ins() if baseline else None,
                extractors=tfma.default_extractors(eval_config=without_change(config)),
                output_path=evaluation.uri,
            )
        )
    _bless(blessing, tfma.load_validation_result(evaluation.uri).validation_ok)
    blessing.set_string_custom_property("framework", framework)
    blessing.set_string_custom_property("trained", asked["trained"][framework])


def _stand_ins() -> list[Any]:
    """TFMA compares with a baseline only where it is handed two models; these have names and nothing else.

    Predictions come from the rows: the extractors are made without models.
    """
    return [tfma.EvalSharedModel(model_name=role, is_baseline=role == "baseline") for role in ROLES]


def _bless(blessing: Any, blessed: bool) -> None:
    """As TFX's Evaluator does it."""
    name = tfx_names.BLESSED_FILE_NAME if blessed else tfx_names.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(f"{blessing.uri}/{name}", "")
    value = tfx_names.BLESSED_VALUE if blessed else tfx_names.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(tfx_names.ARTIFACT_PROPERTY_BLESSED_KEY, value)


def _batches(rows: list[dict[str, Any]]) -> list[pa.RecordBatch]:
    return [_batch(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Lists of one value a row, which is how TFX reads an example."""
    ends = pa.array(np.arange(len(rows) + 1, dtype=np.int32))
    columns = {
        name: pa.array([row[name] for row in rows], pa.string() if text else pa.float32())
        for name, text in ((each, isinstance(rows[0][each], str)) for each in rows[0])
    }
    lists = [pa.ListArray.from_arrays(ends, each) for each in columns.values()]
    return pa.RecordBatch.from_arrays(lists, list(columns))
