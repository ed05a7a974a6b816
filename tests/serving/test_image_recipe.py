"""Which images there are and what they hold, as far as that is known without an engine."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from models.errors import ServerMissing
from serving import image_recipe
from serving.image_building import collect_packages
from serving.image_recipe import (
    Image,
    copy_sources,
    embedded_recipe,
    official_name,
    torchserve_recipe,
)

RECIPES = [torchserve_recipe(), embedded_recipe()]
PROJECT = image_recipe.PROJECT


def pinned() -> dict[str, str]:
    lines = (PROJECT / "requirements" / "main.txt").read_text().splitlines()
    pins = [line for line in lines if "==" in line and line[0] != " "]
    later = "python_full_version >= '3.12'"  # than the image's Python
    return dict(line.split(" ")[0].split("==") for line in pins if later not in line)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.label)
def test_the_packages_are_pinned_as_everything_else(recipe: Image):
    found = dict(pin.split("==") for pin in recipe.pins())
    assert found
    assert {name: pinned()[name] for name in found} == found


def test_names_hold_the_versions_that_matter():
    pins = pinned()
    torchserve, embedded = (recipe.name for recipe in RECIPES)
    assert torchserve == f"twinserve/torchserve:{pins['torchserve']}-torch{pins['torch']}"
    assert embedded == f"twinserve/tfserving-embedded:{pins['tensorflow']}"
    assert official_name() == f"tensorflow/serving:{pins['tensorflow-serving-api']}"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.label)
def test_everything_that_is_copied_is_there_and_not_ignored(recipe: Image):
    """A plain `docker build` reads .dockerignore, which lets nothing through but what it names."""
    allowed = [
        line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    for source in copy_sources((PROJECT / recipe.dockerfile).read_text()):
        if not source.startswith("build/"):
            assert list(PROJECT.glob(source)), f"{source} is not there"
        assert any(Path(source).match(pattern) for pattern in allowed), f"{source} is ignored"


def test_copy_sources_are_read_as_they_stand():
    text = "FROM x\nCOPY a b/*.py \\\n  c /to/\nCOPY --from=x /y /z\nRUN echo COPY d /e\n"
    assert copy_sources(text) == ["a", "b/*.py", "c"]


def test_the_digest_is_of_what_goes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_recipe, "PROJECT", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "main.txt").write_text("numpy==1.0\nhttpx==2.0\n")
    (tmp_path / "Dockerfile").write_text("FROM x\nCOPY in.txt /\n")
    (tmp_path / "names.in").write_text("# a remark\nnumpy\n")
    for name in ("in.txt", "out.txt"):
        (tmp_path / name).write_text("1")
    image = Image("twinserve/a:1", "A", "Dockerfile", "names.in", ())
    before = image.digest()
    (tmp_path / "out.txt").write_text("2")
    assert image.digest() == before
    (tmp_path / "in.txt").write_text("2")
    changed = image.digest()
    assert changed != before
    (tmp_path / "names.in").write_text("numpy\nhttpx\n")
    assert image.digest() != changed


def test_a_package_that_is_not_pinned_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_recipe, "PROJECT", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "main.txt").write_text("numpy==1.0\n")
    (tmp_path / "names.in").write_text("numpy\nno-such-package\n")
    with pytest.raises(ServerMissing, match="no-such-package, which requirements"):
        Image("twinserve/a:1", "A", "Dockerfile", "names.in", ()).pins()


def test_packages_are_collected_once_and_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With a `uv` that writes down what it is asked for, and what it cannot find says so."""
    monkeypatch.setattr(image_recipe, "PROJECT", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "main.txt").write_text(
        "numpy==1.0 ; python_full_version < '3.12'\nnumpy==2.0 ; python_full_version >= '3.12'\n"
    )
    (tmp_path / "names.in").write_text("torch\nnumpy\n")
    asked = tmp_path / "asked"
    fake = tmp_path / "bin" / "uv"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\necho "$@" >> {asked}\n'
        'case "$*" in *+cpu*) echo no such build >&2; exit 1;; esac\n'
        'while [ "$1" != --target ]; do shift; done\nmkdir -p "$2/numpy/tests" "$2/numpy/core"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake.with_name("python")))
    image = Image("twinserve/a:1", "A", "Dockerfile", "names.in", ("**/tests",))
    folder = collect_packages(image, "x86_64", print)
    assert sorted(path.name for path in (folder / "numpy").iterdir()) == ["core"]
    # First the CPU's build wherever the user's settings find one, then PyTorch's own index.
    first, second = asked.read_text().splitlines()
    assert re.search(r"torch==[\d.]+\+cpu ", first)
    assert "--torch-backend cpu" in second
    assert "numpy==1.0" in second
    assert "x86_64-manylinux_2_28" in second
    collect_packages(image, "x86_64", print)
    assert len(asked.read_text().splitlines()) == 2
    collect_packages(image, "aarch64", print)
    assert len(asked.read_text().splitlines()) == 4
    fake.write_text("#!/bin/sh\necho no index answers >&2\nexit 2\n")
    with pytest.raises(ServerMissing, match="no index answers"):
        collect_packages(image, "riscv64", print)
    assert folder.is_dir()  # what was there is still whole
