"""Prefect's API for one run: ``python -m pipelines.prefect_server PORT``.

The same server that Prefect's ephemeral mode starts, with two differences: it starts while the flow is still being
imported, and it ends itself when its standard input closes, so that a run that is killed leaves none behind.
"""

from __future__ import annotations

import sys

import uvicorn

from models.parent import end_with_parent


def main() -> None:
    """Serve on loopback until the parent goes."""
    end_with_parent()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="on",
    )


if __name__ == "__main__":
    main()
