"""Which version is loaded or unloaded next, and which may be asked meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from serving.tfserving.embedded.status import StatusError, invalid
from serving.tfserving.embedded.versions.manager import Retries, VersionManager
from serving.tfserving.embedded.versions.models import Address, Models, State
from serving.tfserving.embedded.versions.policy import Stage, Version, next_action

NEW, READY, ERROR = Stage.NEW, Stage.READY, Stage.ERROR
BUSY, WAITING = Stage.BUSY, Stage.WAITING


@pytest.mark.parametrize(
    ("versions", "step"),
    [
        ([(1, NEW, True)], "load 1"),
        ([(1, READY, True)], None),
        ([(1, READY, False), (2, NEW, True)], "load 2"),
        ([(1, READY, False), (2, READY, True)], "unload 1"),
        ([(2, READY, False), (1, NEW, True)], "load 1"),
        ([(2, READY, False), (1, READY, True)], "unload 2"),
        ([(1, READY, False), (2, ERROR, True)], None),
        ([(1, READY, False), (2, READY, False), (3, ERROR, True)], "unload 1"),
        ([(1, READY, False)], "unload 1"),
        ([(1, ERROR, True)], None),
        ([], None),
        ([(1, NEW, True), (2, NEW, True)], "load 2"),
        ([(1, NEW, True), (2, BUSY, True)], "load 1"),
        ([(1, READY, False), (2, BUSY, True)], None),
        ([(1, READY, False), (2, WAITING, True)], None),
        ([(1, READY, False), (2, READY, True), (3, NEW, True)], "unload 1"),
    ],
)
def test_next_action(versions: list[tuple[int, Stage, bool]], step: str | None) -> None:
    action = next_action(Version(number, Path(), *rest) for number, *rest in versions)
    assert (action and f"{action.verb.value} {action.version.number}") == step


class FakeServable:
    """Stands for a loaded version."""

    def __init__(self, version: int, name: str = "digits") -> None:
        self.name = name
        self.version = version
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def models() -> Models:
    return Models()


def offered(models: Models, version: int) -> FakeServable:
    servable = FakeServable(version)
    models.offer(cast("Any", servable))
    return servable


class TestModels:
    """Who may still use a version that is taken away."""

    def test_the_highest_answers_and_others_can_be_named(self, models: Models) -> None:
        first, second = offered(models, 1), offered(models, 2)
        with models.use(Address("digits")) as newest, models.use(Address("digits", 1)) as named:
            assert (newest, named) == (second, first)

    def test_a_version_in_use_is_withdrawn_but_not_handed_out(self, models: Models) -> None:
        offered(models, 1)
        with models.use(Address("digits")):
            assert models.withdraw("digits", 1, timeout_seconds=0.01) is None
            assert models.states(Address("digits"))[0].state is State.UNLOADING
            with pytest.raises(StatusError, match="not found"), models.use(Address("digits")):
                pass

    def test_withdrawing_waits_for_the_last_request(self, models: Models) -> None:
        """And no longer: an hour would be too long for this test."""
        servable = offered(models, 1)
        with ThreadPoolExecutor(1) as threads:
            with models.use(Address("digits")):
                withdrawn = threads.submit(models.withdraw, "digits", 1, 3600)
                while models.states(Address("digits"))[0].state is not State.UNLOADING:
                    assert not withdrawn.done()
            assert withdrawn.result(30) is cast("Any", servable)


Become = Callable[..., None]
Wait = Callable[[Callable[[], bool]], None]


@dataclass
class World:
    """Loads that the test decides, and what became of them.

    Attributes:
        broken: versions that cannot be loaded.
        loaded: what was loaded last under a number.
        at_work: versions that are being loaded; they stay until ``go`` is set.
    """

    broken: set[int] = field(default_factory=set)
    loaded: dict[int, FakeServable] = field(default_factory=dict)
    at_work: list[tuple[str, int]] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)

    def load(self, name: str, version: int, folder: Path) -> Any:
        self.at_work.append((name, version))
        assert self.go.wait(30)
        if version in self.broken:
            raise invalid(f"{folder} is torn")
        self.loaded[version] = FakeServable(version, name)
        return self.loaded[version]


class TestManager:
    """Which versions come and go."""

    @pytest.fixture
    def world(self) -> World:
        world = World()
        world.go.set()
        return world

    @pytest.fixture
    def manager(self, models: Models, world: World) -> Iterator[VersionManager]:
        manager = VersionManager(models, world.load, Retries(1, 0.1))
        manager.start()
        yield manager
        world.go.set()
        assert manager.stop(30)

    @pytest.fixture
    def become(self, manager: VersionManager, models: Models, wait_until: Wait) -> Become:
        """Says which versions are to be served, and waits until the states are as given."""

        def become(*wanted: int, **states: str) -> None:
            manager.aspire("digits", {number: Path(f"/m/{number}") for number in wanted})
            expected = {int(key[1:]): state for key, state in states.items()}

            def are_so() -> bool:
                seen = models.all_states("digits")
                return {number: each.state.name for number, each in seen.items()} == expected

            wait_until(are_so)

        return become

    def test_there_and_back(self, become: Become, world: World) -> None:
        become(1, v1="AVAILABLE")
        become(2, v1="END", v2="AVAILABLE")
        assert world.loaded[1].closed
        become(1, v1="AVAILABLE", v2="END")
        assert world.loaded[2].closed
        assert not world.loaded[1].closed

    def test_several_at_once(self, become: Become, models: Models) -> None:
        become(1, 2, 3, v1="AVAILABLE", v2="AVAILABLE", v3="AVAILABLE")
        become(2, 4, v1="END", v2="AVAILABLE", v3="END", v4="AVAILABLE")
        with models.use(Address("digits")) as newest:
            assert newest.version == 4

    def test_a_failed_version_is_not_tried_again_until_another_was_served(
        self, become: Become, world: World
    ) -> None:
        """As in TF Serving: putting it right under the same number is not enough."""
        world.broken.add(2)
        become(1, v1="AVAILABLE")
        become(2, v1="AVAILABLE", v2="END")
        assert world.at_work == [("digits", 1), ("digits", 2), ("digits", 2)]
        world.broken.clear()
        become(1, v1="AVAILABLE", v2="END")
        become(2, v1="AVAILABLE", v2="END")
        become(3, v1="END", v2="END", v3="AVAILABLE")
        become(2, v1="END", v2="AVAILABLE", v3="END")

    def test_the_last_version_goes_too(self, become: Become) -> None:
        become(1, v1="AVAILABLE")
        become(v1="END")
        become(1, v1="AVAILABLE")

    def test_a_version_that_nobody_wants_when_it_is_loaded(
        self, become: Become, world: World, models: Models
    ) -> None:
        world.go.clear()
        become(1, v1="LOADING")
        become(2, v1="LOADING", v2="START")
        world.go.set()
        become(2, v1="END", v2="AVAILABLE")
        assert str(models.all_states("digits")[1].error) == (
            "CANCELLED: Loading of servable cancelled"
        )
        assert world.loaded[1].closed

    def test_a_version_that_is_wanted_again_before_it_is_gone(
        self, become: Become, manager: VersionManager, models: Models, world: World
    ) -> None:
        become(1, v1="AVAILABLE")
        before = world.loaded[1]
        with models.use(Address("digits")):
            become(2, v1="UNLOADING", v2="AVAILABLE")
            manager.aspire("digits", {1: Path("/m/1")})
        become(1, v1="AVAILABLE", v2="END")
        assert before.closed
        assert not world.loaded[1].closed

    @pytest.mark.parametrize(("threads", "at_once"), [(0, 1), (1, 1), (2, 2), (9, 4)])
    def test_so_many_are_loaded_at_a_time(
        self,
        manager: VersionManager,
        world: World,
        models: Models,
        wait_until: Wait,
        threads: int,
        at_once: int,
    ) -> None:
        manager.set_load_threads(threads)
        world.go.clear()
        for name in ("a", "b"):
            manager.aspire(name, {1: Path("/1"), 2: Path("/2")})
        wait_until(lambda: len(world.at_work) == at_once)
        wait_until(lambda: len(models.all_states("b")) == 2)
        assert len(world.at_work) == at_once
        world.go.set()
        wait_until(
            lambda: [v.state.name for v in models.all_states("b").values()] == ["AVAILABLE"] * 2
        )

    def test_waiting_for_another_attempt_holds_up_no_other_model(
        self, models: Models, world: World, wait_until: Wait
    ) -> None:
        manager = VersionManager(models, world.load, Retries(5, 600))
        manager.start()
        world.broken.add(1)
        manager.aspire("a", {1: Path("/1")})
        wait_until(lambda: world.at_work == [("a", 1)])
        manager.aspire("b", {2: Path("/2")})
        wait_until(lambda: 2 in world.loaded)
        assert manager.stop(30)
        assert models.all_states("a")[1].state is State.LOADING


def test_tensorflow_is_not_needed_to_think_about_versions() -> None:
    """It must not come into this process, where PyTorch may be."""
    program = "import serving.tfserving.embedded.versions.manager, sys; sys.exit('tensorflow' in sys.modules)"
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    assert done.returncode == 0
