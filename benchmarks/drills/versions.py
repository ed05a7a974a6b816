"""Drills with versions and keys: a damaged version beside a good one, a key that has run out."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from benchmarks.drills.asking import REQUEST_SECONDS, Asking
from benchmarks.drills.facts import DrillFacts
from benchmarks.drills.stage import Stage, cut_in_half
from models.errors import ServerNotReady
from models.formats import Format
from serving.container import ContainerServer
from serving.engine import read_file
from serving.publish import model_store, saved_model_folder
from serving.server import ServerSpec
from serving.tfserving.rollout import Rollout as TfServingRollout
from serving.torchserve.contained import torchserve_container_spec
from serving.torchserve.repository import MANIFEST
from serving.torchserve.rollout import Rollout as TorchServeRollout
from serving.torchserve.tokens import CONTAINER_HOME, KEY_FILE, Key, Tokens, read_keys
from serving.wire.rows import encode_rows

REFUSAL_SECONDS = 60.0
AFTERWARDS_SECONDS = 1.5
"""How long clients go on asking after the fault has been seen."""

POLL_SECONDS = 0.1
EXCHANGES = 4
BETWEEN_EXCHANGES_SECONDS = 1.5
SHARING = 3
"""Threads behind one client: when its key is refused, it is refused to all of them."""

KEY_LIFE_MINUTES = 0.2
SETTING = "token_expiration_min"
SHORT_LIVED_KEYS = f"""
# Read by every Python that starts in this container: the image has no option for the life of its keys.
import serving.torchserve.settings as settings

_settings = settings.server_settings
settings.server_settings = lambda *given: {{**_settings(*given), "{SETTING}": "{KEY_LIFE_MINUTES}"}}
"""


def push_damaged_saved_model(stage: Stage) -> DrillFacts:
    """A SavedModel that was cut off, put into TF Serving's repository by hand."""
    number = stage.manifest.version + 1
    facts = DrillFacts(
        name="push-tfserving",
        server=stage.labels["tfserving"],
        done="The next version was put into the running server's repository by hand, its "
        "saved_model.pb cut in half.",
        should="The server says why it cannot load it, and serves the good one on.",
    )
    spec, name = stage.server("tfserving").spec, stage.space.case.name
    repository = saved_model_folder(stage.pair().home, name)
    rollout = TfServingRollout(spec.label, spec.url("rest"), name, repository)
    damaged = stage.space.version_folder(number) / stage.manifest.artifact(Format.SAVED_MODEL).path
    with stage.asking("tfserving") as asking:
        shutil.copytree(damaged, repository / ".pushed")
        (repository / ".pushed").rename(repository / str(number))
        try:
            said = _wait_for_refusal(rollout, number)
            time.sleep(AFTERWARDS_SECONDS)
        finally:
            rollout.withdraw(number)
    return _undisturbed(stage, replace(facts, seen=f"Version {number}: {said}"), asking)


def push_damaged_archives(stage: Stage) -> DrillFacts:
    """Archives that were cut off, outside or inside, put into TorchServe's store by hand."""
    number = stage.manifest.version + 1
    facts = DrillFacts(
        name="push-torchserve",
        server=stage.labels["torchserve"],
        done="The next version was put into the running server's store by hand and registered by "
        "its management API: once with the .mar cut in half, once with the weights inside cut in "
        "half.",
        should="TorchServe refuses both, and serves the good one on.",
    )
    spec, name = stage.server("torchserve").spec, stage.space.case.name
    store = model_store(stage.pair().home)
    tokens = _tokens(spec)
    rollout = TorchServeRollout(spec.label, spec.url("management"), name, store, tokens)
    good = (
        stage.space.version_folder(stage.manifest.version)
        / stage.manifest.artifact(Format.MAR).path
    )
    target = store / f"{name}-{number}.mar"
    said, problems = [], []
    with stage.asking("torchserve") as asking:
        for what, damage in (
            ("the archive cut in half", lambda archive, _: cut_in_half(archive)),
            ("the weights in it cut in half", cut_weights_in_half),
        ):
            beside = target.with_suffix(".pushed")
            shutil.copyfile(good, beside)
            damage(beside, number)
            beside.rename(target)
            try:
                answer = _register(spec, tokens, target.name)
                said.append(f"{what}: HTTP {answer.status_code}: {answer.text.strip()}")
                if answer.is_success:
                    problems.append(f"it was registered with {what}")
            finally:
                rollout.withdraw(number)
        time.sleep(AFTERWARDS_SECONDS)
    found = replace(facts, seen="\n".join(said), problems=tuple(problems))
    return _undisturbed(stage, found, asking)


