"""Stage: each live server over each protocol goes through the same comparison as the files."""

from __future__ import annotations

from collections.abc import Sequence

from models.artifact import Manifest
from models.contract import Tensors
from models.errors import TwinServeError
from models.parity import compare
from models.predictor import predict_in_batches
from pipelines.facts import Check, Findings, MalformedFacts, Outcome
from pipelines.judging import named, parity_check, parity_row
from pipelines.malformed import send_malformed
from pipelines.reference import Reference
from pipelines.verify import BATCH_SIZES, Answer, judge_answers
from pipelines.workspace import Workspace, log
from serving.endpoints import FRAMEWORK_OF, Client, Endpoint, Reachable, endpoints_of


def check_server(
    space: Workspace, manifest: Manifest, server: Reachable
) -> tuple[Findings, Tensors]:
    """Both protocols of one server: described as the contract says, right, and firm with bad requests.

    Returns:
        the findings, and the server's answers to the test split over gRPC.
    """
    findings, answers = Findings(), {}
    reference = Reference.of(space, FRAMEWORK_OF[server.name], manifest)
    for endpoint in endpoints_of(server):
        with _connect(space, endpoint) as client:
            answer = _ask(space, client, reference)
            found = judge_answers(space.case, endpoint.title, reference, answer, "check")
            findings = findings.joined(found, _misuse(space, endpoint, client, reference))
        answers = answer.get("arrays", {})
        log.info(f"Check: {endpoint.title}: {_summary(found)}")
    return findings, _all_at_once(answers)


def check_across(
    space: Workspace,
    manifest: Manifest,
    servers: Sequence[Reachable],
    answers: Sequence[Tensors],
) -> Findings:
    """Whether the two servers agree with one another; their models were trained apart."""
    labels = Reference.of(space, "tensorflow", manifest).split.labels
    titles = [f"{server.label} · gRPC" for server in servers]
    tolerance = space.case.tolerances.cross_framework
    try:
        parity = compare(space.case.contract, answers[0], answers[1], tolerance, labels)
    except (TwinServeError, KeyError) as error:
        return Findings(
            checks=[
                Check(
                    stage="cross-framework",
                    subject=titles[1],
                    question=f"Gives the same labels as {titles[0]}",
                    outcome=Outcome.FAIL,
                    figure=type(error).__name__,
                    limit="an answer to compare",
                    detail=named(error),
                )
            ]
        )
    row = parity_row("cross-framework", titles[1], titles[0], "all", parity)
    return Findings(
        checks=[parity_check(row, f"Gives the same labels as {titles[0]}")], parity=[row]
    )


def _connect(space: Workspace, endpoint: Endpoint) -> Client:
    return endpoint.connect(
        space.case.name, space.case.contract, space.settings.request_timeout_seconds
    )


def _ask(space: Workspace, client: Client, reference: Reference) -> Answer:
    inputs = reference.split.inputs
    try:
        arrays = {
            f"{size}/{name}": rows
            for size in BATCH_SIZES
            for name, rows in predict_in_batches(
                client, inputs, size or len(reference.split)
            ).items()
        }
        edge = client.predict(space.case.contract.edge_inputs())
        arrays |= {f"edge/{name}": rows for name, rows in edge.items()}
        return {"signature": client.signature(), "arrays": arrays}
    except TwinServeError as error:
        return {"error": {"name": type(error).__name__, "message": error.message}}


def _misuse(space: Workspace, endpoint: Endpoint, client: Client, reference: Reference) -> Findings:
    row = slice(0, 1)
    inputs = reference.split.rows(row).inputs
    wanted = {name: rows[row] for name, rows in reference.test.items()}

    def is_answered() -> bool:
        try:
            answer = client.predict(inputs)
            tolerance = space.case.tolerances.float32
            return compare(space.case.contract, wanted, answer, tolerance).passed
        except TwinServeError:
            return False

    facts = send_malformed(endpoint, client, space.case.contract, inputs, is_answered)
    return Findings(checks=[_misuse_check(endpoint, each) for each in facts], malformed=facts)


def _misuse_check(endpoint: Endpoint, facts: MalformedFacts) -> Check:
    return Check(
        stage="check",
        subject=endpoint.title,
        question=f"Refuses a request with {facts.request} by name, and answers the next one",
        outcome=facts.outcome,
        figure=f"{facts.status}{'' if facts.recovered else ', and the next one failed'}",
        limit="4xx, or the matching gRPC status",
        detail="" if facts.outcome is Outcome.PASS else facts.message,
    )


def _all_at_once(arrays: Tensors) -> Tensors:
    return {key.removeprefix("0/"): rows for key, rows in arrays.items() if key.startswith("0/")}


def _summary(findings: Findings) -> str:
    if any(check.outcome is Outcome.FAIL for check in findings.checks):
        return "NOT as in memory"
    return f"as in memory, largest difference {max(row.max_abs for row in findings.parity):.1e}"
