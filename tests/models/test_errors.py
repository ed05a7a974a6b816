"""The tree of errors: what the docstring draws is what there is."""

from __future__ import annotations

import re

import pytest

from models import errors
from models.errors import (
    ArtifactCorrupt,
    ChecksFailed,
    TwinServeError,
    Unreachable,
    WorkerError,
    error_named,
)

CLASSES = {
    name: each
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, TwinServeError)
}


def drawn() -> dict[str, str]:
    """Parent by name, as the module's docstring draws it."""
    tree: dict[str, str] = {}
    above = ["TwinServeError"]
    for indent, name in re.findall(r"^    ((?:[│├└─ ]{4})+)(\w+) ", errors.__doc__ or "", re.M):
        depth = len(indent) // 4
        tree[name] = above[depth - 1]
        above[depth:] = [name]
    return tree


def test_the_docstring_draws_the_tree_as_it_is():
    actual = {
        name: each.__bases__[0].__name__
        for name, each in CLASSES.items()
        if each is not TwinServeError
    }
    assert drawn() == actual


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_is_found_by_its_name_and_ends_with_a_failure(name):
    assert error_named(name) is CLASSES[name]
    assert CLASSES[name].exit_code != 0


@pytest.mark.parametrize("name", ["ValueError", "annotations", "error_named", "", "NoSuchError"])
def test_a_name_that_is_not_ours_is_a_workers_error(name):
    assert error_named(name) is WorkerError


def test_message_and_hint_are_one_text():
    error = ArtifactCorrupt("It is corrupt.", "Make it again.")
    assert (error.message, error.hint) == ("It is corrupt.", "Make it again.")
    assert str(error) == "It is corrupt. Make it again."
    assert str(ArtifactCorrupt("It is corrupt.")) == "It is corrupt."


def test_what_further_is_known_stays_with_the_error():
    assert Unreachable("no answer", "UNAVAILABLE").status == "UNAVAILABLE"
    assert ChecksFailed("2 of 3 failed.", "See it.", "index.html").report == "index.html"
