"""Runs a recipe's work under its deadline, and ends it early when its page is beyond help."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from loguru import logger

from worker.browser import Browser, answers
from worker.deadlines import consume
from worker.failures import classify, describe
from worker.protocol import Kind
from worker.site import SiteFailure

_GRACE = 1.0
"""Seconds that cancelled work gets to end."""

_ANSWER_SECONDS = 2.0
"""After a stalled download: a browser that does not answer for so long is what stalled it, and not the site."""

_PING_EVERY = 2.0
_LOOK = 0.5
"""The longest single wait while a ping is out: a machine that was suspended counts as this much silence."""

_HUNG_AFTER = 10.0
"""Seconds of silence after which a page counts as hung. A script that runs so long in one go helps nobody."""


class Watched:
    """Runs one piece of work at a time; remembers work that refused to end."""

    def __init__(self, browser: Browser, recipe_file: str) -> None:
        self._browser = browser
        self._recipe_file = recipe_file
        self._stubborn: set[asyncio.Future[Any]] = set()

    @property
    def has_stubborn_work(self) -> bool:
        """Cancelled work is still running: nothing else may be started in this process."""
        return any(not task.done() for task in self._stubborn)

    async def run(self, work: Coroutine[Any, Any, None], deadline: float) -> SiteFailure | None:
        """Return None when `work` succeeded within `deadline` seconds, otherwise why it did not; it has ended then."""
        task = asyncio.create_task(work)
        trouble = asyncio.create_task(watch(self._browser))
        try:
            await asyncio.wait({task, trouble}, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await self._outcome(task)
            if trouble.done():
                return trouble.result()
            return SiteFailure(Kind.TIMEOUT, f"it took longer than {deadline:g} s")
        finally:
            trouble.cancel()
            await self._end(task)

    async def _outcome(self, task: "asyncio.Task[None]") -> SiteFailure | None:
        if task.cancelled():
            return SiteFailure(Kind.RECIPE_ERROR, "the recipe cancelled its own work")
        error = task.exception()
        if error is None:
            return None
        alive = self._browser.alive and not await self._goes_away()
        failure = classify(error, browser_alive=alive, recipe_file=self._recipe_file)
        if failure.kind is Kind.DOCUMENT_STALLED and not await answers(self._browser.page, _ANSWER_SECONDS):
            failure = SiteFailure(Kind.PAGE_HUNG, "the browser stopped answering in the middle of a download")
        if failure is not error:
            failure.__cause__ = error
        return failure

    async def _goes_away(self) -> bool:
        """A dying browser fails the calls first and is reported gone a moment later."""
        gone = asyncio.create_task(self._browser.gone.wait())
        await asyncio.wait({gone}, timeout=0.1)
        gone.cancel()
        return self._browser.gone.is_set()

    async def _end(self, task: "asyncio.Task[None]") -> None:
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=_GRACE)
        task.add_done_callback(consume)
        if not task.done():
            logger.warning("the recipe goes on although it was cancelled")
            self._stubborn.add(task)
            task.add_done_callback(self._stubborn.discard)
        elif not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("the cancelled work ended with {}", describe(error, self._recipe_file))


async def watch(browser: Browser) -> SiteFailure:
    """Return once the page crashed, its process hangs or the browser is gone; for ever silent while all is well."""
    crashed = asyncio.create_task(browser.observer.crashed.wait())
    gone = asyncio.create_task(browser.gone.wait())
    try:
        while True:
            await asyncio.wait({crashed, gone}, timeout=_PING_EVERY, return_when=asyncio.FIRST_COMPLETED)
            hung = not (crashed.done() or gone.done()) and await _hangs(browser, crashed, gone)
            if gone.done():
                return SiteFailure(Kind.BROWSER_LOST, "the browser went away during the work")
            if crashed.done():
                return SiteFailure(Kind.PAGE_CRASHED, "the page's process crashed")
            if hung:
                return SiteFailure(Kind.PAGE_HUNG, f"the page's process did not answer for {_HUNG_AFTER:.0f} s")
    finally:
        crashed.cancel()
        gone.cancel()


async def _hangs(browser: Browser, crashed: "asyncio.Task[Any]", gone: "asyncio.Task[Any]") -> bool:
    call: asyncio.Future[Any] = asyncio.ensure_future(browser.page.evaluate("1"))
    call.add_done_callback(consume)
    silence = 0.0
    try:
        while silence < _HUNG_AFTER:
            await asyncio.wait({call, crashed, gone}, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
            if call.done() or crashed.done() or gone.done():
                return False
            # Without an answer to a navigation the old page does not answer either: that is the site's silence.
            silence = 0.0 if browser.observer.navigating else silence + _LOOK
        return True
    finally:
        call.cancel()
