"""The run as a Prefect flow: wiring, retries, caching and artifacts, nothing else.

Case -> data -> train x2 -> quality, export x2 -> verify files -> start servers -> check, measure, push -> report
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

from models import worker
from models.artifact import Manifest
from models.framework import FRAMEWORKS
from pipelines.breakdown.parts import keep_start, measure_part, stored_breakdown
from pipelines.check import check_across, check_server
from pipelines.conclude import conclude, failed, keep, publish_report, raise_if_failed
from pipelines.constants import prepare_constants
from pipelines.data import prepare_data
from pipelines.export import assemble_version, check_artifacts, export_framework
from pipelines.facts import (
    Check,
    DataFacts,
    EvaluationFacts,
    Findings,
    InfraFacts,
    Measurements,
    PushFacts,
    Trainings,
    ValidationFacts,
)
from pipelines.in_service import baseline_for
from pipelines.infra import bless_infra
from pipelines.measure import (
    judge_measurements,
    kept_measurement,
    measure,
    measurement_digest,
)
from pipelines.measuring.findings import HISTOGRAMS
from pipelines.prefect_artifacts import publish_artifacts
from pipelines.push import gather_blessings, push
from pipelines.quality import judge_quality, score_baseline
from pipelines.serve import StartedServers, start_servers, stop_servers
from pipelines.settings import read_settings
from pipelines.tasks import Run
from pipelines.tfx.evaluation import evaluate_slices
from pipelines.tfx.validation import tfx_findings, validate_data
from pipelines.train import agree_before_training, initialise, judge_accuracy, train
from pipelines.verify import verify_framework
from pipelines.workspace import Workspace
from serving.load.job import QUICK
from serving.started import stop_all as stop_all_servers


class Hyperparameters(BaseModel):
    """Changes to the case's own hyper-parameters; what is left empty stays as the case says."""

    model_config = ConfigDict(extra="forbid")

    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


NO_CHANGES = Hyperparameters()


@flow(name="side-by-side", flow_run_name="{case}", persist_result=False)
def side_by_side(
    case: str = "digits",
    hyperparameters: Hyperparameters = NO_CHANGES,
    fresh: bool = False,
    remeasure: bool = False,
) -> str:
    """Train one model in TensorFlow and in PyTorch, serve both, and say how they compare.

    Args:
        case: a folder of models/cases, or of a folder that TWINSERVE_CASES_PATH names.
        hyperparameters: changes to the case's own.
        fresh: make everything anew, also what is complete and unchanged.
        remeasure: measure again, also where nothing has changed since.

    Returns:
        path of the report.

    Raises:
        ChecksFailed: the run is complete and its report is written, but a check said no.
    """
    run = Run(Workspace.open(case, read_settings(), hyperparameters.changes(), fresh))
    try:
        raw = split_rows(run)
        scored = score_rows(run, raw)
        validated, rows = prepare_rows(run, raw)
        initial = initialise_twins(run, rows)
        _raise_first(initial)
        same = run.submit(agree_before_training, *initial, after=_each("initialise")).result()
        trained = train_twins(run, rows, initial)
        judged = judge_probabilities(run, rows, scored, trained)
        evaluating = evaluate_by_slices(run, rows, trained)
        manifest = export_version(run, rows, trained)
        trainings = [_training(run, future) for future in trained]
        keep(
            run.space,
            manifest.version,
            "train",
            Trainings(trainings=trainings, same_model=same),
        )
        _rename_flow_run(f"{case} v{manifest.version}")
        verified = verify_files(run, manifest)
        # What is measured from here on has nothing of ours beside it: not even how soon a server is ready.
        quality = judged.result() if judged else Findings()
        keep(run.space, manifest.version, "quality", quality)
        evaluated = evaluating.result() if evaluating else None
        sliced = tfx_findings(run.space, validated, evaluated)
        keep(run.space, manifest.version, "tfx", sliced)
        run.submit(
            measure_part,
            manifest,
            "in-process",
            True,
            remeasure or run.space.fresh,
            of="in-process",
            after=_each("verify_framework"),
        ).result()
        with served(run, manifest) as servers:
            keep_start(run.space, manifest, servers)
            checked, each_server = check_servers(run, manifest, servers)
            measured = measure_servers(run, manifest, servers, remeasure)
        accuracy = judge_accuracy(run.space, trainings)
        findings = same.joined(accuracy, quality, sliced, verified, checked)
        if validated and evaluated:
            failing = failed([*findings.checks, *judge_measurements(measured)])
            _, pushed = bless_and_push(
                run, manifest, validated, evaluated, (servers, each_server), failing
            )
            findings = findings.joined(pushed)
    except BaseException as error:
        stopped = not isinstance(error, Exception)  # Ctrl-C, SIGTERM, a cancelled run
        worker.stop_all(for_good=stopped)
        stop_all_servers(for_good=stopped)
        raise
    breakdown = stored_breakdown(run.space, manifest)
    report = conclude(run.space, manifest, trainings, findings, measured, run.timings(), breakdown)
    page = publish_report(run.space, report)
    publish_artifacts(report, page)
    raise_if_failed(report.checks, page)
    return str(page)


