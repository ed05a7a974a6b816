"""Monitor and retrain as a Prefect flow: on a schedule one span at a time, or all that have arrived in one go."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from models import worker
from pipelines.flow import NO_CHANGES, Hyperparameters
from pipelines.retrain.page import write_timeline
from pipelines.retrain.place import open_space
from pipelines.retrain.policy import Policy
from pipelines.retrain.replay import FIRST_SPANS, replay
from pipelines.settings import read_settings
from pipelines.workspace import log
from serving.started import stop_all as stop_all_servers

MONTHLY = "0 6 1 * *"
"""The schedule of the deployment: the first of every month, at six, when the month before is complete."""
DEFAULT = Policy()


@flow(name="retrain", flow_run_name="{case}", persist_result=False)
def retrain(
    case: str = "flights",
    policy: Policy = DEFAULT,
    first: int = FIRST_SPANS,
    at_most: int = 0,
    hyperparameters: Hyperparameters = NO_CHANGES,
    fresh: bool = False,
) -> str:
    """Validate each new span, watch drift and performance, retrain where it is due, bless or refuse, push.

    Args:
        case: one with spans.
        policy: the thresholds.
        first: so many spans are there from the beginning.
        at_most: so many new spans; 0 for all that have arrived.
        hyperparameters: changes to the case's own.
        fresh: do everything anew, also what is complete and unchanged.

    Returns:
        path of the timeline's page.
    """
    settings = read_settings()
    space = open_space(case, settings, hyperparameters.changes(), fresh)
    page = Path()
    try:
        for timeline in replay(space, policy, first, at_most):
            page = write_timeline(timeline, space.settings.artifacts)
    except BaseException as error:
        stopped = not isinstance(error, Exception)  # Ctrl-C, SIGTERM, a cancelled run
        worker.stop_all(for_good=stopped)
        stop_all_servers(for_good=stopped)
        raise
    log.info(f"Timeline: {page}")
    return str(page)
