"""What must be caught, by name, before any training; and that healthy months pass."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from models.artifact import digest_of_files
from models.errors import DataAnomaly, SchemaError, SpanError
from pipelines.tfx.spans import FILE, span_folder, write_span
from pipelines.tfx.worker import call

from .conftest import PROJECT, SCHEMA, TIMEOUT_SECONDS, month_of_flights

pytestmark = pytest.mark.tfx


def validate(request):
    return call("validate", request, timeout_seconds=TIMEOUT_SECONDS)


def test_healthy_months_have_no_anomaly(prepared):
    validation = prepared.result["validation"]
    assert validation["anomalies"] == []
    assert validation["rows"] == {"train": 1200, "eval": 400}
    assert any("Validating 1,600 rows of 4 spans" in each["message"] for each in prepared.messages)


def test_every_span_but_the_first_is_compared_with_the_one_before(prepared):
    drift = prepared.result["validation"]["drift"]
    compared = {(each["span"], each["against"]) for each in drift}
    assert compared == {(2, "span 1"), (3, "span 2"), (4, "span 3")}
    carrier = [each for each in drift if each["feature"] == "carrier"]
    assert [each["measure"] for each in carrier] == ["l_infty"] * 3
    assert all(0 <= each["score"] <= 1 and not each["exceeded"] for each in carrier)


def test_statistics_are_those_of_the_rows(prepared):
    statistics = prepared.result["validation"]["statistics"]
    for month, table in prepared.tables.items():
        span = statistics["spans"][str(month)]
        gusts = table["wind_gust"]
        found = span["features"]["wind_gust"]
        assert span["rows"] == len(gusts)
        assert found["count"] == np.count_nonzero(~np.isnan(gusts))
        assert found["missing"] == pytest.approx(np.isnan(gusts).mean())
        assert found["mean"] == pytest.approx(np.nanmean(gusts), rel=1e-5)
        assert found["std"] == pytest.approx(np.nanstd(gusts), rel=1e-5)
    train = statistics["splits"]["train"]["features"]
    assert sum(count for _, _, count in train["distance"]["histogram"]) == pytest.approx(1200)
    assert dict(train["carrier"]["top"])["B6"] == sum(
        (prepared.tables[month]["carrier"] == "B6").sum() for month in (1, 2, 3)
    )


def sabotaged() -> dict[int, dict[str, np.ndarray]]:
    """A healthy month, then one for each thing that goes wrong."""
    months = {month: month_of_flights(month) for month in range(1, 9)}
    months[2]["airline"] = months[2].pop("carrier")
    months[3]["carrier"][:40] = "ZZ"
    for measured in ("distance", "wind_speed"):
        months[4][measured] = (months[4][measured] * 1.609344).astype(np.float32)
    months[5]["temp"][:] = np.nan
    months[6] = {name: np.repeat(values, 2)[:400] for name, values in months[6].items()}
    late = months[7]["late"]
    months[7]["dep_delay"] = np.where(late, 40, -3).astype(np.float32)
    months[8]["humid"] = np.where(months[8]["late"], 70.5, 50.5).astype(np.float32)
    return months


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory):
    """The error, every anomaly, and the rows of each span."""
    home = tmp_path_factory.mktemp("sabotaged")
    for month, table in sabotaged().items():
        write_span(home / "spans", month, table)
    request = {
        "spans": str(home / "spans"),
        "splits": {"train": list(range(1, 9))},
        "schema": str(SCHEMA),
        "label": "late",
        "state": str(home / "state"),
        "out": str(home / "out"),
    }
    with pytest.raises(DataAnomaly) as raised:
        validate(request)
    found = json.loads((home / "out/validation.json").read_text())
    rows = {number: each["rows"] for number, each in found["statistics"]["spans"].items()}
    return raised.value, found["anomalies"], rows


@pytest.mark.parametrize(
    ("span", "feature", "kind", "told"),
    [
        (2, "carrier", "Column dropped", "completely missing"),
        (2, "airline", "New column", "not in schema"),
        (3, "carrier", "Unexpected string values", "ZZ"),
        (4, "distance", "unit changed", "miles to kilometres"),
        (4, "wind_speed", "unit changed", "miles to kilometres"),
        (5, "temp", "Column dropped", "completely missing"),
        (6, "", "duplicated rows", "50.0%"),
        (7, "dep_delay", "label leaks", "known only afterwards"),
        (8, "humid", "label leaks", "ROC AUC 1.000"),
    ],
)
def test_what_is_wrong_is_caught_by_name(caught, span, feature, kind, told):
    _, found, _ = caught
    matching = [
        each
        for each in found
        if (each["span"], each["feature"]) == (span, feature) and kind in each["kind"]
    ]
    assert matching, [(each["span"], each["feature"], each["kind"]) for each in found]
    assert any(told in each["found"] for each in matching), matching
    assert all(each["expected"] for each in matching)


def test_the_error_says_feature_expectation_and_finding(caught):
    error, found, _ = caught
    assert f"{len(found)} anomalies" in error.message
    assert "span 6, duplicated rows; expected at most 2% of the rows repeat another one" in (
        error.message
    )
    assert "schema.pbtxt" in error.hint


def test_healthy_month_among_them_is_not_blamed(caught):
    assert not [each for each in caught[1] if each["span"] in (0, 1)]


def test_a_single_split_is_validated_whole(caught):
    assert caught[2] == {str(month): 400 for month in range(1, 9)}


def test_rows_that_were_served_are_held_against_the_training_rows(asked):
    served = month_of_flights(4)
    del served["late"]
    served["seats"][:] = 50
    months = {1: month_of_flights(1), 2: month_of_flights(2), 4: served}
    found = validate(asked(months, splits={"train": [1, 2], "serving": [4]}))
    assert found["anomalies"] == [], "no label is asked of them"
    skew = {each["feature"]: each for each in found["drift"] if each["against"] == "serving"}
    assert {each["span"] for each in skew.values()} == {4}
    assert skew["seats"]["exceeded"]
    assert not skew["distance"]["exceeded"]


def test_the_cache_keeps_apart_what_other_code_has_found(prepared):
    code = digest_of_files((PROJECT / "pipelines/tfx/inside").glob("*.py"))[:12]
    with closing(sqlite3.connect(Path(prepared.request["state"]) / "metadata.sqlite")) as store:
        asked = store.execute(
            "select name, string_value from ExecutionProperty where name in ('code', 'custom_config')"
        ).fetchall()
    assert {name for name, _ in asked} == {"code", "custom_config"}
    assert all(code in value for _, value in asked), asked


def test_an_empty_month_is_refused(asked):
    table = {name: values[:0] for name, values in month_of_flights(2).items()}
    request = asked({1: month_of_flights(1), 2: table}, splits={"train": [1, 2]})
    with pytest.raises(SpanError, match=r"Span 2 .* is empty: it has a header, and no rows"):
        validate(request)
    assert_nothing_left(request)


def test_a_missing_span_is_refused(asked):
    request = asked({1: month_of_flights(1)}, splits={"train": [1, 2]})
    with pytest.raises(SpanError, match="Span 2 is missing"):
        validate(request)
    assert_nothing_left(request)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (b'a,b\n1,"2\n', "unexpected end of data"),
        (b"a,b\n1,2,3\n", "row 2 has 3 values, the header has 2"),
        (b"a,\xff\n1,2\n", "can't decode byte 0xff"),
        (b"a,a\n1,2\n", "names 'a' twice"),
        (b"", "not even a header"),
    ],
)
def test_a_broken_csv_is_refused(asked, broken, told):
    request = asked({1: month_of_flights(1)}, splits={"train": [1]})
    Path(request["spans"], span_folder(1), FILE).write_bytes(broken)
    with pytest.raises(SpanError) as raised:
        validate(request)
    assert told in raised.value.message
    assert_nothing_left(request)


def test_a_schema_that_does_not_parse_is_refused(asked, tmp_path: Path):
    schema = tmp_path / "schema.pbtxt"
    schema.write_text('feature {\n  nome: "carrier"\n}\n')
    with pytest.raises(SchemaError, match=r"2:3 .*nome"):
        validate(asked({1: month_of_flights(1)}, splits={"train": [1]}, schema=str(schema)))


def assert_nothing_left(request) -> None:
    state = Path(request["state"])
    assert not [each for each in state.rglob("*") if each.is_file()]
    assert not Path(request["out"]).exists()


def test_numbers_in_results_are_json(prepared):
    def walk(node):
        if isinstance(node, dict):
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)
        elif isinstance(node, float):
            assert math.isfinite(node)

    walk(prepared.result)


def test_a_month_that_arrives_is_held_against_the_month_before_it(prepared, tmp_path):
    """Units and numbers of rows show against another month only."""
    arrived = month_of_flights(5)
    kilometres = (arrived["distance"] * 1.609344).astype(np.float32)
    few = {name: values[:60] for name, values in arrived.items()} | {"distance": kilometres[:60]}
    request = {
        "span": 5,
        "before": 4,
        "schema": str(SCHEMA),
        "label": "late",
        "state": str(tmp_path / "state"),
    }

    def monitor(name, table):
        for month, rows in ((4, prepared.tables[4]), (5, table)):
            write_span(tmp_path / name, month, rows)
        request["spans"] = str(tmp_path / name)
        return call("monitor", request, timeout_seconds=TIMEOUT_SECONDS)

    assert monitor("healthy", arrived)["rows"] == 400
    with pytest.raises(DataAnomaly) as refused:
        monitor("spoilt", few)
    for words in ("span 5, Low num examples", "span 5, distance: unit changed", "2 anomalies"):
        assert words in refused.value.message
