"""Many models from a configuration: policies, labels, other configurations while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pytest
from google.protobuf import text_format

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.messages import (
    GetModelStatusRequest,
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
    ReloadConfigRequest,
)
from serving.tfserving.tensor_proto import to_proto

pytestmark = pytest.mark.servers

DEADLINE_SECONDS = 60
Reference = dict[str, np.ndarray]
Wait = Callable[[Callable[[], bool]], None]


class Store:
    """Base paths with versions; the odd ones are one model, the even ones the other."""

    def __init__(self, folder: Path, odd: Path, even: Path) -> None:
        self.folder = folder
        self._models = (even, odd)

    def put(self, name: str, *versions: int) -> str:
        """Make versions; returns the model's entry for a configuration."""
        for version in versions:
            shutil.copytree(self._models[version % 2], self.folder / name / str(version))
        return self.entry(name)

    def entry(self, name: str, more: str = 'model_platform: "tensorflow"') -> str:
        return f'config {{ name: "{name}" base_path: "{self.folder / name}" {more} }}'


@pytest.fixture
def store(tmp_path: Path, saved_model: Path, second_saved_model: Path) -> Store:
    return Store(tmp_path / "store", saved_model, second_saved_model)


def listed(*entries: str) -> str:
    return f"model_config_list {{ {' '.join(entries)} }}"


class Configured:
    """A server on a configuration file, and questions to it."""

    def __init__(self, spec: ServerSpec, path: Path) -> None:
        self.server = ProcessServer(spec)
        self.path = path
        self.server.start()
        self._http = httpx.Client(base_url=spec.url("rest"), trust_env=False, timeout=30)
        self._channel = grpc.insecure_channel(spec.address("grpc"))

    def close(self) -> None:
        self._http.close()
        self._channel.close()
        self.server.stop()

    def is_open(self) -> bool:
        assert self.server.is_alive(), self.server.log_tail()
        try:
            self._http.get("/v1/models/digits")
        except httpx.ConnectError:
            return False
        return True

    def write(self, text: str) -> None:
        other = self.path.with_suffix(".new")
        other.write_text(text)
        other.replace(self.path)

    def states(self, name: str) -> dict[int, str]:
        told = self._http.get(f"/v1/models/{name}").json()
        return {
            int(each["version"]): each["state"] for each in told.get("model_version_status", [])
        }

    def reload(self, text: str, timeout: float = DEADLINE_SECONDS) -> Any:
        request = ReloadConfigRequest()
        text_format.Parse(text, request.config)
        return self.send(request, timeout)

    def send(self, request: Any, timeout: float = DEADLINE_SECONDS) -> Any:
        return ModelServiceStub(self._channel).HandleReloadConfigRequest(request, timeout=timeout)

    def refused(self, text: str) -> str:
        """How a configuration is refused: the code's name and the message."""
        with pytest.raises(grpc.RpcError) as failed:
            self.reload(text)
        return f"{failed.value.code().name}: {failed.value.details()}"

    def answer(self, name: str, image: np.ndarray, **spec: Any) -> tuple[int, np.ndarray]:
        """Over gRPC: the version that answered, and its logits."""
        request = PredictRequest()
        request.model_spec.name = name
        if "label" in spec:
            request.model_spec.version_label = spec["label"]
        request.inputs["image"].CopyFrom(to_proto(image, as_content=False))
        told = PredictionServiceStub(self._channel).Predict(request, timeout=30)
        logits = np.array(told.outputs["logits"].float_val).reshape(len(image), 10)
        return told.model_spec.version.value, logits

    def rest_answer(self, part: str, image: np.ndarray) -> tuple[int, Any]:
        """Over REST: the status, and the logits or the error."""
        body = {"instances": [{"image": row} for row in image.tolist()]}
        told = self._http.post(f"/v1/models/{part}:predict", json=body)
        if told.status_code != 200:
            return told.status_code, told.json()["error"]
        return 200, np.array([row["logits"] for row in told.json()["predictions"]])


Start = Callable[..., Configured]


