"""Verbs ``push``, ``take_back`` and ``lineage``: from a version back to the spans it was trained on, in MLMD.

TFX registers what its components made. Training and pushing happen outside it; ``push`` adds them::

    Span … ─► CsvExampleGen ─► Examples ─► Transform ─► TransformGraph
                                   └─► Train ◄───────────────┘
                                         └─► Model ─► Predict ─► Predictions ─► Evaluator ─► ModelBlessing
                                               └─► Push ◄──────────────────────────────────────┘
                                                    └─► Version

``push`` reads an InfraBlessing of each server as well; verb ``infra`` has recorded those. Every blessing says
which model it was given to: a training's name, or a file's sha256.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.artifact import digest_of
from models.errors import ArtifactMissing, NotBlessed
from pipelines.tfx.inside.predictions import FRAMEWORKS
from pipelines.tfx.inside.store import IMPORTER, Store, values_of
from pipelines.tfx.spans import FILE, span_folder

Report = Callable[[Mapping[str, Any]], None]
SPAN, MODEL, VERSION = "TwinServeSpan", "Model", "TwinServeVersion"
SERVERS = ("tfserving", "torchserve")
DIGESTS = {name: f"{name}_sha256" for name in FRAMEWORKS}
"""By framework: what tells versions apart that had one number; its Model shows the same."""


def push(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Record a version that is to be pushed, with every blessing; see docs/tfx.md for request and result.

    Raises:
        NotBlessed: a blessing of a model or of a server is missing, says no, or was given to another model; none
            means no.
        ArtifactMissing: the lineage lacks the data or a blessing.
    """
    del report
    store = Store.open(Path(request["state"]))
    blessings, infra = _blessings(store, request), _infra_blessings(store, request)
    examples = _examples(store, request)
    graphs = _graphs(store, examples.id)
    models = {}
    for name in FRAMEWORKS:
        facts = request["models"][name]
        values = {"framework": name, "sha256": facts["sha256"]}
        models[name] = store.artifact(MODEL, facts["path"], values)
        if store.maker(models[name]) is None:
            inputs = [examples.id, *graphs]
            store.execution("Train", inputs, [models[name]], {"framework": name})
    _link_predictions(store, blessings, models)
    values = {"case": request["case"], "version": int(request["version"])}
    digests = {DIGESTS[name]: request["models"][name]["sha256"] for name in FRAMEWORKS}
    version = store.artifact(VERSION, request["path"], {**values, **digests})
    if is_new := store.maker(version) is None:
        inputs = [*models.values(), *blessings.values(), *infra.values()]
        store.execution("Push", inputs, [version], values)
    return {
        "artifact": version,
        "case": request["case"],
        "version": request["version"],
        "new": is_new,
    }


