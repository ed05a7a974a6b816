"""The program: ``python -m serving.tfserving.embedded --model_base_path=...``."""

from __future__ import annotations

import logging
import signal
import sys
from importlib.metadata import PackageNotFoundError, version

from serving.tfserving.embedded import LABEL
from serving.tfserving.embedded.flags import FlagError, parse_flags, usage

FAILED = 255
"""The binary returns -1."""


def main(arguments: list[str]) -> int:
    """Run the server; returns the exit code."""
    try:
        flags = parse_flags(arguments)
    except FlagError as error:
        print(f"{error}\n{usage()}", file=sys.stderr)
        return FAILED
    if flags.version:
        print(f"{LABEL}: TwinServe {_version_of('twinserve')}")
        print(f"TensorFlow Library: {_version_of('tensorflow')}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server's own is in place
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    log = logging.getLogger(__name__)
    log.info("%s on TensorFlow %s, starting", LABEL, _version_of("tensorflow"))

    # The import that takes time, after everything that can be said without it.
    from serving.tfserving.embedded.server import load_models, serve  # noqa: PLC0415
    from serving.tfserving.embedded.status import StatusError  # noqa: PLC0415

    try:
        serve(load_models(flags), flags)
    except StatusError as error:
        log.error("Failed to start server. Error: %s", error)
        return FAILED
    return 0


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(from source)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
