"""Questions to a page that cost little: one plain evaluation each.

Before the first use of a locator in a page Playwright loads its own scripts of 300 KB into it, twice when the locator
is evaluated. For a page that is opened, asked for its links and left again that was half of all its processor time.
"""

import asyncio
import time
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

PATIENCE = 30.0
"""Seconds that a page gets to show what is waited for, as many as Playwright's own calls have."""

_PAUSES = (0.02, 0.05, 0.1, 0.25)
"""Seconds between two questions; the last one again and again."""

_MOVED = ("Execution context was destroyed", "Cannot find context")
"""What `evaluate` says when the page moves on by itself in the middle of a question."""

_COUNT = "css => document.querySelectorAll(css).length"
_READ = """([css, attributes, inside]) => {
  const place = inside === null ? document : document.querySelector(inside);
  return place && [...place.querySelectorAll(css)].map(found => attributes.map(name => found.getAttribute(name) ?? ""));
}"""


async def count(page: Page, css: str) -> int:
    """Return how many elements of the page match.

    Raises:
        playwright.async_api.Error: the page is gone, or `css` is no selector.
    """
    answer: int = await _ask(page, _COUNT, css, time.monotonic() + PATIENCE)
    return answer


async def read(page: Page, css: str, attributes: tuple[str, ...], inside: str | None) -> list[dict[str, str]]:
    """Return the attributes of all elements that match, once there is an element that matches `inside`.

    An attribute that is not there is "".

    Raises:
        playwright.async_api.TimeoutError: it does not appear within `PATIENCE`.
        playwright.async_api.Error: the page is gone, or `css` or `inside` is no selector.
    """
    deadline = time.monotonic() + PATIENCE
    pauses = iter(_PAUSES)
    while True:
        found: list[list[str]] | None = await _ask(page, _READ, [css, attributes, inside], deadline)
        if found is not None:
            return [dict(zip(attributes, values, strict=True)) for values in found]
        if time.monotonic() > deadline:
            raise PlaywrightTimeout(f"{inside!r} did not appear within {PATIENCE:.0f} s")
        await asyncio.sleep(next(pauses, _PAUSES[-1]))  # the page may be one that moves on, and tells nobody when


async def _ask(page: Page, question: str, argument: object, deadline: float) -> Any:
    while True:
        try:
            return await page.evaluate(question, argument)
        except PlaywrightError as error:
            if time.monotonic() > deadline or not any(mark in error.message for mark in _MOVED):
                raise
