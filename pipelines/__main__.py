"""``python -m pipelines``: one subcommand a stage, and the whole run as a Prefect flow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.errors import ChecksFailed
from pipelines import terminal
from pipelines.breakdown.facts import Part
from pipelines.breakdown.names import QUICK as QUICK_PARTS
from pipelines.breakdown.names import MeasurePart
from pipelines.facts import Check
from pipelines.settings import read_settings
from pipelines.workspace import Workspace, log

# Every stage is imported when it is asked for: `--help` must not wait for Prefect, gRPC and the rest.

app = typer.Typer(
    help="One model, two frameworks, two servers, one verdict.\n\n"
    "Each subcommand is one stage, usable alone on what the earlier ones left; `demo` runs all of them as a "
    "Prefect flow. Settings are environment variables: see `settings`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()

LARGEST_RATE = 10
FEWEST_SECONDS = 3.0
STAGES, SERVERS, MORE = "Stages, in their order", "Live servers", "More"

CaseName = Annotated[
    str, typer.Option("--case", help="A folder of models/cases, or of TWINSERVE_CASES_PATH.")
]
Version = Annotated[
    int | None,
    typer.Option("--version", min=1, help="A version's number; if left out, the latest."),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Make it anew, also what is complete and unchanged.")
]


def _learning_rate(value: float | None) -> float | None:
    if value is not None and not 0 < value <= LARGEST_RATE:
        raise typer.BadParameter(f"{value} is not above 0 and at most {LARGEST_RATE}.")
    return value


def _scenario_seconds(value: float) -> float:
    if not value >= FEWEST_SECONDS:
        raise typer.BadParameter(
            f"{value:g} is below {FEWEST_SECONDS:g}: a scenario has six windows, each of half a second or more."
        )
    return value


# The bounds of pipelines.flow.Hyperparameters, which is not imported here: it brings Prefect.
Epochs = Annotated[int | None, typer.Option(min=1, max=10_000, help="Instead of the case's own.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Instead of the case's own.")]
LearningRate = Annotated[
    float | None, typer.Option(callback=_learning_rate, help="Instead of the case's own.")
]
Seed = Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Instead of the case's own.")]


@app.callback()
def start(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show stack traces, and Prefect's own lines.")
    ] = False,
) -> None:
    terminal.start(out, verbose)


@app.command()
def demo(
    case: CaseName = "digits",
    fresh: Fresh = False,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure again, also where nothing has changed.")
    ] = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
) -> None:
    """All stages, as the Prefect flow `side-by-side`."""
    from pipelines.prefect_home import start_prefect_api
    from pipelines.report.terminal import print_report

    settings = read_settings()
    # Says what is wrong with a case before Prefect takes its seconds to start.
    Workspace.open(case, settings)
    log.info("Starting Prefect")
    api = start_prefect_api(settings, terminal.is_verbose())
    from pipelines.conclude import read_report
    from pipelines.flow import Hyperparameters, side_by_side

    changes = Hyperparameters(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    api.wait_ready()
    try:
        page = side_by_side(case, changes, fresh, remeasure)
    except ChecksFailed as error:
        if error.report:
            print_report(read_report(Path(error.report)), out)
        raise
    print_report(read_report(Path(page)), out)
    out.print(f"\nReport: {page}", soft_wrap=True, highlight=False)


@app.command()
def retrain(
    case: CaseName = "flights",
    at_most: Annotated[
        int, typer.Option(min=0, help="So many new spans; 0 for all that have arrived.")
    ] = 0,
    first: Annotated[int, typer.Option(min=1, help="Spans that are there from the beginning.")] = 3,
    feature_drift: Annotated[
        float, typer.Option(min=0.01, help="Fires: a feature's drift, × its threshold.")
    ] = 1.0,
    label_drift: Annotated[
        float, typer.Option(min=0.01, help="Fires: the label's share has moved, × its threshold.")
    ] = 1.0,
    prediction_drift: Annotated[
        float, typer.Option(min=0.001, help="Fires: divergence of the probabilities, bits.")
    ] = 0.1,
    auc_drop: Annotated[float, typer.Option(min=0.001, help="Fires: ROC AUC has fallen.")] = 0.03,
    log_loss_rise: Annotated[
        float, typer.Option(min=0.001, help="Fires: log loss has risen, nats a row.")
    ] = 0.1,
    fresh: Fresh = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
) -> None:
    """Replay the spans that have arrived: watch drift, retrain where it is due, bless or refuse, push.

    As the Prefect flow `retrain`, in a home of its own below the artifacts. What is complete is not done again.
    """
    from pipelines.prefect_home import start_prefect_api
    from pipelines.retrain.place import open_space
    from pipelines.retrain.policy import Policy

    settings = read_settings()
    policy = Policy(
        feature_drift=feature_drift,
        label_drift=label_drift,
        prediction_drift=prediction_drift,
        auc_drop=auc_drop,
        log_loss_rise=log_loss_rise,
    )
    space = open_space(case, settings)
    log.info("Starting Prefect")
    api = start_prefect_api(settings, terminal.is_verbose())
    from pipelines.flow import Hyperparameters
    from pipelines.retrain.flow import retrain as flow
    from pipelines.retrain.terminal import print_replay

    changes = Hyperparameters(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    api.wait_ready()
    page = flow(case, policy, first, at_most, changes, fresh)
    print_replay(out, Path(page), space)


@app.command(rich_help_panel=STAGES)
def train(
    case: CaseName = "digits",
    fresh: Fresh = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
) -> None:
    """Train both frameworks from the same weights on the same batches."""
    from pipelines.alone import train_alone
    from pipelines.train import judge_accuracy

    space = _training_space(case, fresh, epochs, batch_size, learning_rate, seed)
    _, facts = train_alone(space)
    terminal.print_trainings(out, facts.trainings)
    _conclude([*facts.same_model.checks, *judge_accuracy(space, facts.trainings).checks])


@app.command(rich_help_panel=STAGES)
def export(
    case: CaseName = "digits",
    fresh: Fresh = False,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
) -> None:
    """Export what `train` left to a numbered version; give both the same hyper-parameters."""
    from pipelines.alone import export_alone

    space = _training_space(case, fresh, epochs, batch_size, learning_rate, seed)
    terminal.print_artifacts(out, export_alone(space))


@app.command(rich_help_panel=STAGES)
def verify(case: CaseName = "digits", version: Version = None) -> None:
    """Open every exported file in a new process and compare it with its model in memory."""
    from pipelines.alone import verify_alone

    space = Workspace.open(case, read_settings())
    _conclude(verify_alone(space, space.manifest(version)).checks)


@app.command(rich_help_panel=STAGES)
def check(case: CaseName = "digits", version: Version = None) -> None:
    """Start both servers and compare every answer, over both protocols, with the model in memory."""
    from pipelines.alone import check_alone

    space = Workspace.open(case, read_settings())
    _conclude(check_alone(space, space.manifest(version)).checks)


@app.command(rich_help_panel=STAGES)
def measure(
    case: CaseName = "digits",
    version: Version = None,
    only: Annotated[
        list[MeasurePart] | None,
        typer.Option(help="One part; may be given more than once. All of them if left out."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Few repetitions, for orders of magnitude; leaves out what --only does not name of "
            "overhead, batching and memory.",
        ),
    ] = False,
    seconds: Annotated[
        float,
        typer.Option(
            callback=_scenario_seconds,
            help="Load: a scenario of an endpoint; MLPerf's rule is 600.",
        ),
    ] = 600.0,
    bound_ms: Annotated[
        float, typer.Option(min=0.1, help="Batching: what p99 must keep within, milliseconds.")
    ] = 50.0,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure again, also where nothing has changed.")
    ] = False,
) -> None:
    """Measure what the model costs: both servers under load, and the parts that this is made of.

    load: both servers by MLPerf's rules, see docs/measurement.md.

    in-process: every way to run the model without a server.

    cold-start: process, model, first answer.

    overhead: server and protocol, by a model that computes nothing.

    batching: the servers' own, swept.

    memory: idle, peak and after 100,000 requests, and processor time.

    The last five are in docs/breakdown.md.
    """
    from pipelines.alone import measure_alone
    from pipelines.breakdown.judging import judge_breakdown
    from pipelines.breakdown.parts import breakdown_of, measure_part
    from pipelines.breakdown.tables import print_part
    from pipelines.measure import judge_measurements
    from serving.load.job import QUICK, LoadPlan

    space = Workspace.open(case, read_settings())
    manifest = space.manifest(version)
    parts = only or (QUICK_PARTS if quick else list(MeasurePart))
    checks: list[Check] = []
    if MeasurePart.LOAD in parts:
        plan = QUICK if quick else LoadPlan.full(seconds)
        found = measure_alone(space, manifest, plan)
        terminal.print_measurements(out, found)
        checks += judge_measurements(found)
    measured: dict[str, Part] = {}
    for part in [each for each in parts if each is not MeasurePart.LOAD]:
        measured[part] = measure_part(space, manifest, part, quick, remeasure, bound_ms)
        print_part(out, measured[part])
    _conclude(checks + judge_breakdown(breakdown_of(measured)))


@app.command(rich_help_panel=MORE)
def compare(
    before: Annotated[str, typer.Argument(help="A report.json, or a version's number.")],
    after: Annotated[str, typer.Argument(help="The one to be held against it.")],
    case: CaseName = "digits",
) -> None:
    """Hold one measurement against an earlier one; ends with 1 where a figure became worse beyond noise."""
    from pipelines.measuring.compared_table import print_compared
    from pipelines.measuring.comparing import NOT_COMPARED, Change, compare_reports, regressions
    from pipelines.measuring.reports import read_measured

    space = Workspace.open(case, read_settings())
    rows = compare_reports(read_measured(space, before), read_measured(space, after))
    print_compared(out, rows)
    out.print(NOT_COMPARED, highlight=False)
    worse = regressions(rows)
    unjudged = sum(row.change is Change.UNJUDGED for row in rows)
    if worse:
        first = "; ".join(f"{row.subject}: {row.quantity}" for row in worse[:3])
        raise ChecksFailed(
            f"{len(worse)} of {len(rows) - unjudged} judged figures became worse: {first}."
        )
    out.print(
        f"No regression beyond noise in {len(rows) - unjudged} figures; {unjudged} not judged.",
        highlight=False,
    )


@app.command(rich_help_panel=STAGES)
def report(case: CaseName = "digits", version: Version = None) -> None:
    """Write the report from what the stages have found."""
    from pipelines.alone import report_alone
    from pipelines.conclude import raise_if_failed
    from pipelines.report.terminal import print_report

    space = Workspace.open(case, read_settings())
    found, page = report_alone(space, space.manifest(version))
    print_report(found, out)
    out.print(f"\nReport: {page}", soft_wrap=True, highlight=False)
    raise_if_failed(found.checks, page)


@app.command(rich_help_panel=STAGES)
def push(
    version: Annotated[int, typer.Argument(min=1, help="A version that its run has blessed.")],
    case: CaseName = "flights",
) -> None:
    """Put a blessed version in service: into both servers' folders together, or not at all.

    A version that was in service before comes back in the same way. Without every blessing nothing changes.
    """
    from pipelines.alone import push_alone

    space = Workspace.open(case, read_settings())
    _conclude(push_alone(space, space.manifest(version)).findings.checks)


@app.command(rich_help_panel=SERVERS)
def serve(case: CaseName = "digits", version: Version = None) -> None:
    """Start both servers, print how to ask them, and leave them running; `stop` ends them.

    Without a version: the one in service, which is what was pushed last; where nothing was pushed, the latest.
    """
    from pipelines.in_service import manifest_to_serve
    from pipelines.invitation import print_invitation
    from pipelines.serve import leave_running

    space = Workspace.open(case, read_settings())
    manifest = manifest_to_serve(space, version)
    started = leave_running(space, manifest)
    print_invitation(space, manifest, [server.spec for server in started.servers], out)


@app.command(rich_help_panel=SERVERS)
def query(
    case: CaseName = "digits",
    row: Annotated[int, typer.Option(min=0, help="A row of the test split.")] = 0,
) -> None:
    """Send one row to the servers that `serve` left running; show the answers side by side."""
    from pipelines.query import query_servers

    query_servers(Workspace.open(case, read_settings()), row, out)


@app.command(rich_help_panel=SERVERS)
def playground(
    case: CaseName = "digits",
    version: Version = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the page is; 0 takes a free port.")
    ] = 8081,
    browser: Annotated[
        bool, typer.Option(help="Open the page in a browser, where there is a display.")
    ] = True,
) -> None:
    """A page to play with: one input, every live answer side by side; until Ctrl-C.

    It asks the servers that `serve` left running. Where none runs, it starts both and stops them at the end.
    """
    from pipelines.playground.running import run_playground

    run_playground(Workspace.open(case, read_settings()), port, browser, out, version)


@app.command(rich_help_panel=SERVERS)
def deploy(
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="The version to serve; else the one pushed last."),
    ] = None,
    case: CaseName = "digits",
) -> None:
    """Have the running servers serve another version, without a failed or wrong answer."""
    from pipelines import deploy as deployment
    from pipelines.in_service import manifest_in_service

    space = Workspace.open(case, read_settings())
    manifest = manifest_in_service(space) if version is None else space.manifest(version)
    terminal.print_switch(out, deployment.deploy(space, manifest))


@app.command(rich_help_panel=SERVERS)
def rollback(case: CaseName = "digits") -> None:
    """Go back to the version that was served before the last `deploy`."""
    from pipelines import deploy as deployment

    space = Workspace.open(case, read_settings())
    terminal.print_switch(out, deployment.rollback(space))


@app.command(rich_help_panel=MORE)
def lineage(
    version: Annotated[int, typer.Argument(min=1, help="A version that was pushed.")],
    case: CaseName = "flights",
) -> None:
    """Where a version came from, as TFX's metadata store has it: models, blessings, rows, spans."""
    from pipelines.tfx.lineage import read_lineage

    terminal.print_lineage(out, read_lineage(Workspace.open(case, read_settings()), version))


