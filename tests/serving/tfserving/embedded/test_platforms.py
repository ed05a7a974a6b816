"""``--platform_config_file`` and ``--tensorflow_session_config_file``: how SavedModels are loaded."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serving.process import ProcessServer
from serving.server import ServerSpec
from serving.tfserving.embedded.options.flags import Flags, check_flags
from serving.tfserving.embedded.options.platform_messages import (
    ConfigProto,
    make_platform_message,
)
from serving.tfserving.embedded.options.platforms import BundleSettings, read_platforms
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.repository import publish

MODEL = "mirror"
SECONDS = 60
Start = Callable[..., ProcessServer]


def platform(settings: str, name: str = "tensorflow") -> str:
    """As its users write it."""
    adapter = "type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig"
    return (
        f'platform_configs {{ key: "{name}" value {{ source_adapter_config {{ '
        f"[{adapter}] {{ legacy_config {{ {settings} }} }} }} }} }}"
    )


def read(tmp_path: Path, text: str, **flags: object) -> BundleSettings:
    path = tmp_path / "platforms.config"
    path.write_text(text)
    found = read_platforms(Flags(platform_config_file=str(path), **flags))  # type: ignore[arg-type]
    assert list(found.settings) == ["tensorflow"]
    return found.settings["tensorflow"]


def test_what_is_not_in_the_file_has_the_message_s_default(tmp_path: Path) -> None:
    """Not the flag's: there, warming up is on."""
    assert read(tmp_path, platform("")) == BundleSettings()
    assert BundleSettings().warmup_iterations is None


@pytest.mark.parametrize(
    ("settings", "iterations"),
    [
        ("enable_model_warmup: true", 1),
        (
            "enable_model_warmup: true model_warmup_options { num_request_iterations { value: 3 } }",
            3,
        ),
        ("enable_model_warmup: true model_warmup_options { num_request_iterations { } }", 0),
        ("model_warmup_options { num_request_iterations { value: 3 } }", None),
    ],
)
def test_warming_up(tmp_path: Path, settings: str, iterations: int | None) -> None:
    assert read(tmp_path, platform(settings)).warmup_iterations == iterations


def test_batching_tags_and_threads(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        platform(
            "batching_parameters { max_batch_size { value: 8 } allowed_batch_sizes: [4, 8] } "
            'enable_per_model_batching_params: true saved_model_tags: "serve" '
            'saved_model_tags: "gpu" session_config { intra_op_parallelism_threads: 3 }'
        ),
    )
    assert found.batching is not None
    assert (found.batching.max_batch_size, found.batching.allowed_batch_sizes) == (8, (4, 8))
    assert found.batching.thread_pool_name == "batch_threads"
    assert (found.batching_per_model, found.tags) == (True, {"serve", "gpu"})
    session = ConfigProto.FromString(found.session_config)
    assert session.intra_op_parallelism_threads == 3


@pytest.mark.parametrize(
    ("settings", "pool"),
    [
        ("num_tflite_pools: 3", None),
        ("prefer_tflite_model: true", 0),
        ("prefer_tflite_model: true num_tflite_pools: 3", 3),
        ("prefer_tflite_model: true num_tflite_interpreters: 2", 2),
    ],
)
def test_tensorflow_lite(tmp_path: Path, settings: str, pool: int | None) -> None:
    assert read(tmp_path, platform(settings)).tflite_pool == pool


def test_one_wrapping_of_the_session_or_the_other(tmp_path: Path) -> None:
    settings = "batching_parameters { } wrap_session_with_no_threading_params: true"
    assert read(tmp_path, platform(settings)).batching is None


def test_flags_that_the_file_replaces_do_not_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {
        "enable_batching": True,
        "tensorflow_intra_op_parallelism": 2,
        "saved_model_tags": "other",
        "model_base_path": "/models",
    }
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, platform(""), **given)
    assert found == BundleSettings()
    assert sorted(record.getMessage().split()[0] for record in caplog.records) == [
        "--enable_batching",
        "--saved_model_tags",
        "--tensorflow_intra_op_parallelism",
    ]


def test_a_check_that_the_file_makes_idle_is_not_made() -> None:
    flags = {"model_base_path": "/models", "batching_parameters_file": "x"}
    check_flags(Flags(platform_config_file="y", **flags))  # type: ignore[arg-type]
    with pytest.raises(StatusError, match="without setting"):
        check_flags(Flags(**flags))  # type: ignore[arg-type]


def test_what_has_no_meaning_here_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(tmp_path, platform('session_target: "grpc://other" mixed_precision: "bfloat16"'))
    assert [record.getMessage() for record in caplog.records] == [
        f"--platform_config_file: {name} has no meaning here"
        for name in ("session_target", "mixed_precision")
    ]


