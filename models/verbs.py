"""What a framework's process can be asked to do: plain functions of a request, files in and files out.

Every function gets a loaded framework, the request (JSON) and a ``report`` callback for progress, and returns
JSON. Arrays cross as ``.npz`` and safetensors files, never as JSON. Every request says ``case`` (name),
``cases_path`` (folders), ``training`` (hyper-parameters), ``dataset`` (folder of shards) and ``constants`` (file;
empty where the case needs none); what it says beyond that stands with each verb.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import read_arrays, write_arrays
from models.artifact import Artifact, whole_folder
from models.case import Case, load_case
from models.constants import read_constants
from models.contract import Tensors
from models.dataset import StoredDataset
from models.errors import CaseError, TwinServeError
from models.framework import EpochRecord, Framework
from models.parity import compare
from models.predictor import Predictor, Signature, predict_in_batches
from models.shards import Shards
from models.split import spread_over
from models.stopwatch import Expected, TimingPlan, time_all
from models.turns import Turns
from models.weights import draw_initial, read_weights_file, write_weights

Request = Mapping[str, Any]
Report = Callable[[Mapping[str, Any]], None]

INITIAL_WEIGHTS = "initial.safetensors"
BEFORE_TRAINING = "before_training.npz"
WEIGHTS = "weights.safetensors"
SCRATCH = "encoded"
"""Rows as the trained part takes them, in the folder of a training while it lasts."""

RESULT = "result.json"
"""What the verb returned, in the folder that it made: a folder with one is complete."""

REFERENCE = "reference.npz"
"""Outputs of the trained model in memory: ``whole/<output>`` on the test split, ``test/<output>`` on the
rows of it that are compared, and ``edge/<output>``."""

PREDICTED = "predicted.npz"

ROWS_AT_ONCE = 8192
"""The test split is answered in parts, so that memory does not grow with it."""


def initialise(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """Draw the shared initial weights, load them, and answer the compared rows before any training.

    Request: ``target`` (folder).
    """
    case, test = _case(request), _dataset(request).test
    network = _network(framework, case, request)
    weights = draw_initial(framework.training.weight_shapes(network), case.training.seed)
    framework.training.load_weights(network, weights)
    with framework.training.as_predictor(network, case.contract) as predictor:
        outputs = predictor.predict(case.compared(test).inputs)
    with whole_folder(Path(request["target"])) as folder:
        write_weights(weights, folder / INITIAL_WEIGHTS)
        write_arrays(folder / BEFORE_TRAINING, outputs)
        return _finish(folder, {"parameters": _trainable(weights)})


def train(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """Train from the shared initial weights; keep weights, history and the in-memory model's answers.

    Request: ``initial`` (folder), ``target`` (folder).
    """
    case, dataset = _case(request), _dataset(request)
    network = _network(framework, case, request)
    initial = read_weights_file(Path(request["initial"]) / INITIAL_WEIGHTS)
    framework.training.load_weights(network, initial)

    def on_epoch(record: EpochRecord) -> None:
        report({"epoch": asdict(record), "epochs": case.training.epochs})

    with whole_folder(Path(request["target"])) as folder:
        began = time.perf_counter()
        records = framework.training.train(network, case, dataset, folder / SCRATCH, on_epoch)
        seconds = time.perf_counter() - began
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        with framework.training.as_predictor(network, case.contract) as predictor:
            reference = _answers(predictor, case, dataset.test)
        write_weights(framework.training.read_weights(network), folder / WEIGHTS)
        write_arrays(folder / REFERENCE, reference)
        history = {
            "label": framework.runtime.label(),
            "epochs": [asdict(record) for record in records],
            "parameters": _trainable(initial),
            "seconds": seconds,
            "rows_per_second": len(dataset.train) / _steady_seconds(records),
        }
        return _finish(folder, history | _judged(case, dataset.test.labels(), reference))


def export(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """Export trained weights to every format of the framework.

    Request: ``trained`` (folder), ``target`` (folder).
    """
    case, dataset = _case(request), _dataset(request)
    network = _network(framework, case, request)
    weights = read_weights_file(Path(request["trained"]) / WEIGHTS)
    framework.training.load_weights(network, weights)
    calibration = dataset.train.rows(np.arange(min(len(dataset.train), case.calibration_rows)))
    with whole_folder(Path(request["target"])) as folder:
        names = framework.export.export(network, case.contract, calibration, folder, case.absent)
        artifacts = [
            asdict(Artifact.of(framework.name, form, folder, name)) for form, name in names.items()
        ]
        return _finish(folder, {"artifacts": artifacts, "label": framework.runtime.label()})


def answer(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """Open exported files and answer the compared rows at several batch sizes, and the edge inputs.

    Request: ``artifacts`` (list of ``path`` and ``format``), ``batch_sizes`` (list of int, 0 for all),
    ``target`` (folder).

    Returns:
        by format, either ``signature`` and ``answers`` (an ``.npz`` in ``target`` with ``<batch>/<output>``), or
        ``error`` with ``name`` and ``message``: a broken file is a finding, not a failure of this process.
    """
    case, test = _case(request), _dataset(request).test
    found: dict[str, Any] = {}
    with whole_folder(Path(request["target"])) as folder:
        for number, artifact in enumerate(request["artifacts"]):
            report({"artifact": artifact["format"]})
            file = f"{number}.npz"
            try:
                signature, arrays = _ask(framework, case, test, artifact, request["batch_sizes"])
                write_arrays(folder / file, arrays)
                found[artifact["format"]] = {"signature": asdict(signature), "answers": file}
            except Exception as error:  # whatever a framework makes of a broken file
                found[artifact["format"]] = {"error": _error_facts(error)}
        return _finish(folder, found)


def predict(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """Open exported files and answer a whole split with each, in parts.

    Request: ``artifacts`` (list of ``path`` and ``format``), ``split`` (name), ``target`` (folder).

    Returns:
        ``rows``; the answers are ``PREDICTED`` in ``target``, ``<number>/<output>`` with the artifact's number.

    Raises:
        ArtifactCorrupt: a file cannot be opened.
    """
    case, split = _case(request), getattr(_dataset(request), request["split"]).read()
    arrays: dict[str, np.ndarray] = {}
    for number, artifact in enumerate(request["artifacts"]):
        path, form = Path(artifact["path"]), artifact["format"]
        with framework.runtime.open_artifact(path, form, case.contract) as predictor:
            outputs = predict_in_batches(predictor, split.inputs, ROWS_AT_ONCE)
        arrays |= {f"{number}/{name}": rows for name, rows in outputs.items()}
    with whole_folder(Path(request["target"])) as folder:
        write_arrays(folder / PREDICTED, arrays)
        return _finish(folder, {"rows": len(split)})


def transplant(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """Load weights trained by the OTHER framework and compare with that model's own answers.

    Request: ``trained`` (the other framework's folder).

    Returns:
        a Parity as JSON, on the rows of the test split that are compared.
    """
    case, test = _case(request), _dataset(request).test
    network = _network(framework, case, request)
    framework.training.load_weights(network, read_weights_file(Path(request["trained"]) / WEIGHTS))
    compared = case.compared(test)
    with framework.training.as_predictor(network, case.contract) as predictor:
        outputs = predictor.predict(compared.inputs)
    reference = read_reference(Path(request["trained"]), "test")
    parity = compare(case.contract, reference, outputs, case.tolerances.transplant, compared.labels)
    return parity.to_json()


def time_runners(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """Every way to run the trained model: its answers first, then, if they are right, how long it takes.

    Request: ``trained`` (folder), ``artifacts`` (path by format), ``plan`` (a TimingPlan), ``turns`` (folder) and
    ``names`` (of those that take turns, in their order).
    """
    case, test = _case(request), _dataset(request).test
    network = _network(framework, case, request)
    trained = Path(request["trained"])
    framework.training.load_weights(network, read_weights_file(trained / WEIGHTS))
    compared = case.compared(test)
    expected = Expected(
        case.contract,
        compared.inputs,
        read_reference(trained, "test"),
        compared.labels,
        case.tolerances.of,
    )
    plan = TimingPlan.from_json(request["plan"])
    turns = Turns(Path(request["turns"]), request["names"], framework.name)
    artifacts = {form: Path(path) for form, path in request["artifacts"].items()}
    offered = framework.runners.runners(network, case.contract, artifacts, plan.threads)
    try:
        return time_all(offered, expected, plan, turns, report)
    finally:
        turns.end()


def export_noop(framework: Framework, request: Request, report: Report) -> dict[str, Any]:
    """A file for the server that computes nothing, with the case's contract.

    Request: ``answer`` (an ``.npz`` with the one row that it always answers), ``target`` (folder).
    """
    case = _case(request)
    with whole_folder(Path(request["target"])) as folder:
        answer = read_arrays(Path(request["answer"]))
        names = framework.export.write_noop(case.contract, answer, folder)
        return _finish(folder, {"names": names})


def read_reference(training: Path, part: str) -> dict[str, np.ndarray]:
    """The in-memory model's answers, ``part`` being ``whole``, ``test`` or ``edge``."""
    prefix = f"{part}/"
    stored = read_arrays(training / REFERENCE, prefix)
    return {k.removeprefix(prefix): array for k, array in stored.items() if k.startswith(prefix)}


VERBS: Mapping[str, Callable[[Framework, Request, Report], dict[str, Any]]] = {
    verb.__name__: verb
    for verb in (initialise, train, export, answer, predict, transplant, time_runners, export_noop)
}


def _finish(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    (folder / RESULT).write_text(json.dumps(result, indent=2))
    return result


def _case(request: Request) -> Case:
    case = load_case(request["case"], [Path(folder) for folder in request["cases_path"]])
    return case.with_training(request["training"])


def _dataset(request: Request) -> StoredDataset:
    return StoredDataset.open(Path(request["dataset"]))


def _network(framework: Framework, case: Case, request: Request) -> Any:
    """Raises:
    CaseError: the case needs constants, and the request names none.
    """
    if not case.constants:
        return framework.training.build(case)
    if not request.get("constants"):
        raise CaseError(
            f"The networks of {case.name!r} are made with constants, and there are none."
        )
    constants = read_constants(Path(request["constants"]), case.contract)
    return framework.training.build(case, constants)


def _ask(
    framework: Framework,
    case: Case,
    test: Shards,
    artifact: Mapping[str, str],
    batch_sizes: list[int],
) -> tuple[Signature, dict[str, np.ndarray]]:
    path = Path(artifact["path"])
    inputs = case.compared(test).inputs
    rows_in_all = len(next(iter(inputs.values())))
    with framework.runtime.open_artifact(path, artifact["format"], case.contract) as predictor:
        arrays: dict[str, np.ndarray] = {}
        for size in batch_sizes:
            outputs = predict_in_batches(predictor, inputs, size or rows_in_all)
            arrays |= {f"{size}/{name}": rows for name, rows in outputs.items()}
        edge = predictor.predict(case.contract.edge_inputs())
        arrays |= {f"edge/{name}": rows for name, rows in edge.items()}
        return predictor.signature(), arrays


def _answers(predictor: Predictor, case: Case, test: Shards) -> dict[str, np.ndarray]:
    """Only the answers of all rows are held, never the rows."""
    whole: dict[str, np.ndarray] = {}
    start = 0
    for part in test.parts():
        for name, rows in predict_in_batches(predictor, part.inputs, ROWS_AT_ONCE).items():
            every = whole.setdefault(name, np.empty((len(test), *rows.shape[1:]), rows.dtype))
            every[start : start + len(part)] = rows
        start += len(part)
    compared = spread_over(len(test), case.compared_rows)
    parts: dict[str, Tensors] = {
        "whole": whole,
        "test": {name: rows[compared] for name, rows in whole.items()},
        "edge": predictor.predict(case.contract.edge_inputs()),
    }
    return {
        f"{part}/{name}": rows for part, outputs in parts.items() for name, rows in outputs.items()
    }


def _judged(case: Case, labels: np.ndarray, reference: Tensors) -> dict[str, Any]:
    test = {name: reference[f"whole/{name}"] for name in case.contract.output_names}
    predicted = case.contract.predicted_labels(test)
    return {
        "test_accuracy": float(np.mean(predicted == labels)),
        "confusion": _confusion(predicted, labels, len(case.contract.labels)),
    }


def _trainable(weights: Tensors) -> int:
    """Number of parameters that training changes; running statistics are not among them."""
    return sum(array.size for name, array in weights.items() if "/moving_" not in name)


def _steady_seconds(records: list[EpochRecord]) -> float:
    """Median seconds of an epoch, the first left out where there are others: it holds the compilation."""
    return float(np.median([record.seconds for record in records[1:] or records]))


def _confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> list[list[int]]:
    """Counts, [true class][predicted class]."""
    table = np.zeros((classes, classes), int)
    np.add.at(table, (labels, predicted), 1)
    rows: list[list[int]] = table.tolist()
    return rows


def _error_facts(error: Exception) -> dict[str, str]:
    message = error.message if isinstance(error, TwinServeError) else str(error)
    return {"name": type(error).__name__, "message": message}