@pytest.fixture
def start(
    tmp_path: Path, embedded_spec: Callable[..., ServerSpec], wait_until: Wait
) -> Iterator[Start]:
    """Starts a server on a configuration, and waits until its ports are open."""
    started: list[Configured] = []

    def start(text: str, *flags: str) -> Configured:
        path = tmp_path / "models.config"
        path.write_text(text)
        spec = embedded_spec("digits", tmp_path / "unused", tmp_path / "work")
        command = (*spec.command, f"--model_config_file={path}", *flags)
        found = Configured(replace(spec, command=command), path)
        started.append(found)
        wait_until(found.is_open)
        return found

    yield start
    for each in started:
        each.close()


def test_policies_and_labels(
    start: Start, store: Store, reference: Reference, second_reference: Reference
) -> None:
    """A label may name a version that is not served: with the flag, and then the label is refused."""
    for name in ("latest", "two", "all", "specific"):
        store.put(name, 1, 2, 3)
    tensorflow = 'model_platform: "tensorflow" '
    two = "model_version_policy { latest { num_versions: 2 } }"
    labels = (
        'version_labels { key: "stable" value: 2 } version_labels { key: "canary" value: 3 } '
        'version_labels { key: "gone" value: 1 }'
    )
    running = start(
        listed(
            store.entry("latest"),
            store.entry("two", tensorflow + two + labels),
            store.entry("all", tensorflow + "model_version_policy { all {} }"),
            store.entry(
                "specific",
                tensorflow + "model_version_policy { specific { versions: 1 versions: 2 } }",
            ),
        ),
        "--allow_version_labels_for_unavailable_models",
    )
    assert running.states("latest") == {3: "AVAILABLE"}
    assert 3 in running.states("two")
    image = reference["image"]
    wanted = {"latest": {3}, "two": {2, 3}, "all": {1, 2, 3}, "specific": {1, 2}}
    for name, versions in wanted.items():
        assert set(running.states(name)) == versions
        assert running.answer(name, image)[0] == max(versions)

    version, logits = running.answer("two", image, label="stable")
    assert version == 2
    np.testing.assert_allclose(logits, second_reference["logits"], atol=1e-5)
    status, logits = running.rest_answer("two/labels/canary", image)
    assert status == 200
    np.testing.assert_allclose(logits, reference["logits"], atol=1e-5)
    assert running.rest_answer("two/labels/gone", image) == (
        404,
        "Servable not found for request: Specific(two, 1)",
    )
    assert running.rest_answer("two/labels/none", image) == (
        400,
        "Unrecognized servable version label: none",
    )
    assert running.rest_answer("all/labels/stable", image)[0] == 400


def test_other_configurations_over_grpc(
    start: Start, store: Store, reference: Reference, wait_until: Wait
) -> None:
    digits, other = store.put("digits", 1, 2), store.put("other", 4)
    running = start(listed(digits))

    told = running.reload(listed(digits, other))  # answers when the new model can be asked
    assert told.HasField("status")
    assert told.status.error_code == 0
    assert running.states("other") == {4: "AVAILABLE"}

    both = 'model_platform: "tensorflow" model_version_policy { all {} } '
    running.reload(listed(store.entry("digits", both), other))
    wait_until(lambda: running.states("digits") == {1: "AVAILABLE", 2: "AVAILABLE"})

    label = 'version_labels { key: "stable" value: %d } '
    running.reload(listed(store.entry("digits", both + label % 1), other))
    assert running.answer("digits", reference["image"], label="stable")[0] == 1
    running.reload(listed(store.entry("digits", both + label % 2), other))
    assert running.answer("digits", reference["image"], label="stable")[0] == 2

    running.reload(listed(other))  # what is gone from the list is let go
    wait_until(lambda: running.states("digits") == {1: "END", 2: "END"})
    assert running.rest_answer("digits", reference["image"]) == (
        404,
        "Servable not found for request: Latest(digits)",
    )
    assert running.states("other") == {4: "AVAILABLE"}
    running.reload(listed(digits, other))
    assert running.states("digits") == {1: "END", 2: "AVAILABLE"}