def split_rows(run: Run) -> DataFacts:
    """The splits as they are."""
    space = run.space
    rows: DataFacts = run.submit(
        prepare_data, key=space.data_key(), made=space.data_folder()
    ).result()
    return rows


def score_rows(run: Run, rows: DataFacts) -> PrefectFuture[Any] | None:
    """The baseline, while TFX looks at the rows on one core: it needs no constants and no network."""
    if run.space.case.quality is None:
        return None
    return run.submit(
        score_baseline,
        rows,
        after=["prepare_data"],
        key=run.space.baseline_digest(rows.digest),
        made=run.space.baseline_folder(rows.digest),
    )


def prepare_rows(run: Run, rows: DataFacts) -> tuple[ValidationFacts | None, DataFacts]:
    """What TFX says of the splits, and the constants of preprocessing, where the case needs them."""
    space = run.space
    validated: ValidationFacts | None = None
    if space.uses_tfx:
        validated = run.submit(
            validate_data,
            rows,
            after=["prepare_data"],
            key=space.validation_digest(rows.digest),
            made=space.validation_folder(rows.digest),
        ).result()
    if space.case.constants:
        computed = Path(validated.constants) if validated else space.settings.constants
        rows = run.submit(
            prepare_constants,
            rows,
            computed,
            after=["validate_data" if validated else "prepare_data"],
            key=space.constants_digest(rows.digest, computed),
            made=space.constants_folder(rows.digest, computed),
        ).result()
    return validated, rows


def evaluate_by_slices(
    run: Run, rows: DataFacts, trained: list[PrefectFuture[Any]]
) -> PrefectFuture[Any] | None:
    """Both models on every slice, against the model in service, while they are exported; None without TFX."""
    if not run.space.uses_tfx:
        return None
    baseline = baseline_for(run.space, rows)
    against = baseline.key if baseline else ""
    return run.submit(
        evaluate_slices,
        rows,
        baseline,
        *trained,
        after=_each("train"),
        key=run.space.evaluation_digest(rows.digest, rows.basis, against),
        made=run.space.evaluation_folder(rows.digest, rows.basis, against),
    )


def bless_and_push(
    run: Run,
    manifest: Manifest,
    validated: ValidationFacts,
    evaluated: EvaluationFacts,
    asked: tuple[StartedServers, list[Findings]],
    failing: list[Check],
) -> tuple[PushFacts, Findings]:
    """Infra blessings from what the servers have answered; then the push, where nothing says no.

    Args:
        run: the tasks.
        manifest: the candidate.
        validated: what TFX says of its rows.
        evaluated: what TFMA says of its models.
        asked: the servers that were started with it, and what ``check_server`` has found of each.
        failing: checks that said no before.
    """
    started, found = asked
    infra: InfraFacts = run.submit(
        bless_infra, manifest, started, found, after=["check_across"]
    ).result()
    blessings = gather_blessings(validated, evaluated, infra, failing)
    keep(run.space, manifest.version, "blessings", blessings)
    pushed: PushFacts = run.submit(push, manifest, blessings, after=["bless_infra"]).result()
    findings = infra.findings.joined(pushed.findings)
    keep(run.space, manifest.version, "push", findings)
    return pushed, findings


def judge_probabilities(
    run: Run,
    rows: DataFacts,
    scored: PrefectFuture[Any] | None,
    trained: list[PrefectFuture[Any]],
) -> PrefectFuture[Any] | None:
    """Both networks beside the baseline, while they are exported; None where the case has none."""
    if scored is None:
        return None
    return run.submit(
        judge_quality,
        rows,
        scored,
        *trained,
        after=[*_each("train"), "score_baseline"],
        key=run.space.quality_digest(rows.digest, rows.basis),
        made=run.space.baseline_folder(rows.digest),
    )


def initialise_twins(run: Run, rows: DataFacts) -> list[PrefectFuture[Any]]:
    """Both networks with the same weights, side by side."""
    return [
        run.submit(
            initialise,
            name,
            rows,
            of=name,
            after=["prepare_constants" if run.space.case.constants else "prepare_data"],
            key=run.space.initial_digest(name, rows.basis),
            made=run.space.initial_folder(name, rows.basis),
        )
        for name in FRAMEWORKS
    ]