def take_back(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """A push that was recorded did not come about: its ``artifact`` is the lineage of no version.

    Raises:
        ArtifactMissing: there is no such artifact.
    """
    del report
    Store.open(Path(request["state"])).take_back(int(request["artifact"]))
    return {}


def lineage(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """The tree above a version; see docs/tfx.md.

    Raises:
        ArtifactMissing: that version was never pushed.
    """
    del report
    store = Store.open(Path(request["state"]))
    wanted = {"case": request["case"], "version": int(request["version"])}
    for each in reversed(store.of_type(VERSION)):
        if wanted.items() <= values_of(each).items():
            return _tree(store, each, set())
    pushed = sorted(int(values_of(each)["version"]) for each in store.of_type(VERSION))
    raise ArtifactMissing(
        f"Version {wanted['version']} of {wanted['case']} has no lineage.",
        f"Pushed were: {', '.join(map(str, pushed)) or 'none'}.",
    )


def _tree(store: Store, artifact: Any, told: set[int]) -> dict[str, Any]:
    """Each artifact with what it was made of; where it comes again, it is ``repeated``, without that."""
    maker = store.maker(artifact.id)
    repeated = artifact.id in told
    told.add(artifact.id)
    made_by = None
    if maker is not None and not repeated:
        made_by = {
            "id": maker.id,
            "type": maker.type.rpartition(".")[2],
            "finished": maker.last_update_time_since_epoch / 1000,
            "inputs": [_tree(store, each, told) for each in store.inputs(maker.id)],
        }
    return {
        "id": artifact.id,
        "type": artifact.type,
        "uri": artifact.uri,
        "properties": _shown(artifact),
        "repeated": repeated and maker is not None,
        "made_by": made_by,
    }


def _shown(artifact: Any) -> dict[str, Any]:
    hidden = {"tfx_version", "is_external", "state", "name", "input_fingerprint", *DIGESTS.values()}
    values = {name: each for name, each in values_of(artifact).items() if name not in hidden}
    return {name: each for name, each in values.items() if len(str(each)) <= 200}


def _blessings(store: Store, request: Mapping[str, Any]) -> dict[str, Any]:
    """By framework: the id of its blessing, which must say yes."""
    given = request.get("blessings") or {}
    for name in FRAMEWORKS:
        if name not in given:
            raise NotBlessed(
                f"Version {request['version']} has no blessing of {name}.",
                "None means no: evaluate it first.",
            )
        blessing = store.one(given[name])
        facts = values_of(blessing)
        if (
            blessing.type != "ModelBlessing"
            or facts.get("framework") != name
            or not facts["blessed"]
        ):
            raise NotBlessed(
                f"Version {request['version']} may not be pushed: {name} was not blessed.",
                f"See {blessing.uri}.",
            )
        trained = request["models"][name]["trained"]
        if facts.get("trained") != trained:
            raise NotBlessed(
                f"The blessing of {name} was given to {facts.get('trained') or 'nobody'}, and version "
                f"{request['version']} is of {trained}.",
                "Evaluate it first.",
            )
    return {name: given[name] for name in FRAMEWORKS}


def _infra_blessings(store: Store, request: Mapping[str, Any]) -> dict[str, int]:
    """By server: the id of its infra blessing, which must say yes."""
    given = request.get("infra_blessings") or {}
    for name in SERVERS:
        if name not in given:
            raise NotBlessed(
                f"Version {request['version']} has no infra blessing of {name}.",
                "None means no: start it in both servers first.",
            )
        facts = values_of(blessing := store.one(given[name]))
        right = blessing.type == "InfraBlessing" and facts.get("server") == name
        if not right or not facts["blessed"]:
            raise NotBlessed(
                f"Version {request['version']} may not be pushed: {name} did not pass infra validation.",
                f"See {blessing.uri}.",
            )
        if facts.get("sha256") != request["models"][facts["framework"]]["sha256"]:
            raise NotBlessed(
                f"The infra blessing of {name} was given to another file than version {request['version']} has.",
                "Start this one in both servers first.",
            )
    return {name: given[name] for name in SERVERS}


def _examples(store: Store, request: Mapping[str, Any]) -> Any:
    """The examples that were made of the data, with the spans they came from."""
    folder = str(Path(request["state"]) / "staged" / request["data_digest"][:12])
    # The newest first: a run that was killed may have left some that nothing was made of.
    for examples in reversed(store.of_type("Examples")):
        maker = store.maker(examples.id)
        if maker is None or values_of(maker).get("input_base") != folder:
            continue
        spans = []
        for number in request["spans_of_data"]:
            file = Path(request["spans"]) / span_folder(number) / FILE
            uri = f"{file}#{digest_of(file)[:12]}"
            spans.append(store.artifact(SPAN, uri, {"span": number, "sha256": digest_of(file)}))
        store.add_inputs(maker.id, spans)
        return examples
    raise ArtifactMissing(
        f"The lineage has no examples of the data {request['data_digest'][:12]}.",
        "Validate them first.",
    )


def _graphs(store: Store, examples: int) -> list[int]:
    """The newest transform graph of these examples, if there is one."""
    found = [
        artifact.id
        for reader in store.readers(examples)
        for artifact in store.made_by(reader.id)
        if artifact.type == "TransformGraph"
    ]
    return [max(found)] if found else []


def _link_predictions(
    store: Store, blessings: Mapping[str, int], models: Mapping[str, int]
) -> None:
    """Say which models the judged predictions came from."""
    for blessing in blessings.values():
        judge = store.maker(blessing)
        for predictions in store.inputs(judge.id) if judge else []:
            maker = store.maker(predictions.id)
            if maker is None or IMPORTER in maker.type:
                store.execution("Predict", models.values(), [predictions.id], {})
