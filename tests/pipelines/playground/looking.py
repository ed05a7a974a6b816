"""A page of the playground in a real browser, and what people ask of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PHONE, DESKTOP = (390, 844), (1280, 800)
PATIENCE_MS = 180_000
"""A deadline, never a measurement."""
CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map((number, place) =>
    Number(number) * (text.startsWith("color(srgb") && place < 3 ? 255 : 1));
  const over = (top, under) => {
    const a = top[3] ?? 1;
    return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const own = node ? parse(getComputedStyle(node).backgroundColor) : [255, 255, 255, 1];
    return (own[3] ?? 1) === 1 ? own.slice(0, 3) : over(own, ground(node.parentElement));
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const words = [...node.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
    if (!words.length || !node.offsetParent || node.closest(".unseen, .skip, :disabled, .off")) continue;
    const style = getComputedStyle(node);
    const behind = ground(node);
    const ink = parse(style.color);
    ink[3] = (ink[3] ?? 1) * Number(style.opacity);
    const [a, b] = [light(over(ink, behind)), light(behind)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${node.className}: ${words[0].textContent} ${ratio.toFixed(2)}`);
  }
  return poor;
}
"""
"""Words that stand out too little: WCAG's 4.5, or 3 where they are large."""
UNNAMED = """
() => [...document.querySelectorAll("input, button, canvas, progress, select")].filter((node) => node.offsetParent
  && !node.labels?.length && !node.getAttribute("aria-label") && !node.textContent.trim()
  && node.getAttribute("aria-hidden") !== "true").map((node) => node.outerHTML)
"""
"""Controls that a screen reader has no name for."""


class Shown:
    """Playwright's page, and more verbs.

    Args:
        page: Playwright's.
        size: width and height, pixels.
        problems: what it has complained about: console, exceptions, requests to elsewhere.
    """

    def __init__(self, page: Any, size: tuple[int, int], problems: list[str]) -> None:
        self.page = page
        self.size = size
        self.problems = problems

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def answered(self, *, winner: int | None = None) -> Any:
        """The cards that show an answer."""
        return self.locator(
            '.engine[data-state="answered"]'
            + ("" if winner is None else f'[data-winner="{winner}"]')
        )

    def says(self, words: str) -> None:
        """Wait until the verdict holds these words, a regular expression."""
        self.locator("#verdict", has_text=re.compile(words)).wait_for()

    def warns(self, words: str) -> None:
        """Wait until the alert holds these words; it is hidden for ``""``."""
        if words:
            self.locator("#alert", has_text=words).wait_for()
        else:
            self.locator("#alert").wait_for(state="hidden")

    def serves(self, server: str, words: str) -> None:
        """Wait until the server's pill says this of its version."""
        self.locator(f'.pill[data-server="{server}"] .pill-version', has_text=words).wait_for()

    def can_be_read(self) -> None:
        """Nothing is wider than the screen, every word stands out, every control has a name."""
        assert self.evaluate("document.documentElement.scrollWidth") == self.size[0]
        assert self.evaluate(CONTRAST) == []
        assert self.evaluate(UNNAMED) == []


@contextmanager
def shown(
    browser: Any, url: str, size: tuple[int, int] = DESKTOP, dark: bool = False, **more: Any
) -> Iterator[Shown]:
    """The page in a context of its own; at the end it must not have complained about anything."""
    problems: list[str] = []

    def elsewhere(asked: str) -> None:
        if not asked.startswith(url):
            problems.append(f"request to {asked}")

    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        **more,
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda said: problems.append(said.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda asked: elsewhere(asked.url))
    try:
        page.goto(url)
        yield Shown(page, size, problems)
    finally:
        context.close()
    assert problems == [], (
        "console, exceptions, requests to elsewhere: also what the policy refuses"
    )
