"""New versions are taken up and old ones let go while clients ask: real servers, real requests."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.messages import (
    GetModelStatusRequest,
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
)
from serving.tfserving.repository import publish
from serving.tfserving.tensor_proto import from_proto, to_proto

pytestmark = pytest.mark.servers

MODEL = "digits"
DEADLINE_SECONDS = 60
Reference = dict[str, np.ndarray]
Published = Callable[[int], Path]


@pytest.fixture
def repository(saved_model: Path, tmp_path: Path) -> Path:
    publish(saved_model, tmp_path / "repository", 1)
    return tmp_path / "repository"


@pytest.fixture
def put(repository: Path, saved_model: Path, second_saved_model: Path) -> Published:
    """Publishes a version; the odd ones are one model, the even ones the other."""
    return lambda version: publish(
        saved_model if version % 2 else second_saved_model, repository, version
    )


@pytest.fixture
def put_broken(repository: Path, second_saved_model: Path, tmp_path: Path) -> Published:
    """Publishes a version whose variables are cut short."""

    def put(version: int) -> Path:
        torn = tmp_path / "torn"
        shutil.copytree(second_saved_model, torn, dirs_exist_ok=True)
        data = torn / "variables" / "variables.data-00000-of-00001"
        data.write_bytes(data.read_bytes()[:100])
        return publish(torn, repository, version)

    return put


Start = Callable[..., ProcessServer]


@pytest.fixture
def start(
    repository: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[Start]:
    """Starts a server with flags behind the usual ones, and waits until it can be asked."""
    started: list[ProcessServer] = []

    def start(*flags: str) -> ProcessServer:
        spec = embedded_spec(MODEL, repository, tmp_path / f"work{len(started)}")
        server = ProcessServer(replace(spec, command=(*spec.command, *flags)))
        started.append(server)
        server.start()
        server.wait_ready(DEADLINE_SECONDS)
        return server

    yield start
    for server in started:
        server.stop()


def states(server: ProcessServer) -> dict[int, str]:
    answer = httpx.get(f"{server.spec.url('rest')}/v1/models/{MODEL}", trust_env=False).json()
    return {int(each["version"]): each["state"] for each in answer["model_version_status"]}


def wait_for(server: ProcessServer, wanted: dict[int, str]) -> None:
    """Until the states of these versions are as wanted."""
    end = time.monotonic() + DEADLINE_SECONDS
    while not wanted.items() <= (seen := states(server)).items():
        assert time.monotonic() < end, f"{seen}\n{server.log_tail()}"
        time.sleep(0.02)


@dataclass
class Answers:
    """What clients were told, by what they asked: the version whose answer it was, or the refusal."""

    models: dict[int, np.ndarray]
    seen: Counter[tuple[str, object]] = field(default_factory=Counter)

    def add(self, asked: str, logits: np.ndarray) -> None:
        fitting = [
            version
            for version, model in self.models.items()
            if np.allclose(logits, np.resize(model, logits.shape), atol=1e-4)
        ]
        self.seen[asked, fitting[0] if len(fitting) == 1 else f"wrong: {logits[:1]}"] += 1

    def of(self, asked: str) -> set[object]:
        return {answer for question, answer in self.seen if question == asked}


@pytest.fixture
def answers(reference: Reference, second_reference: Reference) -> Answers:
    found = {1: reference["logits"], 2: second_reference["logits"]}
    assert not np.allclose(found[1], found[2], atol=0.1), "the two models must differ"
    return Answers(found)


def ask_rest(
    server: ProcessServer, answers: Answers, image: np.ndarray, stop: threading.Event
) -> None:
    """Asks for the newest version, for 1 and for 2 in turn, over one connection."""
    body = {"instances": [{"image": row} for row in image.tolist()]}
    with httpx.Client(base_url=server.spec.url("rest"), trust_env=False) as http:
        while not stop.is_set():
            for part in ("", "/versions/1", "/versions/2"):
                told = http.post(f"/v1/models/{MODEL}{part}:predict", json=body, timeout=30)
                if told.status_code == 200:
                    rows = told.json()["predictions"]
                    answers.add(f"REST{part}", np.array([row["logits"] for row in rows]))
                else:
                    answers.seen[f"REST{part}", f"{told.status_code} {told.json()['error']}"] += 1


def ask_grpc(
    server: ProcessServer, answers: Answers, image: np.ndarray, stop: threading.Event
) -> None:
    """Asks for the newest version; its number stands in the answer."""
    request = PredictRequest()
    request.model_spec.name = MODEL
    request.inputs["image"].CopyFrom(to_proto(image, as_content=True))
    with grpc.insecure_channel(server.spec.address("grpc")) as channel:
        while not stop.is_set():
            try:
                told = PredictionServiceStub(channel).Predict(request, timeout=30)
            except grpc.RpcError as error:
                answers.seen["gRPC", str(error)] += 1
                continue
            logits = from_proto(told.outputs["logits"])
            answers.add("gRPC", logits)
            answers.add(f"gRPC said {told.model_spec.version.value}", logits)


@contextmanager
def asking(server: ProcessServer, answers: Answers, image: np.ndarray) -> Iterator[None]:
    """Clients of both protocols, with small requests and with large ones, all the time."""
    stop = threading.Event()
    large = np.tile(image, (40, 1, 1, 1))
    with ThreadPoolExecutor(4) as clients:
        asked: list[Future[None]] = [
            clients.submit(ask, server, answers, rows, stop)
            for ask, rows in (
                (ask_rest, image),
                (ask_grpc, image),
                (ask_grpc, image),
                (ask_grpc, large),
            )
        ]
        try:
            yield
        finally:
            stop.set()
        for client in asked:
            client.result()


def count(answers: Answers, asked: str, answer: object) -> int:
    return answers.seen[asked, answer]


def wait_for_answers(answers: Answers, version: int) -> None:
    """Until both protocols have answered from this version some more."""
    before = {asked: count(answers, asked, version) for asked in ("REST", "gRPC")}
    end = time.monotonic() + DEADLINE_SECONDS
    while any(count(answers, asked, version) < number + 5 for asked, number in before.items()):
        assert time.monotonic() < end, answers.seen
        time.sleep(0.02)


def test_no_request_fails_or_is_answered_wrongly_while_versions_change(
    start: Start, put: Published, answers: Answers, reference: Reference
) -> None:
    server = start()
    with asking(server, answers, reference["image"]):
        wait_for_answers(answers, 1)
        folder = put(2)
        wait_for(server, {1: "END", 2: "AVAILABLE"})
        wait_for_answers(answers, 2)
        shutil.rmtree(folder)
        wait_for(server, {1: "AVAILABLE", 2: "END"})
        wait_for_answers(answers, 1)
        put(2)
        wait_for(server, {1: "END", 2: "AVAILABLE"})
        wait_for_answers(answers, 2)

    assert answers.of("REST") == {1, 2}
    assert answers.of("gRPC") == {1, 2}
    assert answers.of("gRPC said 1") == {1}
    assert answers.of("gRPC said 2") == {2}
    for version in (1, 2):  # asked by its number: its own answer, or that it is not there
        told = answers.of(f"REST/versions/{version}")
        missing = f"Servable not found for request: Specific({MODEL}, {version})"
        assert told == {version, f"404 {missing}"}
    assert not any(isinstance(answer, str) and "wrong" in answer for _, answer in answers.seen)


def test_the_log_tells_the_steps_in_order(start: Start, put: Published) -> None:
    """The new one answers before the old one is let go."""
    server = start()
    put(2)
    wait_for(server, {1: "END", 2: "AVAILABLE"})
    steps = [
        line.partition(" INFO ")[2]
        for line in server.log_path.read_text().splitlines()
        if "servable version" in line
    ]
    assert steps == [
        f"Loading servable version {{name: {MODEL} version: 1}}",
        f"Successfully loaded servable version {{name: {MODEL} version: 1}}",
        f"Loading servable version {{name: {MODEL} version: 2}}",
        f"Successfully loaded servable version {{name: {MODEL} version: 2}}",
        f"Quiescing servable version {{name: {MODEL} version: 1}}",
        f"Done unloading servable version {{name: {MODEL} version: 1}}",
    ]


def test_a_broken_version_leaves_the_good_one(
    start: Start, put: Published, put_broken: Published, answers: Answers, reference: Reference
) -> None:
    server = start()
    with asking(server, answers, reference["image"]):
        put_broken(4)
        wait_for(server, {1: "AVAILABLE", 4: "END"})
        wait_for_answers(answers, 1)
        put(6)
        wait_for(server, {1: "END", 4: "END", 6: "AVAILABLE"})
        wait_for_answers(answers, 2)
    assert answers.of("REST") == answers.of("gRPC") == {1, 2}
    assert "version 4 is END" in server.spec.probe().seen

    with grpc.insecure_channel(server.spec.address("grpc")) as channel:
        request = GetModelStatusRequest()
        request.model_spec.name = MODEL
        found = ModelServiceStub(channel).GetModelStatus(request, timeout=10).model_version_status
    assert [each.version for each in found] == [6, 4, 1]
    assert [each.state for each in found] == [30, 50, 50]
    assert [each.status.error_code != 0 for each in found] == [False, True, False]
    assert "repository/4" in found[1].status.error_message
    assert "Traceback" not in server.log_tail(200)


def test_a_version_is_tried_again_as_often_as_the_flags_say(
    start: Start, put_broken: Published
) -> None:
    server = start("--max_num_load_retries=2", "--load_retry_interval_micros=1000")
    put_broken(2)
    wait_for(server, {1: "AVAILABLE", 2: "END"})
    assert server.log_tail(200).count("Loading servable: {name: digits version: 2} failed") == 3


def test_a_version_that_is_put_right_between_attempts_is_served(
    start: Start, put: Published, put_broken: Published
) -> None:
    server = start("--max_num_load_retries=100", "--load_retry_interval_micros=100000")
    put_broken(2)
    wait_for(server, {1: "AVAILABLE", 2: "LOADING"})
    put(2)  # replaces the folder
    wait_for(server, {1: "END", 2: "AVAILABLE"})


def test_a_broken_version_that_is_taken_back_holds_nothing_up(
    start: Start, put: Published, put_broken: Published
) -> None:
    server = start("--max_num_load_retries=5", "--load_retry_interval_micros=600000000")
    folder = put_broken(2)
    wait_for(server, {1: "AVAILABLE", 2: "LOADING"})
    shutil.rmtree(folder)
    wait_for(server, {1: "AVAILABLE", 2: "END"})
    put_broken(2)
    put(4)
    wait_for(server, {1: "END", 4: "AVAILABLE"})


def test_sigterm_does_not_wait_for_the_next_attempt(start: Start, put_broken: Published) -> None:
    server = start("--max_num_load_retries=5", "--load_retry_interval_micros=600000000")
    put_broken(2)
    wait_for(server, {1: "AVAILABLE", 2: "LOADING"})
    process = psutil.Process(server.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=DEADLINE_SECONDS) == 0


def copy_with_a_pipe(saved_model: Path, target: Path) -> Path:
    """A copy whose weights come out of a pipe, which is returned: it is loaded for as long as nobody writes."""
    shutil.copytree(saved_model, target)
    data = target / "variables" / "variables.data-00000-of-00001"
    data.unlink()
    os.mkfifo(data)
    return data


def test_a_load_that_hangs_neither_stops_the_answers_nor_the_end(
    start: Start,
    repository: Path,
    second_saved_model: Path,
    tmp_path: Path,
    answers: Answers,
    reference: Reference,
) -> None:
    """A pipe that nobody writes to stands for a file system that does not answer."""
    server = start()
    hanging = tmp_path / "hanging"
    copy_with_a_pipe(second_saved_model, hanging)
    publish(hanging, repository, 2)
    wait_for(server, {1: "AVAILABLE", 2: "LOADING"})
    with asking(server, answers, reference["image"]):
        wait_for_answers(answers, 1)
    assert answers.of("REST") == answers.of("gRPC") == {1}
    process = psutil.Process(server.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=DEADLINE_SECONDS) == 0
    assert "it is given up" in server.log_tail()


def test_a_folder_that_is_filled_file_by_file(
    start: Start,
    repository: Path,
    second_saved_model: Path,
    answers: Answers,
    reference: Reference,
) -> None:
    """The old version answers until the new one is whole; each piece is there for some attempts."""
    server = start("--max_num_load_retries=100000", "--load_retry_interval_micros=10000")
    folder = repository / "2"
    folder.mkdir()
    with asking(server, answers, reference["image"]):
        wait_for(server, {1: "AVAILABLE", 2: "LOADING"})
        for name in (
            "variables/variables.index",
            "variables/variables.data-00000-of-00001",
            "saved_model.pb",
        ):
            whole = (second_saved_model / name).read_bytes()
            (folder / name).parent.mkdir(exist_ok=True)
            for size in (0, 1, len(whole) // 2, len(whole) - 1, len(whole)):
                wait_for_attempts(server, 2)
                wait_for_answers(answers, 1)
                (folder / name).write_bytes(whole[:size])
        wait_for(server, {1: "END", 2: "AVAILABLE"})
        wait_for_answers(answers, 2)
    assert answers.of("REST") == answers.of("gRPC") == {1, 2}


def wait_for_attempts(server: ProcessServer, number: int) -> None:
    """Until so many more attempts to load version 2 have failed."""

    def failed() -> int:
        return server.log_path.read_text().count(
            "Loading servable: {name: digits version: 2} failed"
        )

    before, end = failed(), time.monotonic() + DEADLINE_SECONDS
    while failed() < before + number:
        assert time.monotonic() < end, server.log_tail()
        time.sleep(0.02)


def test_a_folder_that_is_deleted_while_it_is_loaded(
    start: Start,
    put: Published,
    repository: Path,
    second_saved_model: Path,
    tmp_path: Path,
    answers: Answers,
    reference: Reference,
) -> None:
    """A pipe holds the reading up; what comes out of it when the folder is gone is no weights."""
    server = start()
    slow = tmp_path / "slow"
    data = copy_with_a_pipe(second_saved_model, slow)
    folder = publish(slow, repository, 2)
    wait_for(server, {1: "AVAILABLE", 2: "LOADING"})
    with asking(server, answers, reference["image"]):
        wait_for_answers(answers, 1)
        shutil.rmtree(folder)
        with suppress(BrokenPipeError):  # the server has opened it, and may already be done with it
            data.write_bytes(b"no weights")
        wait_for(server, {1: "AVAILABLE", 2: "END"})
        wait_for_answers(answers, 1)
        put(4)
        wait_for(server, {1: "END", 4: "AVAILABLE"})
        wait_for_answers(answers, 2)  # both protocols have asked since
    assert answers.of("REST") == answers.of("gRPC") == {1, 2}


def test_a_base_path_that_vanishes_changes_nothing(
    start: Start, put: Published, repository: Path
) -> None:
    server = start()
    away = repository.with_name("away")
    repository.rename(away)
    end = time.monotonic() + DEADLINE_SECONDS
    while "Could not find base path" not in server.log_tail():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert states(server) == {1: "AVAILABLE"}
    away.rename(repository)
    put(2)
    wait_for(server, {1: "END", 2: "AVAILABLE"})


def test_the_last_version_can_be_taken_away(start: Start, put: Published, repository: Path) -> None:
    """As in TF Serving, whose policy then unloads what is no longer there."""
    server = start()
    shutil.rmtree(repository / "1")
    wait_for(server, {1: "END"})
    told = httpx.post(
        f"{server.spec.url('rest')}/v1/models/{MODEL}:predict", json={}, trust_env=False
    )
    assert (told.status_code, told.json()["error"]) == (
        404,
        f"Servable not found for request: Latest({MODEL})",
    )
    put(2)
    wait_for(server, {2: "AVAILABLE"})


def test_with_zero_the_folder_is_looked_at_once(start: Start, put: Published) -> None:
    watching = start()
    once = start("--file_system_poll_wait_seconds=0")
    put(2)
    wait_for(watching, {2: "AVAILABLE"})
    put(4)
    wait_for(watching, {2: "END", 4: "AVAILABLE"})
    assert states(once) == {1: "AVAILABLE"}


def test_memory_of_old_versions_is_given_back(start: Start, put: Published) -> None:
    """Twelve versions one after another; each holds a graph and a session."""
    server = start()
    put(2)
    wait_for(server, {1: "END", 2: "AVAILABLE"})
    before = server.resident_bytes()
    for version in range(3, 13):
        put(version)
        wait_for(server, {version - 1: "END", version: "AVAILABLE"})
    assert server.resident_bytes() < before + 64 * 2**20