def deploy_damaged(stage: Stage) -> DrillFacts:
    """``deploy`` of a version whose files are not those of its manifest."""
    number = stage.manifest.version + 1
    facts = DrillFacts(
        name="deploy-damaged",
        server=stage.both,
        done="`deploy` of a version whose SavedModel and .mar were cut in half after they were "
        "exported.",
        should="One message with the digests, before either server is told of the version.",
    )
    with stage.asking("tfserving", "torchserve") as asking:
        ended = stage.run("deploy", "--case", stage.space.case.name, "--version", str(number))
    facts = replace(facts, seen=ended.message)
    if ended.code != 1 or "ArtifactCorrupt" not in ended.message:
        facts = facts.with_problem(f"exit code {ended.code}, and not ArtifactCorrupt")
    return _undisturbed(stage, facts, asking)


def exchange_keys(stage: Stage) -> DrillFacts:
    """Another process has TorchServe make new keys, which ends those that the clients hold."""
    facts = DrillFacts(
        name="keys-exchanged",
        server=stage.labels["torchserve"],
        done=f"Another process had TorchServe make a new inference key {EXCHANGES} times while "
        "clients ask over both protocols; each ends the key that they hold.",
        should="A request with the old key is refused; our clients read the new one and ask again.",
    )
    spec = stage.server("torchserve").spec
    old = _keys(spec)["inference"]
    with stage.asking("torchserve", threads=SHARING) as asking:
        for _ in range(EXCHANGES):
            _renew(spec)
            time.sleep(BETWEEN_EXCHANGES_SECONDS)
    status, words = _ask_with(stage, spec, old)
    facts = replace(facts, seen=f"With the old key: HTTP {status}: {words}")
    if status < 400:
        facts = facts.with_problem("the old key was not refused")
    return _undisturbed(stage, facts, asking)


def let_key_expire(stage: Stage) -> DrillFacts:
    """A TorchServe whose keys live for seconds instead of an hour, and clients that were idle."""
    facts = DrillFacts(
        name="key-expired",
        server=stage.labels["torchserve"],
        done=f"A TorchServe whose keys live {KEY_LIFE_MINUTES * 60:.0f} s was left alone until they "
        "had run out; then asked with the old key, and by clients from before.",
        should="The old key is refused; our clients renew it and get right answers.",
    )
    folder = stage.home / "keys"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SHORT_LIVED_KEYS)
    server = ContainerServer(_with_short_keys(stage, folder), stage.records)
    asking = Asking(stage.space, [server.spec], stage.rows(), stage.expected())
    try:
        server.start()
        server.wait_ready()
        key = _keys(server.spec)["inference"]
        asking.ask_in_turn()
        _wait_until_expired(key)
        status, words = _ask_with(stage, server.spec, key)
        asking.ask_in_turn()
    finally:
        asking.close()
        server.stop()
    facts = replace(facts, seen=f"With the old key: HTTP {status}: {words}")
    if status < 400:
        facts = facts.with_problem("the expired key was not refused")
    return _undisturbed(stage, facts, asking)


