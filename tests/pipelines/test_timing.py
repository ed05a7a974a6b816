"""The critical path: the longest chain of stages that wait for one another."""

from __future__ import annotations

import threading

import pytest

from pipelines.facts import StageTiming
from pipelines.timing import Stopwatch, critical_path


def stages(*rows: tuple[str, float, list[str]]) -> list[StageTiming]:
    return [StageTiming(stage=name, seconds=seconds, after=after) for name, seconds, after in rows]


DIAMOND = (
    ("data", 1.0, []),
    ("train tensorflow", 9.0, ["data"]),
    ("train pytorch", 5.0, ["data"]),
    ("export pytorch", 6.0, ["train pytorch"]),
    ("report", 2.0, ["train tensorflow", "export pytorch"]),
)


def test_the_longest_chain_counts():
    assert critical_path(stages(*DIAMOND)) == 1 + 5 + 6 + 2


def test_the_order_of_the_list_changes_nothing():
    assert critical_path(stages(*reversed(DIAMOND))) == 14


def test_stages_side_by_side_count_once():
    assert critical_path(stages(("a", 3.0, []), ("b", 4.0, []))) == 4


def test_the_chain_may_end_before_the_last_stage():
    assert critical_path(stages(("a", 9.0, []), ("b", 1.0, []), ("c", 1.0, ["b"]))) == 9


def test_a_stage_that_was_not_timed_counts_nothing():
    assert critical_path(stages(("check", 2.0, ["serve", "verify"]))) == 2


def test_no_stage_is_no_time():
    assert critical_path([]) == 0


def test_a_stopwatch_notes_what_ran_where_it_began_and_what_it_waited_for():
    clock = Stopwatch()
    with clock.stage("data"):
        pass
    with pytest.raises(ValueError), clock.stage("train", ["data"]):
        raise ValueError
    clock.reused("export", ["train"], clock.now())
    timings = clock.timings()
    assert [stage.stage for stage in timings.stages] == ["data", "train", "export"]
    assert [stage.after for stage in timings.stages] == [[], ["data"], ["train"]]
    assert [stage.cached for stage in timings.stages] == [False, False, True]
    assert timings.stages[2].seconds == 0
    assert timings.critical_path_seconds <= timings.wall_seconds


def test_a_stage_that_ran_is_not_called_reused():
    clock = Stopwatch()
    with clock.stage("data"):
        pass
    clock.reused("data", [], clock.now())
    assert [stage.cached for stage in clock.timings().stages] == [False]


def test_stages_of_several_threads_are_all_noted():
    clock = Stopwatch()

    def work(number: int) -> None:
        with clock.stage(f"stage {number}"):
            pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clock.timings().stages) == 8