def train_twins(
    run: Run, rows: DataFacts, initial: list[PrefectFuture[Any]]
) -> list[PrefectFuture[Any]]:
    """Both trainings, side by side."""
    return [
        run.submit(
            train,
            name,
            rows,
            start,
            of=name,
            after=["agree_before_training"],
            key=run.space.training_digest(name, rows.basis),
            made=run.space.training_folder(name, rows.basis),
        )
        for name, start in zip(FRAMEWORKS, initial, strict=True)
    ]


def export_version(run: Run, rows: DataFacts, trained: list[PrefectFuture[Any]]) -> Manifest:
    """Each framework exports as soon as it is trained; then both become one version."""
    exported = [
        run.submit(
            export_framework,
            name,
            rows,
            training,
            of=name,
            after=[f"train {name}"],
            key=run.space.export_digest(name, rows.basis),
            made=run.space.export_folder(name, rows.basis),
        )
        for name, training in zip(FRAMEWORKS, trained, strict=True)
    ]
    _raise_first([*trained, *exported])
    manifest: Manifest = run.submit(
        assemble_version, rows, exported, after=_each("export_framework")
    ).result()
    check_artifacts(run.space, manifest)
    return manifest


def verify_files(run: Run, manifest: Manifest) -> Findings:
    """Every file against the model in memory, and weights transplanted both ways."""
    futures = [
        run.submit(
            verify_framework,
            name,
            manifest,
            of=name,
            after=["assemble_version"],
            key=run.space.verification_digest(manifest),
        )
        for name in FRAMEWORKS
    ]
    found = Findings().joined(*(future.result() for future in futures))
    keep(run.space, manifest.version, "verify", found)
    return found


@contextmanager
def served(run: Run, manifest: Manifest) -> Iterator[StartedServers]:
    """Both servers, until the block ends."""
    servers: StartedServers = run.submit(
        start_servers, manifest, after=["measure_part in-process"], retries=1
    ).result()
    try:
        yield servers
    except BaseException:
        servers.stop()
        raise
    run.submit(stop_servers, servers, after=["measure"]).result()


def check_servers(
    run: Run, manifest: Manifest, started: StartedServers
) -> tuple[Findings, list[Findings]]:
    """Each server against the model in memory, then the two against one another.

    Returns:
        everything that was found; and what was found of each server.
    """
    specs = [server.spec for server in started.servers]
    futures = [
        run.submit(check_server, manifest, spec, of=spec.name, after=["start_servers"], retries=1)
        for spec in specs
    ]
    results = [future.result() for future in futures]
    each_server = [findings for findings, _ in results]
    answers = [answers for _, answers in results]
    across = run.submit(
        check_across,
        manifest,
        specs,
        answers,
        after=[f"check_server {spec.name}" for spec in specs],
    ).result()
    found = Findings(checks=started.skew, ready_seconds=started.ready_seconds).joined(
        *each_server, across
    )
    keep(run.space, manifest.version, "check", found)
    return found, each_server


def measure_servers(
    run: Run, manifest: Manifest, started: StartedServers, remeasure: bool
) -> Measurements:
    """What both cost; measured again only where something changed, or where it is asked for.

    The flow measures quickly. A longer measurement of the same, by `make measure`, is taken instead.
    """
    kept = None if remeasure else kept_measurement(run.space, manifest, started)
    found: Measurements = run.submit(
        measure,
        manifest,
        started,
        QUICK,
        kept,
        after=["check_across"],
        key=measurement_digest(manifest, started, kept.measured if kept else QUICK),
        made=run.space.version_folder(manifest.version) / HISTOGRAMS,
        refresh=remeasure,
        retries=1,
    ).result()
    keep(run.space, manifest.version, "measure", found)
    return found


def _training(run: Run, future: PrefectFuture[Any]) -> Any:
    facts = future.result()
    return facts.model_copy(update={"cached": facts.cached or run.was_reused(future)})


def _raise_first(futures: list[PrefectFuture[Any]]) -> None:
    """Wait; the error of one that failed. A task that waits for it would only say that it never ran."""
    for future in futures:
        future.result()


def _rename_flow_run(name: str) -> None:
    """The version is known only after the export."""
    run_id = flow_run.id
    if run_id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(run_id, name=name)


def _each(stage: str) -> list[str]:
    return [f"{stage} {name}" for name in FRAMEWORKS]
