"""A TFX pipeline under LocalDagRunner: MLMD on SQLite in the state folder, and the Beam runner of the request."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.artifact import SPARE_BYTES, digest_of_files
from models.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PIPELINE = "twinserve"
METADATA = "metadata.sqlite"
IN_PROCESS = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""Beam's local runner. Its name "DirectRunner" would look for a download of Prism first."""
LOCAL = ("directrunner", "fnapirunner", "bundlebaseddirectrunner", "prismrunner")
NO_PACKAGE = "--sdk_container_image=unused"
"""TFX packs its own sources anew for every component, 2 s each, unless a worker's image is named; local workers
need neither."""


def beam_arguments(request: Mapping[str, Any]) -> list[str]:
    """Beam's options.

    Args:
        request: ``beam_runner``, a name or a class of Beam; absent or empty takes the local one. ``beam_options``,
            a list of more options, such as ``--direct_num_workers=2``.
    """
    runner = request.get("beam_runner") or IN_PROCESS
    local = runner.rpartition(".")[2].lower() in LOCAL
    runner = IN_PROCESS if runner.lower() == "directrunner" else runner
    options = list(request.get("beam_options") or [])
    return [f"--runner={runner}", *([NO_PACKAGE] if local else []), *options]


def run_pipeline(
    components: Sequence[Any], request: Mapping[str, Any], *, cached: bool = True
) -> None:
    """Run the components in order; those whose inputs are unchanged are taken from MLMD's cache.

    Args:
        components: TFX's nodes.
        request: ``state``, the folder that holds MLMD and all artifacts; and Beam's options.
        cached: whether anything is taken from that cache.

    Raises:
        StorageError: the disk is full.
    """
    from tfx.orchestration import pipeline
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    state = Path(request["state"])
    state.mkdir(parents=True, exist_ok=True)
    work = pipeline.Pipeline(
        PIPELINE,
        str(state / "artifacts"),
        metadata_connection_config=connection(state),
        components=list(components),
        enable_cache=cached,
        beam_pipeline_args=beam_arguments(request),
    )
    with _quiet(), _full_disk_named(state):
        LocalDagRunner().run(work)


def code_digest() -> str:
    """Digest of this package: MLMD's cache knows a component by its parameters, not by its code; ours have this as
    one of them."""
    return digest_of_files(Path(__file__).parent.glob("*.py"))[:12]


def connection(state: Path) -> Any:
    """How MLMD is reached."""
    from tfx.orchestration import metadata

    return metadata.sqlite_metadata_connection_config(str(state / METADATA))


def outputs_of(request: Mapping[str, Any], node: str) -> dict[str, list[Any]]:
    """The artifacts that a node's latest execution, or the one that the cache took for it, put out.

    Returns:
        MLMD artifacts by output key.
    """
    from tfx.orchestration import metadata
    from tfx.orchestration.portable.mlmd import execution_lib

    with metadata.Metadata(connection(Path(request["state"]))) as handle:
        store = handle.store
        executions = [
            each
            for context in store.get_contexts_by_type("node")
            if context.name == f"{PIPELINE}.{node}"
            for each in store.get_executions_by_context(context.id)
        ]
        latest = max(executions, key=lambda each: (each.create_time_since_epoch, each.id))
        outputs = execution_lib.get_output_artifacts(handle, latest.id)
        return {key: [each.mlmd_artifact for each in found] for key, found in outputs.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    warnings.simplefilter("ignore")
    logging.getLogger("absl").setLevel(logging.WARNING)
    yield


@contextmanager
def _full_disk_named(state: Path) -> Iterator[None]:
    """Beam and SQLite tell a full disk by errors of their own."""
    try:
        yield
    except Exception as error:
        full = shutil.disk_usage(state).free < SPARE_BYTES
        if full or os.strerror(errno.ENOSPC) in str(error):
            raise StorageError(
                f"{state} cannot be written: {os.strerror(errno.ENOSPC)}.",
                "Free some space, or name another folder with TWINSERVE_ARTIFACTS=<folder>.",
            ) from error
        raise
