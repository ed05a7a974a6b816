"""Exchange the version that running servers serve, while clients ask; and go back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.artifact import Manifest
from models.errors import ArtifactMissing, ChecksFailed, ServerDied, TwinServeError
from models.formats import Format
from pipelines.facts import SwitchFacts
from pipelines.probing import Probing
from pipelines.reference import Reference
from pipelines.serve import left_running
from pipelines.workspace import Workspace, log
from serving.endpoints import FRAMEWORK_OF
from serving.publish import model_store, saved_model_folder
from serving.records import RunningServer
from serving.tfserving.rollout import Rollout as TfServingRollout
from serving.torchserve.rollout import Rollout as TorchServeRollout
from serving.torchserve.tokens import Tokens

PREVIOUS = "previous"
"""Tag of a record: the version that was served before this one."""

ROWS = slice(0, 64)
"""Rows of the test split that the clients ask for, in turn."""

Rollout = TfServingRollout | TorchServeRollout


def deploy(space: Workspace, manifest: Manifest) -> list[SwitchFacts]:
    """Have the running servers serve another version, and ask them all the while.

    Every endpoint is asked without a pause from before the first step until after the last. An
    answer must be the old version's, as the server itself gave it before, or the new version's, as
    the model in memory gives it.

    Returns:
        one row an endpoint.

    Raises:
        ServerDied: nothing of this case is being served.
        ServerNotReady: a server cannot load the version; it is withdrawn, and the old one serves on.
        ChecksFailed: a request failed or was answered wrongly during the switch.
    """
    servers = _servers(space)
    before = space.manifest(int(servers[0].tags["version"]))
    if before.version == manifest.version:
        log.info(f"Version {manifest.version} is already being served")
        return []
    log.info(f"Deploy: version {before.version} -> {manifest.version} of {space.case.name!r}")
    rows = Reference.of(space, "tensorflow", manifest).split.rows(ROWS).inputs
    expected = {
        name: {k: v[ROWS] for k, v in Reference.of(space, framework, manifest).test.items()}
        for name, framework in FRAMEWORK_OF.items()
    }
    # TorchServe first: it loads a version without serving it, TF Serving serves what it has loaded.
    rollouts = [rollout_of(space, server) for server in reversed(servers)]
    with Probing(space, servers, rows, expected) as probing:
        _exchange(space, rollouts, before, manifest, probing)
    for server in servers:
        tags = {**server.tags, "version": str(manifest.version), PREVIOUS: str(before.version)}
        replace(server, tags=tags).write(space.settings.records)
    facts = probing.facts()
    _raise_if_disturbed(facts)
    return facts


def rollback(space: Workspace) -> list[SwitchFacts]:
    """Go back to the version that was served before the last ``deploy``, in the same way.

    Raises:
        ArtifactMissing: none was served before, or its artifacts are gone.
        ServerDied, ServerNotReady, ChecksFailed: as ``deploy``.
    """
    servers = _servers(space)
    previous = servers[0].tags.get(PREVIOUS)
    if previous is None:
        raise ArtifactMissing(
            f"No other version of {space.case.name!r} was served before this one.",
            "Name one: `python -m pipelines deploy --version N`.",
        )
    return deploy(space, space.manifest(int(previous)))


def _servers(space: Workspace) -> list[RunningServer]:
    servers = left_running(space)
    if len(servers) < len(FRAMEWORK_OF):
        raise ServerDied(
            f"{'One server' if servers else 'No server'} of {space.case.name!r} is running.",
            "Run `make serve` first (after `make stop`, if one has died).",
        )
    return servers


def rollout_of(space: Workspace, server: RunningServer) -> Rollout:
    """The versions on a server that was left running."""
    settings, name, home = space.settings, space.case.name, Path(server.workdir).parent
    if server.name == "tfserving":
        url = f"http://{server.host}:{server.ports['rest']}"
        repository = saved_model_folder(home, name)
        return TfServingRollout(
            server.label, url, name, repository, settings.startup_timeout_seconds
        )
    url = f"http://{server.host}:{server.ports['management']}"
    return TorchServeRollout(
        server.label,
        url,
        name,
        model_store(home),
        Tokens(Path(server.workdir), url, container=server.container),
        settings.startup_timeout_seconds,
        settings.drain_seconds,
    )


def _exchange(
    space: Workspace,
    rollouts: Sequence[Rollout],
    before: Manifest,
    after: Manifest,
    probing: Probing,
) -> None:
    try:
        for rollout in rollouts:
            began = time.monotonic()
            probing.begin(rollout.server)
            rollout.publish(_artifact(space, rollout, after), after.version)
            rollout.bring_up(after.version)
            log.info(
                f"{rollout.label} has version {after.version} ({time.monotonic() - began:.1f} s)"
            )
        for rollout in rollouts:
            rollout.switch(after.version)
            probing.wait_for_new(rollout.server)
            log.info(f"{rollout.label} answers with version {after.version}")
    except TwinServeError:
        _go_back(space, rollouts, before, after)
        raise
    for rollout in rollouts:
        rollout.retire(before.version)
        log.info(f"{rollout.label} has unloaded version {before.version}")


def _go_back(
    space: Workspace, rollouts: Sequence[Rollout], before: Manifest, after: Manifest
) -> None:
    """Both serve the old version again, whichever of them had got further."""
    for rollout in rollouts:
        try:
            rollout.publish(_artifact(space, rollout, before), before.version)
            rollout.bring_up(before.version)
            rollout.switch(before.version)
            rollout.withdraw(after.version)
        except TwinServeError as error:
            log.error(
                f"{rollout.label} could not go back to version {before.version}: {error.message}"
            )


def _artifact(space: Workspace, rollout: Rollout, manifest: Manifest) -> Path:
    """The file that this server reads, held against its digest."""
    wanted = Format.MAR if rollout.server == "torchserve" else Format.SAVED_MODEL
    return manifest.artifact(wanted).check(space.version_folder(manifest.version))


def _raise_if_disturbed(facts: Sequence[SwitchFacts]) -> None:
    failed, wrong = sum(row.failed for row in facts), sum(row.wrong for row in facts)
    if failed or wrong:
        first = next((row.first_problem for row in facts if row.first_problem), "")
        raise ChecksFailed(
            f"During the switch {failed} requests failed and {wrong} were answered wrongly. {first}"
        )
