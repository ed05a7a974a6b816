"""Verb ``constants``: TensorFlow Transform's analyzers over the train split → ``constants.json`` and a graph."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.artifact import whole_folder
from pipelines.tfx.inside.staging import SPAN, Staged
from pipelines.tfx.inside.validation import read_schema, staged_of

Report = Callable[[Mapping[str, Any]], None]
FORMAT = 1
FILE = "constants.json"
GRAPH = "transform_graph"
TRAIN = "train"
_FLOAT, _BYTES = 3, 1
"""Types of a feature, as the schema's proto counts them."""


def constants(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Compute the constants of preprocessing; see docs/tfx.md for request and result.

    Raises:
        SpanError: a span is missing, broken or empty.
        SchemaError: the schema cannot be read.
        StorageError: the disk is full; nothing is left half-written.
    """
    began = time.monotonic()
    schema = read_schema(Path(request["schema"]))
    staged = staged_of(request)
    report({"message": f"TensorFlow Transform analyses {staged.rows[TRAIN]:,} rows."})
    numbers, words = _numbers_and_words(schema, request["label"])
    graph = _run(request, staged, numbers, words)
    document = _document(graph, staged, numbers, words)
    with whole_folder(Path(request["out"])) as partial:
        (partial / FILE).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        shutil.copytree(graph, partial / GRAPH)
    return {
        "path": str(Path(request["out"], FILE)),
        "graph": str(Path(request["out"], GRAPH)),
        "rows": document["rows"],
        "data_digest": staged.digest,
        "source": document["source"],
        "seconds": round(time.monotonic() - began, 1),
    }


def _run(request: Mapping[str, Any], staged: Staged, numbers: list[str], words: list[str]) -> Path:
    """The transform graph's folder."""
    from tfx.components.transform.component import Transform
    from tfx.proto import transform_pb2

    from pipelines.tfx.inside.nodes import examples_node, schema_node
    from pipelines.tfx.inside.running import code_digest, outputs_of, run_pipeline

    examples, schema = examples_node(staged), schema_node(request)
    transform = Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["result"],
        preprocessing_fn="pipelines.tfx.inside.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=[TRAIN]),
        custom_config={"numbers": numbers, "words": words, "code": code_digest()},
        materialize=False,
        disable_statistics=True,
    )
    run_pipeline([examples, schema, transform], request)
    (found,) = outputs_of(request, "Transform")["transform_graph"]
    return Path(found.uri)


def _document(graph: Path, staged: Staged, numbers: list[str], words: list[str]) -> dict[str, Any]:
    """What the graph's own outputs say, in the form that both frameworks read."""
    import tensorflow_transform as tft

    from pipelines.tfx.inside.preprocessing import moments, vocabulary_file

    output = tft.TFTransformOutput(str(graph))
    numeric = {}
    for name, (mean, variance) in moments(output, numbers).items():
        numeric[name] = {"mean": mean, "std": float(np.sqrt(variance)) or 1.0, "missing": mean}
    vocabularies = {
        name: {"vocabulary": _ordered(Path(output.vocabulary_file_by_name(vocabulary_file(name))))}
        for name in words
    }
    return {
        "format": FORMAT,
        "source": f"tensorflow-transform {tft.__version__}",
        "rows": staged.rows[TRAIN],
        "data_digest": staged.digest,
        "numeric": numeric,
        "categorical": vocabularies,
    }


def _numbers_and_words(schema: Any, label: str) -> tuple[list[str], list[str]]:
    """The schema's columns that a model sees, by kind."""
    seen = [each for each in schema.feature if each.name not in (SPAN, label)]
    numbers = [each.name for each in seen if each.type == _FLOAT]
    return numbers, [each.name for each in seen if each.type == _BYTES]


def _ordered(path: Path) -> list[str]:
    """The words of a vocabulary with frequencies, the commonest first, alphabetically among equals."""
    rows = [line.split(" ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return [word for _, word in sorted((-int(count), word) for count, word in rows)]