def test_refused_configurations_change_nothing(
    start: Start, store: Store, reference: Reference
) -> None:
    digits = store.put("digits", 1)
    running = start(listed(digits))
    platform = 'model_platform: "tensorflow" '
    label = platform + 'version_labels { key: "stable" value: 7 }'
    assert [
        running.refused(text)
        for text in (
            "",
            listed(digits, digits),
            listed('config { name: "digits" base_path: "digits" model_platform: "tensorflow" }'),
            listed('config { name: "digits" model_platform: "tensorflow" }'),
            listed(store.entry("digits", 'model_platform: "caffe"')),
            listed(digits, store.entry("b", 'model_platform: "caffe"')),
            listed(digits, store.entry("b", "")),
            listed(digits, store.entry("b", platform + "model_type: TENSORFLOW")),
            listed(digits, store.entry("b", "model_type: OTHER")),
            listed(store.entry("digits", label)),
        )
    ] == [
        "INVALID_ARGUMENT: ServerModelConfig type not supported by HandleReloadConfigRequest. "
        "Only ModelConfigList is currently supported",
        "INVALID_ARGUMENT: Illegal to list model digits multiple times in config list",
        "INVALID_ARGUMENT: Expected model digits to have an absolute path or URI; "
        "got base_path()=digits",
        "INVALID_ARGUMENT: Expected model digits to have an absolute path or URI; got base_path()=",
        "INVALID_ARGUMENT: Illegal to change a model's platform. For model digits platform was "
        "tensorflow and new platform requested is caffe",
        "INVALID_ARGUMENT: Model b requests unsupported platform caffe",
        "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig::model_type (deprecated) "
        "nor ModelServerConfig::model_platform, model name is b",
        "INVALID_ARGUMENT: Illegal setting both ModelServerConfig::model_type (deprecated) "
        "and ModelServerConfig::model_platform, model name is b",
        "INVALID_ARGUMENT: ModelServerConfig::model_type choice 2 not supported.",
        "FAILED_PRECONDITION: Request to assign label to version 7 of model digits, "
        "which is not currently available for inference",
    ]
    assert running.answer("digits", reference["image"])[0] == 1
    assert running.states("b") == {}


def test_a_new_model_that_cannot_be_loaded(start: Start, store: Store) -> None:
    """The answer says so; the others are served, and the model is once it can be."""
    digits, torn = store.put("digits", 1), store.put("torn", 1)
    data = store.folder / "torn/1/saved_model.pb"
    data.write_bytes(data.read_bytes()[:100])
    running = start(listed(digits), "--max_num_load_retries=0")
    said = running.refused(listed(digits, torn))
    assert said.startswith(
        "UNKNOWN: 1 model(s) did not become available: {{{name: torn version: 1} due to error: "
    )
    assert said.endswith("}, }")
    assert running.states("digits") == {1: "AVAILABLE"}
    store.put("torn", 2)
    running.reload(listed(digits, torn))
    running.server.wait_ready(DEADLINE_SECONDS)


def test_a_client_that_waits_no_longer_holds_up_no_other(
    start: Start, store: Store, reference: Reference
) -> None:
    """A model whose base path is not there is waited for; meanwhile there may be other requests."""
    digits = store.put("digits", 1)
    running = start(listed(digits))
    with pytest.raises(grpc.RpcError) as late:
        running.reload(listed(digits, store.entry("later")), timeout=1)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    running.reload(listed(digits, store.put("other", 2)))
    assert running.answer("other", reference["image"])[0] == 2


def test_the_file_is_looked_at_again_and_again(
    start: Start, store: Store, wait_until: Wait
) -> None:
    digits, other = store.put("digits", 1), store.put("other", 2)
    running = start(listed(digits), "--model_config_file_poll_wait_seconds=1")
    running.write("model_config_list { config { nonsense: 1 } }")
    wait_until(lambda: "Failed to read ModelServerConfig file" in running.server.log_tail())
    running.write(listed(other, other))
    wait_until(lambda: "failed to ReloadConfig: Illegal to list" in running.server.log_tail())
    running.write("# nothing is left")
    wait_until(lambda: "Cannot transition to requested config." in running.server.log_tail())
    assert running.states("digits") == {1: "AVAILABLE"}
    running.write(listed(other))
    wait_until(lambda: running.states("other") == {2: "AVAILABLE"})
    wait_until(lambda: running.states("digits") == {1: "END"})


def test_without_the_flag_the_file_is_read_once(
    start: Start, store: Store, reference: Reference
) -> None:
    digits = store.put("digits", 1)
    running = start(listed(digits))
    running.write(listed(store.put("other", 2)))
    running.reload(listed(digits, store.put("third", 3)))  # a step that takes some time
    assert running.states("other") == {}
    assert running.answer("digits", reference["image"])[0] == 1


