"""A picture of the page now and then during attempts, for those who look at the status page.

It is taken past Playwright, by the protocol's own Page.captureScreenshot: that runs no script in the page, waits for
no font, and does not stand in the queue in which the evidence's screenshot would have to wait for it.
"""

import asyncio
import base64
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from loguru import logger
from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from worker.browser import Browser
from worker.deadlines import Overdue, within

_DEADLINE = 2.0
_LOOK_EVERY = 1.0
"""Seconds after which one looks again when nothing was to be seen, or the page was busy."""
_QUALITY = 55
_SCALE = 0.5


class Frame:
    """Where the picture hangs: its folder is the supervisor's, and only its owner may look into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Another one once a spare has got its slot."""


async def look_out(browser: Browser, frame: Frame, interval: float, at_work: Callable[[], bool]) -> None:
    """Keep a small JPEG of the page in `frame`, at most `interval` seconds old while there is work, for ever.

    Args:
        browser: whose page.
        frame: where the picture is to be.
        interval: seconds from one to the next.
        at_work: there is an attempt in hand.
    """
    while True:
        if at_work() and _is_calm(browser):
            await _take(browser.page, frame.path)
            await asyncio.sleep(interval)
        else:
            await asyncio.sleep(min(interval, _LOOK_EVERY))


def _is_calm(browser: Browser) -> bool:
    """Nothing is under way that a picture would have to wait for."""
    return browser.has_page and not browser.observer.navigating and not browser.observer.crashed.is_set()


async def _take(page: Page, path: Path) -> None:
    try:
        content = await within(_DEADLINE, _capture(page), "a picture of the page")
        await asyncio.to_thread(_replace, path, content)
    except (Overdue, PlaywrightError) as error:
        logger.debug("no picture: {}", str(error).partition("\n")[0])
    except OSError as error:  # the disk is full, or the run has just ended
        logger.debug("the picture cannot be written: {}", error.strerror)


async def _capture(page: Page) -> bytes:
    size = page.viewport_size or {"width": 1024, "height": 768}
    session = await page.context.new_cdp_session(page)
    try:
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": _SCALE}
        options = {"format": "jpeg", "quality": _QUALITY, "clip": clip, "optimizeForSpeed": True}
        answer = await session.send("Page.captureScreenshot", options)
    finally:
        await _detach(session)
    return base64.b64decode(answer["data"])


async def _detach(session: CDPSession) -> None:
    with contextlib.suppress(Overdue, PlaywrightError):  # it goes with its page then
        await within(_DEADLINE, session.detach(), "letting go of the page")


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, because nobody else may read it even for a moment
        file.write(content)
    beside.replace(path)
