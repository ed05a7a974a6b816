"""Command lines and configurations that nobody meant: refused with a reason, never a fault."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.tfserving.embedded.listening import read_channel_arguments
from serving.tfserving.embedded.options.command_line import read_command_line
from serving.tfserving.embedded.options.config_files import read_text_file
from serving.tfserving.embedded.options.configuration import check_transition, read_setups
from serving.tfserving.embedded.options.flags import FLAGS, Flags, check_flags
from serving.tfserving.embedded.server_core import ServerCore
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.versions.models import Models
from serving.tfserving.messages import ModelServerConfig

QUICKLY = settings(deadline=None, max_examples=300, derandomize=True)
IN_A_FOLDER = settings(QUICKLY, suppress_health_check=[HealthCheck.function_scoped_fixture])

NAMES = st.sampled_from([*FLAGS, "help", "", "portt"])
VALUES = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str))
ARGUMENTS = st.one_of(
    st.text(max_size=20),
    NAMES.map(lambda name: f"--{name}"),
    st.tuples(NAMES, VALUES).map("--{0[0]}={0[1]}".format),
)

WORDS = [
    "model_config_list",
    "config",
    "name",
    "base_path",
    "model_platform",
    "model_type",
    "model_version_policy",
    "latest",
    "all",
    "specific",
    "num_versions",
    "versions",
    "version_labels",
    "key",
    "value",
    "custom_model_config",
    '"tensorflow"',
    '"/a"',
    '"b"',
    "TENSORFLOW",
    "OTHER",
    "0",
    "1",
    "-1",
    "9223372036854775808",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    ":",
    ",",
    "#",
    '"',
    "\\",
    "\x00",
    "é",
]
TEXTS = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=3)), max_size=30).map(" ".join)


@given(st.lists(ARGUMENTS, max_size=6))
@QUICKLY
def test_any_command_line(arguments: list[str]) -> None:
    line = read_command_line(arguments)
    for name, flag in FLAGS.items():
        assert type(getattr(line.flags, name)) is type(flag.default)
    assert set(line.unknown) <= set(arguments)
    try:
        check_flags(line.flags)
        read_channel_arguments(line.flags.grpc_channel_arguments)
    except StatusError as error:
        assert error.message


@given(TEXTS)
@IN_A_FOLDER
def test_any_text_as_a_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.config"
    path.write_text(text, encoding="utf-8")
    config = ModelServerConfig()
    try:
        read_text_file(path, config)
        check_transition(ModelServerConfig(), config)
        setups = read_setups(config)
    except StatusError as error:
        assert error.message
    else:
        assert all(setup.base_path.startswith("/") or "://" in setup.base_path for setup in setups)


@given(st.binary(max_size=60))
@IN_A_FOLDER
def test_any_bytes_as_a_configuration(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "models.config"
    path.write_bytes(raw)
    try:
        read_text_file(path, ModelServerConfig())
    except StatusError as error:
        assert str(path) in error.message


NUMBERS = st.integers(-(2**63), 2**63 - 1)
LETTERS = st.text(string.ascii_lowercase + "/\0é :", max_size=4)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """Of a ``ModelConfig``, as a mapping."""
    return {
        "name": draw(st.one_of(st.sampled_from("abc"), LETTERS)),
        "base_path": draw(st.sampled_from(["/nowhere", "x", "", "gs://b/x", "/\0", "/é"])),
        "model_platform": draw(st.sampled_from(["tensorflow", "", "caffe"])),
        "model_type": draw(st.sampled_from([0, 0, 1, 2])),
        "version_labels": draw(st.dictionaries(LETTERS, NUMBERS, max_size=2)),
        "versions": draw(st.one_of(st.none(), st.lists(NUMBERS, max_size=3))),
    }


def build(models: list[dict[str, Any]]) -> Any:
    config = ModelServerConfig()
    config.model_config_list.SetInParent()
    for model in models:
        versions = model.pop("versions")
        entry = config.model_config_list.config.add(**model)
        if versions is not None:
            entry.model_version_policy.specific.versions.extend(versions)
    return config


@given(st.lists(st.lists(entries(), max_size=3), min_size=1, max_size=4))
@QUICKLY
def test_any_row_of_reloads(rows: list[list[dict[str, Any]]]) -> None:
    """One after another at one server: each is taken up or refused, whatever came before."""
    flags = Flags(allow_version_labels_for_unavailable_models=True)
    core = ServerCore(flags, Models(), load=no_load)
    for models in rows:
        config = build(models)
        try:
            core.reload(config, lambda: True)
        except StatusError as error:
            assert error.message


def no_load(name: str, version: int, folder: Path) -> Any:
    raise AssertionError(f"nothing is there to be loaded: {name} {version} {folder}")
