"""``python docs/pictures.py [index.html]``: the first screen of a report as ``docs/pictures/report.png``.

Without a path it takes version 1 of the digits, the report that ``make demo`` writes first. Needs a Chromium.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "artifacts/digits/1/report/index.html"
PICTURE = PROJECT / "docs/pictures/report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT = 1280, 960


def take(page: Path, picture: Path, browser: str) -> None:
    """Draw ``page`` in light mode, without a pointer, and write its first screen as PNG."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        try:
            size = {"width": WIDTH, "height": HEIGHT}
            tab = chromium.new_page(viewport=size, color_scheme="light")
            tab.goto(page.resolve().as_uri())
            tab.screenshot(path=picture)
        finally:
            chromium.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", default=PAGE)
    page = parser.parse_args().page
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if not page.is_file():
        parser.error(f"{page} is not there; run `make demo` first")
    if browser is None:
        parser.error(f"no Chromium on the PATH (looked for {', '.join(BROWSERS)})")
    take(page, PICTURE, browser)
    print(PICTURE)


if __name__ == "__main__":
    main()