def cut_weights_in_half(archive: Path, number: int) -> None:
    """A whole .mar of that version whose model file is not whole."""
    with zipfile.ZipFile(archive) as source:
        files = {entry.filename: source.read(entry) for entry in source.infolist()}
    stated = json.loads(files[MANIFEST])
    stated["model"]["modelVersion"] = str(number)  # what TorchServe registers it as
    weights = stated["model"]["serializedFile"]
    files[MANIFEST] = json.dumps(stated).encode()
    files[weights] = files[weights][: len(files[weights]) // 2]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for name, held in files.items():
            target.writestr(name, held)


def _undisturbed(stage: Stage, facts: DrillFacts, asking: Asking) -> DrillFacts:
    """The facts with the clients' counts; where nothing may fail, a failure is a problem."""
    facts = replace(
        facts,
        asked=asking.asked,
        failed=asking.failed,
        wrong=asking.wrong,
        orphans=stage.orphans(),
        problems=(*facts.problems, *asking.problems),
    )
    if asking.failed:
        return facts.with_problem(f"requests failed: {asking.first_failures()}")
    return facts


def _wait_for_refusal(rollout: TfServingRollout, number: int) -> str:
    """What the server says of a version that it cannot load.

    Raises:
        ServerNotReady: it says nothing before the deadline.
    """
    deadline = time.monotonic() + REFUSAL_SECONDS
    while time.monotonic() < deadline:
        state, error = rollout.states().get(number, ("", ""))
        if error:
            return f"{state}: {error}"
        time.sleep(POLL_SECONDS)
    raise ServerNotReady(f"{rollout.label} does not say that it cannot load version {number}.")


def _register(spec: ServerSpec, tokens: Tokens, archive: str) -> httpx.Response:
    query = {"url": archive, "initial_workers": "1", "synchronous": "true"}
    with httpx.Client(timeout=REFUSAL_SECONDS, trust_env=False) as http:
        return http.post(
            f"{spec.url('management')}/models", params=query, headers=tokens.headers("management")
        )


def _tokens(spec: ServerSpec) -> Tokens:
    return Tokens(spec.workdir, spec.url("management"), container=spec.container)


def _keys(spec: ServerSpec) -> dict[str, Key]:
    """The keys that TorchServe has now."""
    return read_keys(read_file(spec.container, f"{CONTAINER_HOME}/{KEY_FILE}"))


def _renew(spec: ServerSpec) -> None:
    headers = {"Authorization": f"Bearer {_keys(spec)['API'].token}"}
    with httpx.Client(timeout=REQUEST_SECONDS, trust_env=False) as http:
        http.get(
            f"{spec.url('management')}/token", params={"type": "inference"}, headers=headers
        ).raise_for_status()


def _ask_with(stage: Stage, spec: ServerSpec, key: Key) -> tuple[int, str]:
    """What somebody who kept a key is told, as with a pasted ``curl`` line."""
    headers = {"Authorization": f"Bearer {key.token}", "Content-Type": "application/json"}
    row = {name: held[:1] for name, held in stage.rows().items()}
    with httpx.Client(timeout=REQUEST_SECONDS, trust_env=False) as http:
        answer = http.post(
            f"{spec.url('rest')}/predictions/{stage.space.case.name}",
            content=encode_rows(row),
            headers=headers,
        )
    return answer.status_code, answer.text.strip()


def _with_short_keys(stage: Stage, folder: Path) -> ServerSpec:
    """The image as it is, with the setting that TorchServe has for the life of its keys."""
    pair = stage.server("torchserve").spec
    assert pair.contained is not None
    spec = torchserve_container_spec(
        stage.space.case.name,
        model_store(stage.pair().home),
        stage.home / "keys" / "server",
        pair.contained.image,
        pair.label,
    )
    assert spec.contained is not None
    contained = replace(
        spec.contained,
        mounts={**spec.contained.mounts, "/drill": folder},
        environment={**spec.contained.environment, "PYTHONPATH": "/drill"},
    )
    return replace(spec, contained=contained)


def _wait_until_expired(key: Key) -> None:
    """
    Raises:
        ServerNotReady: it lives too long to be waited for, so the setting has not arrived.
    """
    left = (key.expires or datetime.max.replace(tzinfo=UTC)) - datetime.now(UTC)
    if left > timedelta(minutes=KEY_LIFE_MINUTES):
        raise ServerNotReady(f"The key lives {left} more: TorchServe did not take {SETTING}.")
    time.sleep(max(0.0, left.total_seconds()) + 1.0)
