"""``python docs/pictures.py {report,retraining} [index.html]``: a page's first screen, below ``docs/pictures/``.

Without a path it takes version 1 of the digits, the report that ``make demo`` writes first; or the timeline of
``make retrain``. Needs a Chromium.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
PICTURES = PROJECT / "docs/pictures"
PAGES = {
    "report": (PROJECT / "artifacts/digits/1/report/index.html", "make demo"),
    "retraining": (PROJECT / "artifacts/flights/retrain/index.html", "make retrain"),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH = 1280
HEIGHTS = {"report": 960, "retraining": 1070}


def take(page: Path, picture: Path, height: int, browser: str) -> None:
    """Draw ``page`` in light mode, without a pointer, and write its first screen as PNG."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        try:
            size = {"width": WIDTH, "height": height}
            tab = chromium.new_page(viewport=size, color_scheme="light")
            tab.goto(page.resolve().as_uri())
            tab.screenshot(path=picture)
        finally:
            chromium.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PAGES)
    parser.add_argument("page", type=Path, nargs="?")
    options = parser.parse_args()
    usual, command = PAGES[options.name]
    page = options.page or usual
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if not page.is_file():
        parser.error(f"{page} is not there; run `{command}` first")
    if browser is None:
        parser.error(f"no Chromium on the PATH (looked for {', '.join(BROWSERS)})")
    picture = PICTURES / f"{options.name}.png"
    take(page, picture, HEIGHTS[options.name], browser)
    print(picture)


if __name__ == "__main__":
    main()