def packed(type_url: str, value: bytes) -> str:
    message = make_platform_message("PlatformConfigMap")
    entry = message.platform_configs["tensorflow"].source_adapter_config
    entry.type_url, entry.value = type_url, value
    return str(message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense: 1", "INVALID_ARGUMENT: Invalid protobuf file: "),
        (platform("nonsense: 1"), "INVALID_ARGUMENT: Invalid protobuf file: "),
        (platform("").replace("SavedModel", "Other"), "INVALID_ARGUMENT: Invalid protobuf file: "),
        (
            'platform_configs { key: "tensorflow" }',
            "INVALID_ARGUMENT: Supplied config's type_url could not be parsed: ",
        ),
        (
            packed("a/tensorflow.serving.Nothing", b""),
            "INTERNAL: Unable to find compiled-in proto descriptor of type "
            "tensorflow.serving.Nothing",
        ),
        (
            packed("a/tensorflow.serving.SavedModelBundleSourceAdapterConfig", b"\xff"),
            "INVALID_ARGUMENT: Malformed content of Any: ",
        ),
        (
            packed("a/tensorflow.serving.BatchingParameters", b""),
            "INVALID_ARGUMENT: Couldn't find factory for config proto message type "
            "tensorflow.serving.BatchingParameters\nconfig=",
        ),
        (
            platform("batching_parameters { num_batch_threads { value: 0 } }"),
            "INVALID_ARGUMENT: num_batch_threads must be positive; was 0",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(words)


def test_a_message_in_bytes_is_read_too(tmp_path: Path) -> None:
    """What no text needs to know of: only its name is looked up."""
    adapter = make_platform_message("SavedModelBundleSourceAdapterConfig")
    adapter.legacy_config.enable_model_warmup = True
    text = packed(f"x/{adapter.DESCRIPTOR.full_name}", adapter.SerializeToString())
    assert read(tmp_path, text).warmup_iterations == 1


def test_threads_of_the_session_s_file_do_not_count(tmp_path: Path) -> None:
    """The flags' own do, even where they are 0: ``BuildAndStart`` writes them over it."""
    path = tmp_path / "session.config"
    path.write_text("intra_op_parallelism_threads: 3 operation_timeout_in_ms: 50")
    flags = Flags(tensorflow_session_config_file=str(path), tensorflow_inter_op_parallelism=2)
    session = ConfigProto.FromString(read_platforms(flags).settings["tensorflow"].session_config)
    assert (session.intra_op_parallelism_threads, session.inter_op_parallelism_threads) == (0, 2)
    assert session.operation_timeout_in_ms == 50


@pytest.fixture
def start(
    mirror: Path, tmp_path: Path, embedded_spec: Callable[..., ServerSpec]
) -> Iterator[Start]:
    """A server of a version whose recorded requests fail, with a text as the file of a flag."""
    running: list[ProcessServer] = []

    def begin(flag: str, text: str, *flags: str) -> ProcessServer:
        version = publish(mirror / "saved_model", tmp_path / "repository", 1)
        (version / "assets.extra").mkdir(exist_ok=True)
        recorded = version / "assets.extra" / "tf_serving_warmup_requests"
        shutil.copy(mirror / "warmup" / "failing", recorded)
        file = tmp_path / "file.config"
        file.write_text(text)
        spec = embedded_spec(MODEL, tmp_path / "repository", tmp_path / "work")
        extra = (f"--{flag}={file}", "--max_num_load_retries=0", *flags)
        server = ProcessServer(replace(spec, command=(*spec.command, *extra)))
        running.append(server)
        server.start()
        return server

    yield begin
    for server in running:
        server.stop()


def rows_of_a_batch(server: ProcessServer, model: str = MODEL) -> list[float]:
    """How many rows the session saw, told by each row of three."""
    url = f"{server.spec.url('rest')}/v1/models/{model}:predict"
    answer = httpx.post(url, json={"instances": [[1.0]] * 3}, trust_env=False)
    assert answer.status_code == 200, answer.text
    return [row["rows"] for row in answer.json()["predictions"]]


@pytest.mark.servers
def test_the_file_is_honoured_and_flags_are_not(start: Start) -> None:
    """Batching comes from it; warming up, on by flag, is off in it."""
    settings = "batching_parameters { max_batch_size { value: 4 } allowed_batch_sizes: 4 }"
    server = start("platform_config_file", platform(settings), "--enable_model_warmup=true")
    server.wait_ready(SECONDS)
    assert rows_of_a_batch(server) == [4.0] * 3


@pytest.mark.servers
def test_platforms_beside_one_another(
    start: Start, tmp_path: Path, wait_until: Callable[[Callable[[], bool]], None]
) -> None:
    """A platform's name is the file's own affair."""
    settings = "batching_parameters { max_batch_size { value: 4 } allowed_batch_sizes: 4 }"
    text = platform(settings) + platform("", "bare")
    models = tmp_path / "models.config"
    entries = (
        f'config {{ name: "{name}" base_path: "{tmp_path}/repository" model_platform: "{kind}" }}'
        for name, kind in ((MODEL, "tensorflow"), ("alone", "bare"))
    )
    models.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    server = start("platform_config_file", text, f"--model_config_file={models}")
    server.wait_ready(SECONDS)
    assert rows_of_a_batch(server) == [4.0] * 3
    assert rows_of_a_batch(server, "alone") == [3.0] * 3


@pytest.mark.servers
def test_a_platform_that_the_file_does_not_have(start: Start) -> None:
    server = start("platform_config_file", platform("", "other"))
    process = subprocess.run(
        server.spec.command,
        env={**os.environ, **server.spec.environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert process.returncode == 255
    assert process.stdout == (
        "Failed to start server. Error: INVALID_ARGUMENT: "
        f"Model {MODEL} requests unsupported platform tensorflow\n"
    )


@pytest.mark.servers
def test_the_session_gets_its_file(start: Start) -> None:
    """A graph that may not be changed into another is run as it is: the answer is the same."""
    text = "graph_options { optimizer_options { opt_level: L0 } } log_device_placement: true"
    server = start("tensorflow_session_config_file", text, "--enable_model_warmup=false")
    server.wait_ready(SECONDS)
    assert rows_of_a_batch(server) == [3.0] * 3
    assert "/job:localhost/replica:0/task:0/device:CPU:0" in server.log_path.read_text()
