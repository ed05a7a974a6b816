"""Prefect's server, the deployments, and a flow run that somebody else starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from serving.process import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow]

PREFECT = [sys.executable, "-m", "prefect"]


@pytest.fixture(scope="module")
def place(finished: Any, lasting_place: Callable[..., Any]) -> Any:
    """A copy of what is finished: its Prefect has runs of its own."""
    return lasting_place(finished)


@pytest.fixture(scope="module")
def server(place: Any) -> Iterator[tuple[Any, str]]:
    """Prefect's server on a place that is finished, and the URL of its API."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    started = place.start("prefect", "--port", str(port))
    started.wait_until(lambda: answers(url), "an answer of Prefect's server")
    try:
        yield started, url
    finally:
        place.end_all()


@pytest.fixture(scope="module")
def deployments(place: Any, server: tuple[Any, str]) -> Any:
    """The flow of every case, offered."""
    started = place.start("deployments")
    _, url = server
    started.wait_until(lambda: "digits" in names(url, "deployments"), "a deployment")
    return started


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def found(url: str, kind: str, **body: Any) -> list[dict[str, Any]]:
    answer = httpx.post(f"{url}/{kind}/filter", json=body, trust_env=False).raise_for_status()
    rows: list[dict[str, Any]] = answer.json()
    return rows


def asked_for(url: str) -> list[dict[str, Any]]:
    """The flow runs that somebody has started, without those that only a schedule foresees."""
    return [run for run in found(url, "flow_runs") if not run["auto_scheduled"]]


def scheduled(url: str) -> set[str]:
    """The deployments that have a run in the schedule."""
    return {run["deployment_id"] for run in found(url, "flow_runs") if run["auto_scheduled"]}


def names(url: str, kind: str) -> list[str]:
    return [row["name"] for row in found(url, kind)]


def in_another_shell(place: Any, *arguments: str) -> Any:
    """Like a shell in the clone, whose prefect.toml says where Prefect's home is."""
    home = {"PREFECT_HOME": str(place.state / "prefect")}
    return place.start_command([*PREFECT, *arguments], **home).end()


@pytest.mark.usefixtures("deployments")
def test_a_deployment_runs_from_another_shell(place: Any, server: tuple[Any, str]) -> None:
    _, url = server
    known = {run["id"] for run in asked_for(url)}
    done = in_another_shell(place, "deployment", "run", "side-by-side/digits", "--watch")
    done.succeeded()
    (run,) = [run for run in asked_for(url) if run["id"] not in known and run["deployment_id"]]
    assert run["state_type"] == "COMPLETED"
    assert run["name"] == "digits v1"
    kept = {row["key"]: row for row in found(url, "artifacts") if row["flow_run_id"] == run["id"]}
    assert {key: row["type"] for key, row in kept.items()} == {
        "digits-verdict": "markdown",
        "digits-parity": "table",
        "digits-cost": "table",
    }
    assert "Both may ship" in kept["digits-verdict"]["data"]


@pytest.mark.usefixtures("deployments")
@pytest.mark.parametrize(
    "parameter",
    ['hyperparameters={"epochs": 0}', 'hyperparameters={"speed": 9}', "fresh=perhaps"],
)
def test_a_bad_parameter_is_refused_before_anything_runs(
    place: Any, server: tuple[Any, str], parameter: str
) -> None:
    _, url = server
    before = len(asked_for(url))
    done = in_another_shell(place, "deployment", "run", "side-by-side/digits", "-p", parameter)
    assert done.code != 0, done.text
    done.said(parameter.partition("=")[0])
    assert len(asked_for(url)) == before


@pytest.mark.usefixtures("deployments")
def test_retraining_is_offered_on_a_schedule(server: tuple[Any, str]) -> None:
    started, url = server
    (row,) = [row for row in found(url, "deployments") if row["schedules"]]
    assert (row["name"], row["parameters"]) == ("flights", {"case": "flights", "at_most": 1})
    started.wait_until(lambda: row["id"] in scheduled(url), "a run of it in Prefect's schedule")


@pytest.mark.usefixtures("deployments")
def test_the_form_knows_the_parameters(server: tuple[Any, str]) -> None:
    _, url = server
    (row,) = [row for row in found(url, "deployments") if row["name"] == "digits"]
    schema = row["parameter_openapi_schema"]
    assert set(schema["properties"]) == {"case", "hyperparameters", "fresh", "remeasure"}
    assert set(schema["definitions"]["Hyperparameters"]["properties"]) == {
        "epochs",
        "batch_size",
        "learning_rate",
        "seed",
    }


def test_both_end_in_order(place: Any, server: tuple[Any, str], deployments: Any) -> None:
    import signal

    started, _ = server
    for command in (deployments, started):
        done = command.stop(signal.SIGINT)
        assert done.code in (0, 130), done.text
        assert "Traceback" not in done.text, done.text
    place.wait_for_quiet()
    assert not (place.state / "prefect" / "profiles.toml").exists()


def test_deployments_need_a_server(empty: Any) -> None:
    empty.run("deployments").failed_with("ServerNotReady", "make prefect")
