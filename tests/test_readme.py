"""What README and docs point to is there, and the newest entry of CHANGELOG is this version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
RELEASE = re.compile(r"^## \[?(\d+\.\d+\.\d+)\]?", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    assert [link for link in links_of(page) if not leads_somewhere(page, link)] == []


def test_readme_is_among_the_pages_and_has_links() -> None:
    assert PROJECT / "README.md" in PAGES
    assert len(links_of(PROJECT / "README.md")) > 3


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    stated = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    releases = RELEASE.findall((PROJECT / "CHANGELOG.md").read_text())
    assert releases[:1] == [stated]


def links_of(page: Path) -> list[str]:
    """Targets of a page's links and pictures inside the project."""
    text = FENCED.sub("", page.read_text())
    return [link for link in LINK.findall(text) if not link.startswith(("http://", "https://"))]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or PROJECT not in target.parents:
        return False
    return not fragment or target.suffix != ".md" or fragment in anchors_of(target)


def anchors_of(page: Path) -> set[str]:
    """What GitHub calls a page's headings."""
    headings = HEADING.findall(FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", h.strip().lower()).replace(" ", "-") for h in headings}