def test_a_server_without_models_waits_for_some(start: Start, store: Store) -> None:
    running = start("# nothing yet")
    assert "Taking no action for empty config." in running.server.log_tail()
    running.reload(listed(store.put("digits", 1)))
    assert running.states("digits") == {1: "AVAILABLE"}


def test_what_has_no_meaning_is_said_once(start: Start, store: Store, wait_until: Wait) -> None:
    store.put("digits", 1)
    entry = store.entry("digits", 'model_platform: "tensorflow" logging_config {}')
    running = start(
        listed(entry),
        "--mixed_precision=bfloat16",
        "--model_config_file_poll_wait_seconds=1",
    )
    running.reload(listed(entry))
    said = running.server.log_tail(200)
    assert said.count("logging_config has no meaning here") == 1
    assert said.count("--mixed_precision has no meaning here") == 1


def test_the_answer_says_by_how_much_counters_have_grown(start: Start, store: Store) -> None:
    """Of a counter with labels the first in their order counts, as there."""
    digits, first = store.put("digits", 1), store.put("a", 2)
    running = start(listed(digits))
    request = ReloadConfigRequest()
    loads = "/tensorflow/cc/saved_model/load_latency"
    request.metric_names.extend([loads, "/no/such/metric"])
    text_format.Parse(listed(digits, first), request.config)
    grown = {each.name: each.int64_value_increase for each in running.send(request).metric}
    assert grown["/no/such/metric"] == 0
    assert grown[loads] != 0
    assert [each.int64_value_increase for each in running.send(request).metric] == [0, 0]


def test_a_unix_socket_and_channel_arguments(
    start: Start, store: Store, reference: Reference, tmp_path: Path
) -> None:
    """The arguments are those of TF Serving's own test; one alone shows that they arrive."""
    running = start(
        listed(store.put("digits", 1)),
        "--grpc_socket_path=grpc.sock",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb,"
        "grpc.max_receive_message_length=2000",
    )
    [path] = running.server.log_path.parent.rglob("grpc.sock")
    with grpc.insecure_channel(f"unix:{path}") as channel:
        request = PredictRequest()
        request.model_spec.name = "digits"
        request.inputs["image"].CopyFrom(to_proto(reference["image"][:1], as_content=True))
        told = PredictionServiceStub(channel).Predict(request, timeout=30)
        assert told.model_spec.version.value == 1
        request.inputs["image"].CopyFrom(to_proto(reference["image"], as_content=True))
        with pytest.raises(grpc.RpcError) as large:
            PredictionServiceStub(channel).Predict(request, timeout=30)
    assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_socket_alone_is_enough(
    store: Store, tmp_path: Path, embedded_spec: Callable[..., ServerSpec], reference: Reference
) -> None:
    store.put("digits", 1)
    spec = embedded_spec("digits", store.folder / "digits", tmp_path / "work")
    path = tmp_path / "s"
    flags = ("--port=0", f"--grpc_socket_path={path}")
    server = ProcessServer(replace(spec, command=(*spec.command, *flags)))
    server.start()
    try:
        server.wait_ready(DEADLINE_SECONDS)
        with grpc.insecure_channel(f"unix:{path}") as channel:
            request = PredictRequest()
            request.model_spec.name = "digits"
            request.inputs["image"].CopyFrom(to_proto(reference["image"], as_content=True))
            assert PredictionServiceStub(channel).Predict(request, timeout=30).outputs
    finally:
        server.stop()


def test_one_port_for_both_leaves_grpc(
    store: Store, tmp_path: Path, embedded_spec: Callable[..., ServerSpec], wait_until: Wait
) -> None:
    store.put("digits", 1)
    spec = embedded_spec("digits", store.folder / "digits", tmp_path / "work")
    same = f"--rest_api_port={spec.ports['grpc']}"
    server = ProcessServer(replace(spec, command=(*spec.command, same)))
    server.start()
    try:
        wait_until(lambda: "Skipped exporting HTTP/REST API." in server.log_tail())
        with grpc.insecure_channel(spec.address("grpc")) as channel:
            request = GetModelStatusRequest()
            request.model_spec.name = "digits"
            told = ModelServiceStub(channel).GetModelStatus(request, timeout=30)
        assert [each.state for each in told.model_version_status] == [30]
    finally:
        server.stop()


