"""The ladder of recoveries: the gentlest step first, each with a deadline, until a page works again."""

import time
from collections.abc import Awaitable, Callable

from loguru import logger
from playwright.async_api import Error as PlaywrightError

from worker.browser import Browser, BrowserError, answers
from worker.deadlines import Overdue, within
from worker.failures import classify
from worker.protocol import BrowserStarted, Kind
from worker.site import SiteFailure

_PING = 2.0

_PAGE_WORKS = {
    Kind.NETWORK,
    Kind.OFFLINE,
    Kind.CERTIFICATE,
    Kind.RATE_LIMITED,
    Kind.SERVER_ERROR,
    Kind.HTTP_ERROR,
    Kind.FORBIDDEN,
    Kind.NOT_FOUND,
    Kind.SESSION_EXPIRED,
}
"""Failures on the way back to the inventory that are the site's: the page itself did its work."""

_BROKEN_PAGE = {Kind.PAGE_HUNG, Kind.PAGE_CRASHED}
_BROKEN_BROWSER = {Kind.BROWSER_LOST}


class Unrecoverable(Exception):  # noqa: N818 - a state, told to the supervisor by the exit code
    """No rung of the ladder helped; a new process is needed."""


class Ladder:
    """Climbs from the page that is there to a new browser, as far as it takes."""

    def __init__(
        self,
        browser: Browser,
        recover: Callable[[], Awaitable[None]],
        launched: Callable[[BrowserStarted], None],
        budget: float,
    ) -> None:
        """`recover` goes back to the inventory; the whole climb takes at most about `budget` seconds."""
        self._browser = browser
        self._recover = recover
        self._launched = launched
        self._share = budget / 4

    async def climb(self, kind: Kind) -> None:
        """Make the worker able to work again after a failure of this kind.

        Raises:
            Unrecoverable: not even a new browser works.
        """
        rungs = self._rungs(kind)
        if not await self._browser.responds(_PING):
            rungs = rungs[-1:]
        for name, prepare in rungs:
            if await self._try(name, prepare):
                logger.info("recovered with {}", name)
                return
        raise Unrecoverable("not even a fresh browser works")

    def _rungs(self, kind: Kind) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        rungs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("the same page", self._same_page),
            ("a fresh page", self._browser.fresh_page),
            ("a fresh context", self._browser.fresh_context),
            ("a fresh browser", self._fresh_browser),
        ]
        if kind in _BROKEN_BROWSER or not self._browser.alive:
            return rungs[3:]
        if not self._browser.has_context:
            return rungs[2:]
        return rungs[1:] if kind in _BROKEN_PAGE or not self._browser.has_page else rungs

    async def _try(self, name: str, prepare: Callable[[], Awaitable[None]]) -> bool:
        last = prepare == self._fresh_browser
        began = time.monotonic()
        try:
            await within(self._share, prepare(), name)
            left = max(1.0, self._share - (time.monotonic() - began))
            try:
                await within(left, self._recover(), "going back to the inventory")
            except Exception as error:  # noqa: BLE001 - a recipe may raise anything
                failure = classify(error, browser_alive=self._browser.alive)
                self._judge(failure, name, last=last)
            return await answers(self._browser.page, _PING)
        except (SiteFailure, Overdue, PlaywrightError, BrowserError) as error:
            logger.warning("{} did not help: {}", name, str(error).partition("\n")[0])
            return False

    def _judge(self, failure: SiteFailure, name: str, *, last: bool) -> None:
        """Let pass what does not speak against the page. A new browser is as good as a new worker, recipe or not."""
        if failure.kind in _PAGE_WORKS or (last and self._browser.has_page):
            logger.warning("{}, but the inventory did not open: {}", name, failure)
            return
        raise failure

    async def _same_page(self) -> None:
        # A page that waits for an answer to its navigation cannot be pinged; opening the inventory ends that.
        if not self._browser.observer.navigating and not await answers(self._browser.page, _PING):
            raise SiteFailure(Kind.PAGE_HUNG, "the page does not answer")

    async def _fresh_browser(self) -> None:
        self._launched(await self._browser.relaunch())
