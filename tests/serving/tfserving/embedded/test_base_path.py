"""Which of the folders under a base path are versions, and which of those are to be served."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from serving.tfserving.embedded.options.configuration import ModelSetup
from serving.tfserving.embedded.status import StatusError
from serving.tfserving.embedded.versions.base_path import (
    LATEST,
    Choice,
    VersionPolicy,
    is_relative,
    versions_to_serve,
)
from serving.tfserving.embedded.versions.folders import Folders

ALL = VersionPolicy(Choice.ALL)


def specific(*numbers: int) -> VersionPolicy:
    return VersionPolicy(Choice.SPECIFIC, numbers=frozenset(numbers))


def make(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).mkdir()


def names(folder: Path, policy: VersionPolicy) -> dict[int, str]:
    return {
        number: path.name
        for number, path in versions_to_serve("digits", str(folder), policy).items()
    }


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (LATEST, {20: "20"}),
        (VersionPolicy(count=0), {20: "20"}),
        (VersionPolicy(count=3), {20: "20", 10: "010", 9: "9"}),
        (VersionPolicy(count=99), {20: "20", 10: "010", 9: "9", -14: "-14"}),
        (ALL, {20: "20", 10: "010", 9: "09", -14: "-14"}),
        (specific(9), {9: "9"}),
        (specific(10), {10: "010"}),
        (specific(9, 20), {9: "9", 20: "20"}),
        (specific(9, 11), {9: "9"}),
        (specific(11), {}),
        (specific(), {}),
    ],
)
def test_policies(tmp_path: Path, policy: VersionPolicy, chosen: dict[int, str]) -> None:
    make(
        tmp_path,
        ("9", "09", "010", "20", "-14", "11a", ".incoming-12", "v13", "99999999999999999999"),
    )
    assert names(tmp_path, policy) == chosen


def test_a_file_with_a_number_for_a_name_counts(tmp_path: Path) -> None:
    """As in TF Serving; it cannot be loaded, and what is served stays."""
    make(tmp_path, ["1"])
    (tmp_path / "2").write_text("")
    assert names(tmp_path, LATEST) == {2: "2"}


def test_links_are_followed(tmp_path: Path) -> None:
    make(tmp_path, ["elsewhere", "base"])
    (tmp_path / "base" / "5").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "base", LATEST) == {5: "5"}


def test_a_base_path_without_versions_is_not_one_that_is_gone(tmp_path: Path) -> None:
    assert names(tmp_path, LATEST) == {}
    gone = tmp_path / "gone"
    with pytest.raises(StatusError) as refused:
        names(gone, LATEST)
    assert refused.value.message == (
        f"Could not find base path {gone} for servable digits with error NOT_FOUND: {gone} not found"
    )


def test_addresses(tmp_path: Path) -> None:
    make(tmp_path, ["1"])
    assert versions_to_serve("digits", f"file://{tmp_path}", LATEST) == {1: tmp_path / "1"}
    with pytest.raises(StatusError, match="UNIMPLEMENTED: File system scheme 'gs' not implemented"):
        versions_to_serve("digits", "gs://bucket/digits", LATEST)
    assert [is_relative(each) for each in ("a/b", "", "./a", "gs:a")] == [True] * 4
    assert [is_relative(each) for each in ("/a", "gs://b/a", "file:///a")] == [False] * 3


class TestFolders:
    """Looking again and again."""

    @pytest.fixture
    def told(self) -> list[tuple[str, set[int]]]:
        return []

    @pytest.fixture
    def folders(self, told: list[tuple[str, set[int]]]) -> Folders:
        return Folders(lambda name, wanted: told.append((name, set(wanted))))

    def test_a_base_path_that_is_gone_holds_up_no_other_model(
        self, folders: Folders, told: list[tuple[str, set[int]]], tmp_path: Path
    ) -> None:
        make(tmp_path, ["b", "b/1"])
        folders.update([ModelSetup("a", str(tmp_path / "a")), ModelSetup("b", str(tmp_path / "b"))])
        assert told == [("b", {1})]
        assert len(folders.missing(folders.names)) == 1

    def test_of_a_model_that_is_no_longer_configured_nothing_is_wanted(
        self, folders: Folders, told: list[tuple[str, set[int]]], tmp_path: Path
    ) -> None:
        make(tmp_path, ["1"])
        folders.update([ModelSetup("a", str(tmp_path)), ModelSetup("b", str(tmp_path))])
        told.clear()
        folders.update([ModelSetup("b", str(tmp_path), ALL)])
        assert told == [("a", set()), ("b", {1})]
        assert folders.names == {"b"}

    def test_the_same_is_not_said_with_every_look(
        self, folders: Folders, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        setup = ModelSetup("a", str(tmp_path / "a"))
        folders.update([setup])
        folders.look()
        assert len(caplog.records) == 1
        make(tmp_path, ["a"])
        folders.look()
        folders.look()
        assert len(caplog.records) == 2
        (tmp_path / "a").rmdir()
        folders.look()
        assert len(caplog.records) == 3
