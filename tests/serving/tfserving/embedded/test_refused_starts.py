"""What keeps the server from starting: its words, on which stream, and its exit code."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.server import ServerSpec
from tests.serving.tfserving.embedded.configured import DEADLINE_SECONDS, Store, listed

pytestmark = pytest.mark.servers


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