def test_sigterm_ends_a_reload_that_waits(start: Start, store: Store) -> None:
    digits = store.put("digits", 1)
    running = start(listed(digits))
    with ThreadPoolExecutor(1) as client:
        waiting = client.submit(running.refused, listed(digits, store.entry("later")))
        while "Could not find base path" not in running.server.log_tail():
            assert not waiting.done()
        process = psutil.Process(running.server.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=DEADLINE_SECONDS) == 0
        assert waiting.result().split(":")[0] in ("UNAVAILABLE", "CANCELLED", "UNKNOWN")


def refusal(
    embedded_spec: Callable[..., ServerSpec], tmp_path: Path, *flags: str
) -> subprocess.CompletedProcess[str]:
    """The end of a server that cannot start."""
    spec = embedded_spec("digits", tmp_path / "unused", tmp_path / "work")
    done = subprocess.run(
        (*spec.command, *flags),
        env={**os.environ, **spec.environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 255
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "NOT_FOUND: {path}; No such file or directory"),
        ("", "INVALID_ARGUMENT: {path}; Invalid argument"),
        ("model_config_list { nonsense: 1 }", "INVALID_ARGUMENT: Invalid protobuf file: '{path}'"),
        (
            'model_config_list {{ config {{ name: "digits" base_path: "{store}/digits" '
            'model_platform: "tensorflow" version_labels {{ key: "a" value: 1 }} }} }}',
            "FAILED_PRECONDITION: Request to assign label to version 1 of model digits, which is "
            "not currently available for inference",
        ),
        (
            "custom_model_config {{}}",
            "UNIMPLEMENTED: ModelServer does not yet support custom model config.",
        ),
    ],
)
def test_a_file_that_cannot_be_served(
    embedded_spec: Callable[..., ServerSpec],
    tmp_path: Path,
    store: Store,
    text: str | None,
    words: str,
) -> None:
    path = tmp_path / "models.config"
    store.put("digits", 1)
    if text is not None:
        path.write_text(text.format(store=store.folder) if "{{" in text else text)
    done = refusal(embedded_spec, tmp_path, f"--model_config_file={path}")
    assert done.stdout == f"Failed to start server. Error: {words.format(path=path)}\n"
    if text and "nonsense" in text:  # TF Serving's own test looks for this on the standard error
        assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:21" in done.stderr


def test_two_models_that_cannot_be_loaded_are_both_named(
    embedded_spec: Callable[..., ServerSpec], tmp_path: Path, store: Store
) -> None:
    """Nothing is told of the one that can."""
    entries = [store.put("good", 1), store.put("a", 3), store.put("b", 5)]
    for folder in ("a/3", "b/5"):
        (store.folder / folder / "saved_model.pb").unlink()
    path = tmp_path / "models.config"
    path.write_text(listed(*entries))
    done = refusal(embedded_spec, tmp_path, f"--model_config_file={path}")
    missing = "NOT_FOUND: Could not find SavedModel .pb or .pbtxt at supplied export directory path"
    assert done.stdout == (
        "Failed to start server. Error: UNKNOWN: 2 servable(s) did not become available: "
        f"{{{{{{name: a version: 3}} due to error: {missing}: {store.folder}/a/3}}, "
        f"{{{{name: b version: 5}} due to error: {missing}: {store.folder}/b/5}}, }}\n"
    )


def test_alts_cannot_be_had_outside_google_s_cloud(
    embedded_spec: Callable[..., ServerSpec], tmp_path: Path, store: Store
) -> None:
    """gRPC itself says so, there as here."""
    path = tmp_path / "models.config"
    path.write_text(listed(store.put("digits", 1)))
    flags = (f"--model_config_file={path}", "--use_alts_credentials")
    done = refusal(embedded_spec, tmp_path, *flags)
    words = "INVALID_ARGUMENT: Failed to BuildAndStart gRPC server"
    assert done.stdout == f"Failed to start server. Error: {words}\n"
    assert "Using ALTS credentials" in done.stderr


def test_a_relative_base_path_is_refused(
    embedded_spec: Callable[..., ServerSpec], tmp_path: Path
) -> None:
    done = refusal(embedded_spec, tmp_path, "--model_base_path=models")
    assert done.stdout == (
        "Failed to start server. Error: INVALID_ARGUMENT: Expected model digits to have an "
        "absolute path or URI; got base_path()=models\n"
    )