@app.command(rich_help_panel=SERVERS)
def stop() -> None:
    """Stop what `serve` started, and what a killed run left behind."""
    from pipelines.serve import stop_all

    stopped = stop_all(read_settings().records)
    for line in stopped:
        out.print(f"Stopped {line}", highlight=False)
    if not stopped:
        out.print("Nothing of ours was running.")


@app.command(rich_help_panel=MORE)
def images(
    network: Annotated[
        str, typer.Option(help="The engine's network for builds; host where containers have none.")
    ] = "",
    ca_certificates: Annotated[
        Path | None,
        typer.Option(
            help="PEM file, or a folder of them, for an https mirror of Debian's packages."
        ),
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Build the embedded TF Serving API's image anyway.")
    ] = False,
) -> None:
    """Pull or build the servers' images that are missing or out of date."""
    from pipelines.images import build_options, prepare_images

    prepare_images(read_settings(), build_options(network, ca_certificates), embedded, out)


@app.command(rich_help_panel=MORE)
def deployments() -> None:
    """Offer the flow of every case to a running Prefect server, until Ctrl-C."""
    from pipelines.prefect_home import serve_deployments

    serve_deployments(read_settings())


@app.command(rich_help_panel=MORE)
def prefect(port: Annotated[int, typer.Option(min=1, max=65535)] = 4200) -> None:
    """Start Prefect's server and UI on loopback, until Ctrl-C."""
    from pipelines.prefect_home import run_server

    run_server(read_settings(), port)


@app.command(rich_help_panel=MORE)
def cases() -> None:
    """List the cases."""
    from models.case import case_names

    settings = read_settings()
    for name in case_names(settings.case_folders):
        out.print(f"{name}: {Workspace.open(name, settings).case.title}", highlight=False)


@app.command(rich_help_panel=MORE)
def settings() -> None:
    """List every setting with its value and meaning."""
    terminal.print_settings(out, read_settings())


def _conclude(checks: list[Check]) -> None:
    """Print every check; a failed one ends the command with an error."""
    from pipelines.conclude import raise_if_failed

    terminal.print_checks(out, checks)
    raise_if_failed(checks)


def _training_space(
    case: str,
    fresh: bool,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    seed: int | None,
) -> Workspace:
    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    return Workspace.open(case, read_settings(), changes, fresh)


if __name__ == "__main__":
    sys.exit(terminal.run(app))
