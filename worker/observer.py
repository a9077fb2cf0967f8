"""What a browser context does beside the calls that we wait for: answers, failures, popups, crashes.

Playwright runs event handlers inside whatever call is being answered, and an exception in one surfaces there; so
every handler is wrapped. Dialogs get no handler: without one they close themselves.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from loguru import logger
from playwright.async_api import BrowserContext, ConsoleMessage, Download, Page, Request, Response, WebError
from playwright.async_api import Error as PlaywrightError

from worker.hosts import is_foreign
from worker.masking import Mask
from worker.traffic import Traffic

_KEPT = 20
_MOST_BLOCKED = 100
"""Hosts that are reported; a site that wants more of them has been reported enough."""

Subject = TypeVar("Subject")


class Navigation(msgspec.Struct, frozen=True):
    """An answer to a navigation, as its header fields came."""

    url: str
    status: int
    headers: dict[str, str]


class Observer:
    """Listens to one context for as long as it lives."""

    def __init__(self, context: BrowserContext, mask: Mask, traffic: Traffic, hosts: tuple[str, ...] = ()) -> None:
        self._mask = mask
        self._traffic = traffic
        self._hosts = hosts
        self._blocked: set[str] = set()
        self._main: Page | None = None
        self._pending: dict[int, str] = {}
        self.requests: deque[str] = deque(maxlen=_KEPT)
        """The last answers, one line each, masked."""
        self.console: deque[str] = deque(maxlen=_KEPT)
        """The last errors on the console and in scripts, masked."""
        self.popups: list[Page] = []
        self.last_navigation: Navigation | None = None
        self.last_refusal: tuple[int, str] | None = None
        """Status and URL of the last answer of 400 or above, navigation or not."""
        self.broken: tuple[str, str] | None = None
        """URL and Chromium's error of the last navigation, when that did not come to an answer."""
        self.crashed: asyncio.Event = asyncio.Event()
        self.on_navigation: Callable[[Navigation], None] | None = None
        self.on_broken_navigation: Callable[[str, str], None] | None = None
        """Called with URL and Chromium's error name."""
        self.on_download: Callable[[Download], None] | None = None
        context.on("page", guarded(self._opened))
        context.on("request", guarded(self._requested))
        context.on("response", guarded(self._answered))
        context.on("requestfailed", guarded(self._failed))
        context.on("console", guarded(self._printed))
        context.on("weberror", guarded(self._raised))

    def attend(self, page: Page) -> None:
        """Take `page` for the main one: its crash is the attempt's, any other page is a popup."""
        self._main = page
        self.popups = [popup for popup in self.popups if popup is not page]
        self._pending.clear()
        self.crashed = asyncio.Event()
        crashed = self.crashed
        page.on("crash", guarded(lambda _page: crashed.set()))
        page.on("download", guarded(self._downloading))

    def begin(self) -> None:
        """Forget what earlier work left, so that evidence is about this one."""
        self.requests.clear()
        self.console.clear()
        self.last_navigation = self.last_refusal = self.broken = None

    @property
    def navigating(self) -> bool:
        """The page waits for the answer to its navigation; until then even `evaluate` on the old one waits (measured).

        A frame in it does not hold it up, nor does a popup, which tells nothing of its navigation when it is closed.
        """
        return bool(self._pending)

    @property
    def awaited(self) -> list[str]:
        """The URLs whose answers the page waits for."""
        return list(self._pending.values())

    def _opened(self, page: Page) -> None:
        if self._main is None or page is self._main:
            return
        self.popups.append(page)
        page.on("download", guarded(self._downloading))

    def _requested(self, request: Request) -> None:
        self._traffic.count(request.url)
        if request.is_navigation_request() and self._is_of_the_page(request):
            self._pending[id(request._impl_obj)] = request.url  # noqa: SLF001 - the wrapper is made anew for each event

    def _is_of_the_page(self, request: Request) -> bool:
        try:
            return self._main is not None and request.frame == self._main.main_frame
        except PlaywrightError:
            return False  # of a popup whose frame is not there yet

    def _answered(self, response: Response) -> None:
        request = response.request
        self.note(f"{response.status} {request.method} {response.url}")
        if response.status >= 400:  # noqa: PLR2004 - HTTP's border between answers and refusals
            self.last_refusal = (response.status, response.url)
        if request.is_navigation_request():
            self._pending.pop(id(request._impl_obj), None)  # noqa: SLF001 - as in _requested
            self.broken = None
            self.last_navigation = Navigation(response.url, response.status, response.headers)
            if self.on_navigation is not None:
                self.on_navigation(self.last_navigation)

    def _failed(self, request: Request) -> None:
        foreign = is_foreign(request.url, self._hosts)
        self.note(f"{'blocked' if foreign else request.failure} {request.method} {request.url}")
        if foreign:
            self._report(urlsplit(request.url).hostname or "")
        if request.is_navigation_request():
            self.broken = (request.url, request.failure or "")
            self._pending.pop(id(request._impl_obj), None)  # noqa: SLF001 - as in _requested
            if self.on_broken_navigation is not None:
                self.on_broken_navigation(request.url, request.failure or "")

    def _report(self, host: str) -> None:
        if host not in self._blocked and len(self._blocked) < _MOST_BLOCKED:
            self._blocked.add(host)
            logger.warning("blocked: the site wants something of {}, which the recipe does not allow", host)

    def _printed(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console.append(self._mask(message.text)[:500])

    def _raised(self, error: WebError) -> None:
        text = str(error.error).partition("\n")[0]
        self.console.append(self._mask(f"uncaught in a script: {text}")[:500])

    def _downloading(self, download: Download) -> None:
        if self.on_download is not None:
            self.on_download(download)

    def note(self, line: str) -> None:
        """Remember an answer, in one line."""
        self.requests.append(self._mask(line)[:500])


def guarded(handler: Callable[[Subject], Any]) -> Callable[[Subject], None]:
    """Return `handler` with its exceptions logged: left alone they would surface in the next unrelated call."""

    def handle(subject: Subject) -> None:
        try:
            handler(subject)
        except Exception:  # noqa: BLE001 - whatever it is, it must not reach Playwright
            logger.exception("an event handler failed")

    return handle
