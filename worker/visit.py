"""What a recipe holds in its hand: the page, the steps, and the ways to bring documents home."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urldefrag, urljoin

from loguru import logger
from playwright.async_api import BrowserContext, Locator, Page, Response
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker import documents, hosts, questions
from worker.bringing import Bringer
from worker.deadlines import consume
from worker.documents import Staging
from worker.downloads import Trigger
from worker.failures import classify
from worker.judging import Judge
from worker.kit import Kit
from worker.names import proposed_name
from worker.observer import Navigation
from worker.protocol import Document, Kind, Step
from worker.site import SiteFailure
from worker.steps import NO_LIMITS, Steps

_LATE = 15.0
"""Seconds for which documents may take to appear on their page, where the recipe does not say."""

_LOOK = 0.1
_SETTLED = 0.5
"""Seconds without another document on the page after which these are taken for all."""

_MOVING = 1.0
"""Seconds for which a page may move on by itself (meta refresh) before it has to look like one of a logged-in user."""

_MOVED_ON = ("interrupted by another navigation", "net::ERR_ABORTED")
"""What `goto` says when the page before it was still on its way somewhere; once more then works."""

_BROWSERS_OWN = "chrome-error://"
"""Where the page is when a click led to what could not be reached."""

WaitUntil = Literal["commit", "domcontentloaded", "load", "networkidle"]

Name = str | Callable[[str], str]
"""The name of a document, or what makes one out of the name that the site proposes."""


class Visit:
    """One attempt at a reference, or one errand. A recipe gets a new one for each and must not keep it."""

    def __init__(
        self,
        kit: Kit,
        folder: Path,
        deadline: float,
        *,
        logging_in: bool = False,
        limits: Mapping[str, float] = NO_LIMITS,
    ) -> None:
        """`limits` are the seconds after which a step, by its name, is `overdue`."""
        self._kit = kit
        self._staging = Staging(folder)
        self._logging_in = logging_in
        self._judge = Judge(kit.browser, kit.site, logging_in=logging_in)
        self._bringer = Bringer(self, kit, self._staging, self._judge, deadline)
        self._documents: dict[int, Document] = {}
        self._asked_for = 0
        self._steps = Steps(limits)
        self._one_download = asyncio.Lock()
        self._proven_at = ""
        """The address of the page that was last seen to be one for who is logged in."""
        self._over = False

    # ------------------------------------------------------------------------------------------- for recipes
    @property
    def page(self) -> Page:
        """The page, logged in, wherever the last visit left it.

        Raises:
            SiteFailure: `RECIPE_ERROR`, the visit is over.
        """
        self._check_over()
        return self._kit.browser.page

    @property
    def context(self) -> BrowserContext:
        """The browser context of the page; its cookies are the session."""
        self._check_over()
        return self._kit.browser.context

    def secret(self, name: str) -> str:
        """Return the secret `name` from the environment or from the file that ``<name>_FILE`` names; masked everywhere.

        Raises:
            SiteFailure: `LOGIN_FAILED`, there is none, or others could read its file.
        """
        return self._kit.vault.get(name)

    def step(self, name: str) -> None:
        """Say what begins now; the step before it ends. Shown live and timed in the report."""
        self._steps.begin(self._kit.mask(name))
        logger.debug("step: {}", self.present_step[0])

    async def goto(self, url: str, wait_until: WaitUntil = "domcontentloaded") -> Response | None:
        """Open `url`, relative to the present page, and make sure that it is a page for somebody who is logged in.

        Raises:
            SiteFailure: the status, the connection or the login page says that this is not the page.
        """
        url = self._absolute(url)
        hosts.check(url, self._kit.browser.hosts)
        response = await self._goto(url, wait_until)
        if response is not None:
            await self._judge.check_certificate(response)
            self._judge.refuse(response.status, response.headers, response.url)
        await self.prove_session()
        return response

    async def count(self, css: str) -> int:
        """Return how many elements of the page match a CSS selector; much cheaper than a locator.

        Raises:
            playwright.async_api.Error: the page is gone, or `css` is no selector.
        """
        return await questions.count(self.page, css)

    async def read(self, css: str, *attributes: str, inside: str | None = None) -> list[dict[str, str]]:
        """Return these attributes of every element that matches a CSS selector; much cheaper than locators.

        An attribute that an element does not have is "".
        With `inside`, the selector of what they are in, the page gets 30 s to show that; it may move on meanwhile.

        Raises:
            playwright.async_api.TimeoutError: it does not show it.
            playwright.async_api.Error: the page is gone, or something is no selector.
        """
        return await questions.read(self.page, css, attributes, inside)

    async def fetch(self, url: str, name: Name | None = None, formats: Iterable[str] = ()) -> Document:
        """Bring the document at `url`, relative to the present page, in the browser's session; several may run at once.

        Without `name` the site's own is taken. It has to be whole, and of one of the `formats` that `worker.formats`
        lists, or else of those that the recipe's `document_formats` names.

        Raises:
            SiteFailure: a status, the login page, a broken file or one of another format came instead.
        """
        order = self._next_order()
        url = self._absolute(url)
        arrival, answer = await self._bringer.fetch(url)
        proposed = proposed_name(answer.headers.get("content-disposition", ""), answer.url)
        document = await self._bringer.keep(arrival, answer, _named(name, proposed), tuple(formats))
        return self._add(order, document)

    async def download(self, trigger: Trigger, name: Name | None = None, formats: Iterable[str] = ()) -> Document:
        """Bring the document whose download `trigger` starts, such as ``lambda: visit.page.click("#get")``.

        Name and formats as for `fetch`.

        Raises:
            SiteFailure: an error status, the login page, a stall or a broken file came instead.
        """
        order = self._next_order()
        async with self._one_download:
            try:
                suggested, arrival, answer = await self._bringer.download(trigger)
                document = await self._bringer.keep(arrival, answer, _named(name, suggested), tuple(formats))
            finally:
                await self._kit.browser.close_popups()
        return self._add(order, document)

    async def save(self, trigger: Trigger | str, filename: str) -> Path:
        """Bring a file that is not a document, such as the export, by a download or from a URL; return its path.

        Raises:
            SiteFailure: `EXPORT_INVALID` for a web page or an empty file, otherwise as for `download`.
        """
        self._check_over()
        if isinstance(trigger, str):
            arrival, answer = await self._bringer.fetch(self._absolute(trigger))
        else:
            async with self._one_download:
                _, arrival, answer = await self._bringer.download(trigger)
        target = self._staging.reserve(filename)
        await asyncio.to_thread(documents.accept_file, arrival, target, answer)
        return target

    async def offers(self, selector: str, at_least: int | None = None, within: float = _LATE) -> list[Locator]:
        """Return the page's documents, by `selector`, as soon as there are enough of them.

        Enough is the recipe's `fewest_documents`, unless `at_least` says otherwise. Where they had to be waited for,
        the others get the time that they take to appear one after the other.

        Raises:
            SiteFailure: `DOCUMENTS_MISSING`, fewer have appeared within so many seconds.
        """
        wanted = self._kit.site.fewest_documents if at_least is None else at_least
        found = self.page.locator(selector)
        deadline = time.monotonic() + within
        count = await found.count()
        while count < wanted:
            if time.monotonic() > deadline:
                message = f"the page shows {count} documents ({selector}), at least {wanted} are expected"
                raise SiteFailure(Kind.DOCUMENTS_MISSING, message, url=self.page.url)
            await asyncio.sleep(_LOOK)  # scripts add them when they like, and tell nobody
            count = await found.count()
            if count >= wanted:
                await self._settle(found, count)
        return await found.all()

    async def keep(self, filename: str, content: bytes) -> Path:
        """Write a file of the recipe's own making, such as an inventory read from pages; return its path."""
        self._check_over()
        self._staging.create()
        target = self._staging.reserve(filename)
        await asyncio.to_thread(target.write_bytes, content)
        return target

    async def prove_session(self) -> None:
        """Make sure that the present page is one for who is logged in, as `goto` does; during a login there is none.

        Raises:
            SiteFailure: `SESSION_EXPIRED`.
        """
        if not self._logging_in:
            await self._check_session()

    @property
    def answer(self) -> Navigation | None:
        """The last answer to a navigation since the visit began or `forget_answer` was called."""
        return self._kit.browser.observer.last_navigation

    def forget_answer(self) -> None:
        """Have `answer` tell of what comes from now on only."""
        self._kit.browser.observer.last_navigation = None

    # -------------------------------------------------------------------------------------- for the program
    @property
    def folder(self) -> Path:
        """The staging folder."""
        return self._staging.folder

    @property
    def present_step(self) -> tuple[str, float]:
        """The step's name and for how many seconds it has been going on."""
        return self._steps.present

    @property
    def overdue(self) -> asyncio.Event:
        """Set when a step took longer than its limit."""
        return self._steps.overdue

    @property
    def proven(self) -> bool:
        """Some page of this visit was seen to be one for who is logged in."""
        return bool(self._proven_at)

    async def confirm(self) -> None:
        """Where clicks have led to another page, make sure that it is one for who is logged in, or that one can be had.

        Raises:
            SiteFailure: `SESSION_EXPIRED`; or as for `goto`, the inventory page cannot be opened.
        """
        here = urldefrag(self.page.url).url
        if not self._proven_at or here == urldefrag(self._proven_at).url:
            return
        if self._judge.is_login(here) or not await self._kit.site.is_logged_in(self):
            await self.goto(self._kit.site.start_url)

    @property
    def documents(self) -> tuple[Document, ...]:
        """What was brought so far, in the order in which it was asked for."""
        return tuple(self._documents[order] for order in sorted(self._documents))

    def end(self) -> tuple[Step, ...]:
        """Close the visit, so that a recipe that goes on nevertheless touches nothing any more; return its steps."""
        self._over = True
        return self._steps.end()

    # ------------------------------------------------------------------------------------------------ inside
    async def _settle(self, found: Locator, count: int) -> None:
        """Wait until no more appear: what comes late often comes one by one."""
        since = time.monotonic()
        while time.monotonic() - since < _SETTLED:
            await asyncio.sleep(_LOOK)
            if (now := await found.count()) != count:
                count, since = now, time.monotonic()

    def _check_over(self) -> None:
        if self._over:
            raise SiteFailure(Kind.RECIPE_ERROR, "the recipe used a visit that is over")

    def _next_order(self) -> int:
        self._check_over()
        self._asked_for += 1
        if self._asked_for > (most := self._kit.site.most_documents):
            message = f"the page offers more than the {most} documents that are expected at most"
            raise SiteFailure(Kind.TOO_MANY_DOCUMENTS, message, url=self.page.url)
        return self._asked_for

    def _add(self, order: int, document: Document) -> Document:
        self._check_over()
        self._documents[order] = document
        logger.debug("document {}, {} bytes", document.name, document.bytes)
        return document

    def _absolute(self, url: str) -> str:
        return urljoin(self.page.url, url)

    async def _goto(self, url: str, wait_until: WaitUntil) -> Response | None:
        try:
            return await self._open(url, wait_until)
        except PlaywrightTimeout:
            raise
        except PlaywrightError as error:
            observer = self._kit.browser.observer
            if (seen := observer.last_navigation) is not None and "Download is starting" in error.message:
                self._judge.refuse(seen.status, seen.headers, seen.url)
            if not any(mark in error.message for mark in _MOVED_ON):
                raise self._judge.unreachable() or error from error
            logger.debug("the page was still moving, opening {} once more", self._kit.mask.url(url))
        return await self._open(url, wait_until)

    async def _open(self, url: str, wait_until: WaitUntil) -> Response | None:
        """Open `url`. A proxy that refuses a tunnel leaves `goto` waiting for ever (measured, 1.65)."""
        call = asyncio.ensure_future(self.page.goto(url, wait_until=wait_until))
        if self._kit.site.access.proxy is None:
            return await call
        call.add_done_callback(consume)
        self.forget_answer()
        try:
            while not call.done():
                await asyncio.wait({call}, timeout=_LOOK)
                if (seen := self.answer) is not None:
                    self._judge.refuse_proxy(seen.status)
        finally:
            call.cancel()
        return call.result()

    async def _check_session(self) -> None:
        deadline = time.monotonic() + _MOVING
        while True:
            url = self.page.url
            if url.startswith(_BROWSERS_OWN) and (broken := self._kit.browser.observer.broken) is not None:
                raise self._judge.unreachable() or classify(PlaywrightError(f"{broken[1]} at {broken[0]}"))
            if self._judge.is_login(url):
                raise SiteFailure(Kind.SESSION_EXPIRED, "the login page came instead of the page", url=url)
            if await self._kit.site.is_logged_in(self):
                self._proven_at = url
                return
            if time.monotonic() > deadline:
                message = "the page does not look like one for who is logged in"
                raise SiteFailure(Kind.SESSION_EXPIRED, message, url=url)
            await asyncio.sleep(0.1)  # it may be moving on by itself, half empty, and nothing tells when it is there


def _named(name: Name | None, proposed: str) -> str:
    if callable(name):
        return name(proposed)
    return name or proposed
