"""The program: ``python -m serving.tfserving.embedded --model_base_path=...``.

What goes to which stream and ends with which code is as in TF Serving's ``model_servers/main.cc``:
the usage and the reason not to start on the standard output, complaints on the standard error.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from serving.tfserving.embedded import LABEL
from serving.tfserving.embedded.options.batching_parameters import read_batching_parameters
from serving.tfserving.embedded.options.command_line import CommandLine, read_command_line, usage
from serving.tfserving.embedded.options.flags import WITHOUT_MEANING, Flags, check_flags
from serving.tfserving.embedded.options.monitoring import read_metrics_path
from serving.tfserving.embedded.options.tls import read_server_credentials
from serving.tfserving.embedded.status import StatusError

FAILED = 255
"""The binary returns -1."""

log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Run the server; returns the exit code."""
    line = read_command_line(arguments)
    if not line.is_usable:
        print(*line.complaints, sep="\n", end="\n" if line.complaints else "", file=sys.stderr)
        print(usage(_program()))
        return FAILED
    if line.flags.version:
        print(f"{LABEL}\nTensorFlow Library: {_tensorflow_version()}")
        return 0
    if line.unknown:
        print(f"unknown argument: {line.unknown[0]}\n{usage(_program())}", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):  # until the server's own are in place
        signal.signal(number, lambda *_: sys.exit(0))
    _start_log(line)
    try:
        _run(line)
    except StatusError as error:
        print(f"Failed to start server. Error: {error}", flush=True)
        return FAILED
    return 0


def _start_log(line: CommandLine) -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    log.info("%s on TensorFlow %s, starting", LABEL, _tensorflow_version())
    for name in sorted(line.given & WITHOUT_MEANING.keys()):
        log.warning("--%s has no meaning here: %s", name, WITHOUT_MEANING[name])


def _run(line: CommandLine) -> None:
    check_flags(line.flags)
    _check_files(line.flags)
    # The import that takes time, after everything that can be said without it.
    from serving.tfserving.embedded.server import run  # noqa: PLC0415

    run(line.flags)


def _check_files(flags: Flags) -> None:
    """Say what is wrong in a file of settings before TensorFlow and the models are loaded.

    The binary reads some of these files later; the words are the same.
    """
    read_metrics_path(flags)
    read_server_credentials(flags.ssl_config_file)
    if flags.enable_batching and not flags.platform_config_file:
        read_batching_parameters(flags.batching_parameters_file).check_threads()


def _program() -> str:
    return f"python -m serving.tfserving.embedded    ({LABEL})"


def _tensorflow_version() -> str:
    """Of the package that is installed, without loading it."""
    for distribution in ("tensorflow", "tensorflow-cpu"):
        with contextlib.suppress(PackageNotFoundError):
            return version(distribution)
    return "unknown"


def entry() -> NoReturn:
    """The program, from the process's own command line."""
    code = main(sys.argv[1:])
    if code:  # a version may just be loaded, and TensorFlow must not be taken down under it
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    sys.exit(0)


if __name__ == "__main__":
    entry()
