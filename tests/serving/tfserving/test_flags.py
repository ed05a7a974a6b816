"""The command line of the embedded server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.tfserving.embedded.flags import HONOURED, IGNORED, REFUSED, FlagError, parse_flags

BASE = "--model_base_path=/models"


def test_values_and_defaults() -> None:
    flags = parse_flags(
        [BASE, "--port=1", "--model_name=digits", "--enable_serialization_as_tensor_content"]
    )
    assert (flags.port, flags.rest_api_port, flags.model_name) == (1, 0, "digits")
    assert flags.enable_serialization_as_tensor_content
    assert flags.rest_api_timeout_in_ms == 30000


def test_session_parallelism_is_for_both_kinds_of_threads() -> None:
    flags = parse_flags(
        [BASE, "--tensorflow_session_parallelism=3", "--tensorflow_inter_op_parallelism=1"]
    )
    assert (flags.intra_op_threads, flags.inter_op_threads) == (3, 1)


def test_every_ignored_flag_is_taken() -> None:
    for name, default in IGNORED.items():
        value = str(default).lower() if isinstance(default, bool) else default
        assert parse_flags([BASE, f"--{name}={value}"]) == parse_flags([BASE])


def test_a_refused_flag_is_taken_at_its_default_only() -> None:
    assert parse_flags([BASE, "--enable_batching=false"]) == parse_flags([BASE])
    for argument in ("--enable_batching", "--model_config_file=models.config"):
        with pytest.raises(FlagError, match="not supported yet"):
            parse_flags([BASE, argument])


def test_no_flag_is_in_two_groups() -> None:
    assert len(HONOURED | IGNORED | REFUSED) == len(HONOURED) + len(IGNORED) + len(REFUSED)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--ports=1", "unknown argument: --ports=1"),
        ("port=1", "unknown argument: port=1"),
        ("--port", "unknown argument: --port"),
        ("--port=http", "Couldn't interpret value http for flag port."),
        ("--enable_batching=maybe", "Couldn't interpret value maybe for flag enable_batching."),
    ],
)
def test_what_cannot_be_read(argument: str, words: str) -> None:
    with pytest.raises(FlagError, match=words):
        parse_flags([BASE, argument])


def test_a_base_path_is_needed() -> None:
    with pytest.raises(FlagError, match="model_base_path"):
        parse_flags([])


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, "-m", "serving.tfserving.embedded", *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("TF Serving API (embedded)")
    assert "TensorFlow Library: 2." in done.stdout


def test_an_unknown_flag_prints_the_usage() -> None:
    done = run("--nonsense=1")
    assert done.returncode == 255
    assert "unknown argument: --nonsense=1" in done.stderr
    assert "--rest_api_port=0" in done.stderr
