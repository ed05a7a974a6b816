"""What a replay leaves in service: nothing goes before its successor is there, and a schedule never goes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from pipelines.retrain.facts import SpanFacts
from pipelines.retrain.policy import Policy
from pipelines.settings import Settings
from pipelines.workspace import Workspace
from serving.pushed import in_service, put_in_service

FIRST, LAST = 3, 5
"""Of five months three are there from the beginning; the other two were done by an older program."""


class Stopped(Exception):
    """What ends the work on a month."""


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """``pipelines.retrain.replay``. Prefect comes with it: it gets a home, and our log stays the other tests'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        patch.setenv("PREFECT_LOGGING_EXTRA_LOGGERS", "")
        from pipelines.retrain import replay

        return replay


@pytest.fixture
def space(tmp_path: Path, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A service that has come to version 2, and nothing that could be trained."""
    made = Workspace.open("flights", Settings(artifacts=tmp_path, state=tmp_path / "state"))
    for version, span in ((1, 4), (2, 5)):
        push = made.pushed_folder() / str(version)
        push.mkdir(parents=True)
        (push / "push.json").write_text("{}")
        path = made.home / "spans" / f"{span:02}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(facts(span, version).model_dump_json())
    put_in_service(made.pushed_folder(), 2)
    monkeypatch.setattr(module, "prepare_data", lambda _: SimpleNamespace(path="rows"))
    monkeypatch.setattr(module, "StoredDataset", SimpleNamespace(open=lambda _: None))
    monkeypatch.setattr(module, "spans_in", lambda *_: list(range(1, LAST + 1)))
    monkeypatch.setattr(Workspace, "versions", lambda _: [1, 2])
    monkeypatch.setattr(module, "model_in_service", lambda space: in_service(space.pushed_folder()))
    return made


def facts(span: int, version: int) -> SpanFacts:
    return SpanFacts(
        digest="of an older program",
        span=span,
        rows=1,
        positives=0.2,
        drift=[],
        prediction_drift=[],
        performance=[],
        reasons=["drift"],
        why_not="",
        candidate=version,
        pushed=True,
        in_service=version,
        frozen=1,
        seconds=1.0,
    )


Work = Callable[[Callable[[Workspace, int], SpanFacts]], list[int]]


@pytest.fixture
def work(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Work:
    """``work(done)`` lets a month be worked on so; returns the months that were."""
    worked: list[int] = []

    def patched(done: Callable[[Workspace, int], SpanFacts]) -> list[int]:
        def work_on(space: Workspace, spans: object, *_: object) -> SpanFacts:
            (span,) = spans.test  # type: ignore[attr-defined]
            worked.append(span)
            return done(space, span)

        monkeypatch.setattr(module, "work_on", work_on)
        return worked

    return patched


def version_in_service(space: Workspace) -> int | None:
    found = in_service(space.pushed_folder())
    return found.version if found else None


def stop(*_: object) -> SpanFacts:
    raise Stopped


def test_only_new_months_where_only_new_ones_are_asked_for(
    space: Workspace, module: ModuleType, work: Work
) -> None:
    worked = work(stop)
    timelines = list(module.replay(space, Policy(), FIRST, at_most=1))
    assert [each.span for each in timelines[-1].spans] == [4, 5]
    assert (worked, version_in_service(space)) == ([], 2)


def test_beginning_anew_and_failing_leaves_what_was_in_service(
    space: Workspace, module: ModuleType, work: Work
) -> None:
    worked = work(stop)
    with pytest.raises(Stopped):
        list(module.replay(space, Policy(), FIRST))
    assert (worked, version_in_service(space)) == ([4], 2)


def test_a_month_made_anew_starts_from_what_was_in_service_before_it(
    space: Workspace, module: ModuleType, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int | None] = []

    def push_again(space: Workspace, span: int) -> SpanFacts:
        seen.append(version_in_service(space))
        if span == LAST:
            raise Stopped
        put_in_service(space.pushed_folder(), 1)
        return facts(span, 1)

    monkeypatch.setattr(module, "_before", lambda *_: None)
    work(push_again)
    with pytest.raises(Stopped):
        list(module.replay(space, Policy(), FIRST))
    assert seen == [None, 1]
    assert version_in_service(space) == 1


def test_months_after_one_that_was_made_anew_are_made_anew_too(
    space: Workspace, module: ModuleType, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They began with another model in service."""

    def push_another(space: Workspace, span: int) -> SpanFacts:
        put_in_service(space.pushed_folder(), 1)
        return facts(span, 1)

    monkeypatch.setattr(module, "_before", lambda *_: None)
    worked = work(push_another)
    list(module.replay(replace(space, fresh=True), Policy(), FIRST, at_most=1))
    assert (worked, version_in_service(space)) == ([4], 1)
    list(module.replay(space, Policy(), FIRST, at_most=1))
    assert worked == [4, 5]
