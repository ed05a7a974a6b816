"""Prefect's API for one run: ``python -m pipelines.prefect_server PORT``.

The same server that Prefect's ephemeral mode starts, with two differences: it starts while the flow is still being
imported, and it ends itself when its standard input closes, so that a run that is killed leaves none behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import uvicorn

SHUTDOWN_SECONDS = 5.0


def main() -> None:
    """Serve on loopback until the parent goes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="on",
    )


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    threading.Timer(SHUTDOWN_SECONDS, os._exit, (0,)).start()  # also if the shutdown hangs
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
