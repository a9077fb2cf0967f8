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

_PING_EVERY = 1.0
_LOOK = 0.5
"""The longest single wait while a ping is out: a machine that was suspended counts as this much silence."""

_HUNG_AFTER = 10.0
"""Seconds of silence after which a page counts as hung. A script that runs so long in one go helps nobody."""

_SPUN = 2.0
"""Seconds of processor time that silent pages may use before they count as hung, when there is another chance.

Not of the clock: on a busy machine a page that is fine may wait for the processor for as long.
"""


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

    async def run(
        self, work: Coroutine[Any, Any, None], deadline: float, overdue: asyncio.Event, *, patient: bool
    ) -> SiteFailure | None:
        """Return None when `work` succeeded within `deadline` seconds, otherwise why it did not; it has ended then.

        Args:
            work: what the recipe does.
            deadline: in seconds from now.
            overdue: set when a step takes longer than it may.
            patient: there is no other chance, so a page that is busy for long gets its time.
        """
        task = asyncio.create_task(work)
        ward = Ward(self._browser, patient=patient)
        trouble = asyncio.create_task(ward.watch())
        late = asyncio.create_task(overdue.wait())
        try:
            await asyncio.wait({task, trouble, late}, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await self._outcome(task)
            failure = self._trouble(trouble, ward, late=late.done(), deadline=deadline)
            if failure.kind is Kind.PAGE_HUNG:
                await self._browser.kill_pages()
            return failure
        finally:
            trouble.cancel()
            late.cancel()
            await self._end(task)

    def _trouble(
        self, trouble: "asyncio.Task[SiteFailure]", ward: "Ward", *, late: bool, deadline: float
    ) -> SiteFailure:
        if trouble.done():
            return trouble.result()
        if not late:
            return SiteFailure(Kind.TIMEOUT, f"it took longer than {deadline:g} s")
        if ward.silence:
            return SiteFailure(Kind.PAGE_HUNG, f"the page's process did not answer for {ward.silence:.1f} s")
        return SiteFailure(Kind.STEP_TIMEOUT, "a step took longer than it may")

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


class Ward:
    """Watches over the page of one piece of work."""

    def __init__(self, browser: Browser, *, patient: bool) -> None:
        self._browser = browser
        self._patient = patient
        self.silence = 0.0
        """Seconds for which the page has not answered, up to now; 0 when it does."""

    async def watch(self) -> SiteFailure:
        """Return once the page crashed, its process hangs or the browser is gone; for ever silent while all is well."""
        browser = self._browser
        crashed = asyncio.create_task(browser.observer.crashed.wait())
        gone = asyncio.create_task(browser.gone.wait())
        try:
            while True:
                await asyncio.wait({crashed, gone}, timeout=_PING_EVERY, return_when=asyncio.FIRST_COMPLETED)
                hung = not (crashed.done() or gone.done()) and await self._hangs(crashed, gone)
                if gone.done():
                    return SiteFailure(Kind.BROWSER_LOST, "the browser went away during the work")
                if crashed.done():
                    return SiteFailure(Kind.PAGE_CRASHED, "the page's process crashed")
                if hung:
                    return SiteFailure(Kind.PAGE_HUNG, f"the page's process did not answer for {self.silence:.1f} s")
        finally:
            crashed.cancel()
            gone.cancel()

    async def _hangs(self, crashed: "asyncio.Task[Any]", gone: "asyncio.Task[Any]") -> bool:
        call: asyncio.Future[Any] = asyncio.ensure_future(self._browser.page.evaluate("1"))
        call.add_done_callback(consume)
        used: float | None = None
        try:
            while True:
                await asyncio.wait({call, crashed, gone}, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
                if call.done() or crashed.done() or gone.done():
                    self.silence = 0.0
                    return False
                # Without an answer to a navigation the old page does not answer either: that is the site's silence.
                self.silence = 0.0 if self._browser.observer.navigating else self.silence + _LOOK
                now = await asyncio.to_thread(self._browser.page_seconds)
                used = now if used is None or not self.silence else used
                if self.silence >= _HUNG_AFTER or (not self._patient and now - used >= _SPUN):
                    return True
        finally:
            call.cancel()
