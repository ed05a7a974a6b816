"""The command line of the embedded server, as TF Serving's ``main.cc`` reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from serving.tfserving.embedded.options.command_line import read_command_line, usage
from serving.tfserving.embedded.options.flags import (
    FLAGS,
    WITHOUT_MEANING,
    Flags,
    check_flags,
)
from serving.tfserving.embedded.status import StatusError

BASE = "--model_base_path=/models"


def flags(*arguments: str) -> Flags:
    line = read_command_line(arguments)
    assert line.is_usable, line.complaints
    return line.flags


def test_values_and_defaults() -> None:
    found = flags(
        "--port=1", "--model_name=digits", "--enable_serialization_as_tensor_content", "--port=2"
    )
    assert (found.port, found.rest_api_port, found.model_name) == (2, 0, "digits")
    assert found.enable_serialization_as_tensor_content
    assert found.rest_api_timeout_in_ms == 30000
    assert flags() == Flags()


def test_session_parallelism_counts_where_neither_kind_is_set() -> None:
    both = flags("--tensorflow_session_parallelism=3")
    assert (both.intra_op_threads, both.inter_op_threads) == (3, 3)
    one = flags("--tensorflow_session_parallelism=3", "--tensorflow_inter_op_parallelism=1")
    assert (one.intra_op_threads, one.inter_op_threads) == (0, 1)


def test_how_versions_are_followed() -> None:
    found = flags()
    assert (found.file_system_poll_wait_seconds, found.max_num_load_retries) == (1, 5)
    assert found.load_retry_seconds == 60
    assert flags("--load_retry_interval_micros=-1").load_retry_seconds == 0


def test_every_flag_of_the_usage_is_taken_with_its_own_default() -> None:
    """The usage says what may be given, quotes around texts aside."""
    lines = usage("program").splitlines()
    assert lines[:2] == ["usage: program", "Flags:"]
    given = [line.split("\t")[1].strip().replace('"', "") for line in lines[2:]]
    assert len(given) == len(FLAGS) == 49
    assert flags(*given) == Flags()


def test_what_has_no_meaning_is_a_flag() -> None:
    assert set(FLAGS) >= WITHOUT_MEANING.keys()


@pytest.mark.parametrize(
    ("text", "value"),
    [("", True), ("=true", True), ("=TRUE", True), ("=1", True), ("=False", False), ("=0", False)],
)
def test_truths(text: str, value: bool) -> None:
    assert flags(f"--enable_model_warmup{text}").enable_model_warmup is value


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--port=http", "Couldn't interpret value http for flag port."),
        ("--port=", "Couldn't interpret value  for flag port."),
        ("--port=1 ", "Couldn't interpret value 1  for flag port."),
        ("--port=1_0", "Couldn't interpret value 1_0 for flag port."),
        ("--port=2147483648", "Couldn't interpret value 2147483648 for flag port."),
        ("--port=" + "9" * 5000, "for flag port."),
        ("--version=yes", "Couldn't interpret value yes for flag version."),
        ("--per_process_gpu_memory_fraction=x", "for flag per_process_gpu_memory_fraction."),
    ],
)
def test_what_cannot_be_read(argument: str, words: str) -> None:
    line = read_command_line([argument])
    assert not line.is_usable
    [said] = line.complaints
    assert words in said


@pytest.mark.parametrize(
    ("text", "value"), [("8", 8), ("+8", 8), (" 8", 8), ("-8", -8), ("008", 8)]
)
def test_numbers_as_sscanf_reads_them(text: str, value: int) -> None:
    assert flags(f"--port={text}").port == value


def test_numbers_of_64_bits() -> None:
    assert flags("--load_retry_interval_micros=2147483648").load_retry_seconds == 2147.483648
    assert flags("--per_process_gpu_memory_fraction=.5").per_process_gpu_memory_fraction == 0.5


@pytest.mark.parametrize(
    "argument", ["--ports=1", "port=1", "-port=1", "--port", "--versions", "--help"]
)
def test_unknown_arguments(argument: str) -> None:
    line = read_command_line(["--port=1", argument, "--port=2"])
    assert line.unknown == (argument,)
    assert line.flags.port == 2
    assert line.is_usable is (argument != "--help")


def test_help_counts_only_before_other_unknown_flags() -> None:
    assert read_command_line(["--nonsense", "--help"]).is_usable
    assert not read_command_line(["--port=1", "--help", "--nonsense"]).is_usable


def test_after_two_dashes_nothing_is_read() -> None:
    line = read_command_line(["--port=1", "--", "--port=2"])
    assert (line.flags.port, line.unknown) == (1, ("--", "--port=2"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        ((BASE, "--port=0"), "At least one of server_options.grpc_port or"),
        (
            (BASE, "--use_alts_credentials", "--ssl_config_file=x"),
            "Either use_alts_credentials must be false or ssl_config_file must be empty.",
        ),
        (
            (
                BASE,
                "--tensorflow_session_parallelism=1",
                "--tensorflow_intra_op_parallelism=1",
                "--tensorflow_inter_op_parallelism=1",
            ),
            "You cannot configure all.",
        ),
        (
            (BASE, "--batching_parameters_file=x"),
            "is set without setting server_options.enable_batching to true.",
        ),
        ((BASE, "--file_system_poll_wait_seconds=-1"), "for ever"),
        ((BASE, "--bind_address=localhost"), "localhost is no IP address"),
    ],
)
def test_what_cannot_be_served(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(StatusError) as refused:
        check_flags(flags(*arguments))
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert words in refused.value.message


def test_it_listens_on_loopback_unless_told() -> None:
    assert flags().bind_address == "127.0.0.1"
    check_flags(flags(BASE, "--bind_address=::1"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[4]
    return subprocess.run(
        [sys.executable, "-m", "serving.tfserving.embedded", *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_version_is_that_of_tensorflow() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "TF Serving API (embedded)",
        f"TensorFlow Library: {version('tensorflow')}",
    ]


def test_help_goes_to_the_standard_output() -> None:
    done = run("--help")
    assert done.returncode == 255
    assert "\t--rest_api_port=0                \tint32\t" in done.stdout
    assert '\t--bind_address="127.0.0.1"       \tstring\tOur own' in done.stdout
    assert done.stderr == ""


def test_a_value_that_cannot_be_read_prints_the_usage() -> None:
    done = run("--port=http", "--version")
    assert done.returncode == 255
    assert done.stderr == "Couldn't interpret value http for flag port.\n"
    assert "TensorFlow Library" not in done.stdout
    assert done.stdout.startswith("usage: ")


def test_an_unknown_flag_prints_the_usage_and_is_no_error_of_its_own() -> None:
    done = run("--nonsense=1", "--skip_initialize_tpu=true")
    assert done.returncode == 255
    lines = done.stdout.splitlines()
    assert lines[0] == "unknown argument: --nonsense=1"
    assert lines[-1] == (
        "Failed to start server. Error: INVALID_ARGUMENT: "
        "Both server_options.model_base_path and server_options.model_config_file are empty!"
    )
    assert done.stderr.count("--skip_initialize_tpu has no meaning here: no TPU is used") == 1
