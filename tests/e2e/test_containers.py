"""``demo LAUNCHER=docker``: the same flow, checks and report, with both servers in containers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.facts import Outcome
from serving.engine import connect

pytestmark = [pytest.mark.docker, pytest.mark.e2e, pytest.mark.servers, pytest.mark.slow]

IN_CONTAINERS = {"TWINSERVE_LAUNCHER": "docker"}
EPOCHS = ("--epochs", "8")


def containers_of(place: Any) -> list[str]:
    """Names of the containers that belong to this place's folder of records, ended ones too."""
    client = connect()
    try:
        label = f"io.twinserve.records={place.state}/servers"
        found = client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        return [each.name for each in found]
    finally:
        client.close()


@pytest.fixture(scope="module")
def contained(lasting_place: Any) -> Iterator[Any]:
    """A place where ``demo`` has run once, with containers."""
    place = lasting_place(**IN_CONTAINERS)
    place.run("demo", *EPOCHS).succeeded().said("Servers run in containers: ")
    yield place
    place.run("stop")


def test_the_report_says_containers_and_everything_passes(contained: Any) -> None:
    report = contained.report()
    assert report.passed
    assert {server.where for server in report.servers} == {"container"}
    assert {server.memory_kind for server in report.servers} == {"cgroup"}
    assert all(
        server.idle_bytes > 50_000_000 and server.loaded_bytes > 50_000_000
        for server in report.servers
    )
    assert all(server.cpu_ms_per_answer > 0 for server in report.servers)
    assert not any(row.wrong for row in report.load.rows)
    page = contained.artifacts / "digits" / "1" / "report" / "index.html"
    assert "in a container" in page.read_text()


def test_versions_inside_were_read_and_compared(contained: Any) -> None:
    asked = [check for check in contained.report().checks if check.stage == "versions"]
    assert {check.figure.partition(" ")[0] for check in asked} == {
        "TensorFlow",
        "torch",
        "TorchServe",
    }
    assert {check.outcome for check in asked} == {Outcome.PASS}


def test_nothing_is_left_of_a_finished_run(contained: Any) -> None:
    assert containers_of(contained) == []
    contained.wait_for_quiet()


def test_serve_query_deploy_rollback_stop(contained: Any) -> None:
    contained.run("train", *EPOCHS, "--seed", "11").succeeded()
    contained.run("export", *EPOCHS, "--seed", "11").succeeded().said("Version 2")
    contained.run("serve", "--version", "1").succeeded()
    assert len(containers_of(contained)) == 2
    contained.run("query").succeeded().said("REST", "gRPC")
    contained.run("deploy", "--version", "2").succeeded().said("has unloaded version 1")
    contained.run("query").succeeded()
    contained.run("rollback").succeeded().said("has unloaded version 2")
    contained.run("stop").succeeded().said("container twinserve-tfserving-")
    assert containers_of(contained) == []
    contained.run("query").failed_with("ServerDied", "make serve")


def test_ctrl_c_removes_both_containers(contained: Any) -> None:
    started = contained.start("check")
    started.wait_until(lambda: len(containers_of(contained)) == 2, "two containers")
    assert started.stop(signal.SIGINT).code == 130
    assert containers_of(contained) == []


def test_after_a_kill_the_next_run_removes_what_was_left(contained: Any) -> None:
    started = contained.start("check")
    started.wait_until(lambda: len(containers_of(contained)) == 2, "two containers")
    started.kill()
    left = containers_of(contained)
    assert len(left) == 2
    # With an engine and the images, auto is containers, and so it cleans up after them too.
    done = contained.run("check", TWINSERVE_LAUNCHER="auto").succeeded()
    done.said("Servers run in containers: ")
    assert containers_of(contained) == []


def test_no_engine_never_falls_back_silently(contained: Any) -> None:
    done = contained.run("check", DOCKER_HOST=f"unix://{contained.home}/nobody.sock")
    done.failed_with("EngineUnavailable", "nobody.sock", "LAUNCHER=process")


def test_a_missing_image_is_one_clear_message(contained: Any) -> None:
    done = contained.run("check", TWINSERVE_TORCHSERVE_IMAGE="twinserve/none:1")
    done.failed_with("ImageMissing", "twinserve/none:1", "make images")


def test_a_malformed_setting_is_named(contained: Any) -> None:
    done = contained.run("check", TWINSERVE_CONTAINER_MEMORY_MB="much")
    done.failed_with("SettingsError", "TWINSERVE_CONTAINER_MEMORY_MB")
