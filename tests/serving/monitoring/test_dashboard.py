"""The dashboard's file, and that it, Prometheus and Compose speak of the same places; Grafana is not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[3]
MONITORING = PROJECT / "serving/monitoring"
DASHBOARD = MONITORING / "grafana/dashboards/twinserve.json"
OLDEST_SCHEMA = 39
"""Grafana 11's; newer ones read it too."""
WIDTH = 24


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(DASHBOARD.read_text())


@pytest.fixture(scope="module")
def panels(dashboard):
    return dashboard["panels"]


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]


@pytest.fixture(scope="module")
def provisioning():
    folder = MONITORING / "grafana/provisioning"
    sources = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    providers = yaml.safe_load((folder / "dashboards/twinserve.yml").read_text())["providers"]
    return {"source": sources[0], "provider": providers[0]}


def test_it_has_what_grafana_needs_to_take_it_from_a_file(dashboard):
    assert dashboard["uid"] == "twinserve"
    assert dashboard["title"]
    assert dashboard["schemaVersion"] >= OLDEST_SCHEMA
    assert "id" not in dashboard, "a database's number must not travel with the file"
    assert dashboard["time"].keys() == {"from", "to"}


def test_every_panel_is_whole(panels):
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in ("row", "text", "stat", "timeseries")
        if panel["type"] in ("stat", "timeseries"):
            assert panel["description"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            letters = [target["refId"] for target in panel["targets"]]
            assert letters
            assert len(set(letters)) == len(letters)
            assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_panels_neither_overlap_nor_stick_out(panels):
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_both_servers_stand_side_by_side(panels):
    """Left and right of the same line in every row but the last, which says what is missing."""
    below = [panel for panel in panels if panel["gridPos"]["w"] == WIDTH / 2]
    for left, right in zip(below[::2], below[1::2], strict=True):
        assert left["gridPos"]["y"] == right["gridPos"]["y"]
        assert left["title"].startswith("TF Serving's API")
        assert right["title"].startswith("TorchServe") or right["type"] == "text"


def test_every_panel_asks_the_provisioned_source(panels, provisioning):
    asked = {
        (source["type"], source["uid"])
        for panel in panels
        for source in [
            panel.get("datasource"),
            *(t["datasource"] for t in panel.get("targets", [])),
        ]
        if source
    }
    assert asked == {(provisioning["source"]["type"], provisioning["source"]["uid"])}


def test_grafana_finds_prometheus_and_the_dashboard(provisioning, services):
    url = provisioning["source"]["url"]
    assert url == "http://prometheus:9090"
    assert services["prometheus"]["ports"][0].endswith(":9090")
    folder = provisioning["provider"]["options"]["path"]
    assert (
        f"./{DASHBOARD.parent.relative_to(PROJECT)}:{folder}:ro" in services["grafana"]["volumes"]
    )
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/{DASHBOARD.name}"


def test_grafana_knows_how_often_prometheus_looks(provisioning):
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    interval = provisioning["source"]["jsonData"]["timeInterval"]
    assert interval == config["global"]["scrape_interval"]


def test_prometheus_scrapes_services_of_the_compose_file(services):
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        (target,) = job["static_configs"][0]["targets"]
        assert target.partition(":")[0] == job["job_name"]
        assert job["job_name"] in services


def test_nothing_in_the_files_is_a_password():
    for path in [PROJECT / "docker-compose.yml", *MONITORING.rglob("*.yml")]:
        text = path.read_text().lower()
        assert "admin_password" not in text
        assert "secretkey" not in text
