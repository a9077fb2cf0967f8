"""What a recipe holds in its hand: the page, the steps, and the ways to bring documents home."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Literal
from urllib.parse import urldefrag, urljoin, urlsplit

import msgspec
from loguru import logger
from playwright.async_api import BrowserContext, Locator, Page, Response
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker import documents, fetching, hosts, questions
from worker.access import origin_of
from worker.browser import Browser
from worker.deadlines import consume
from worker.documents import Answer, Staging
from worker.downloads import DownloadRace, Shown, Trigger, finish, forget
from worker.failures import classify, refusal
from worker.masking import Mask
from worker.names import proposed_name
from worker.observer import Navigation
from worker.protocol import Document, Kind, Step
from worker.site import LoginRefused, Site, SiteFailure
from worker.steps import NO_LIMITS, Steps
from worker.vault import Vault

_LONGEST_PATIENCE = 30.0
"""Seconds without any progress after which a download counts as stalled; at most half of the attempt's deadline."""

_LONGEST_SILENCE = 60.0
"""As `_LONGEST_PATIENCE`, for a document with an address of its own: a site may take its time to print one."""

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

_FORWARDING_FAILED = "Playwright client-certificate error"

WaitUntil = Literal["commit", "domcontentloaded", "load", "networkidle"]

Name = str | Callable[[str], str]
"""The name of a document, or what makes one out of the name that the site proposes."""


class Kit(msgspec.Struct, frozen=True):
    """What every visit of a worker shares."""

    browser: Browser
    site: Site
    vault: Vault
    mask: Mask
    document_limit: int
    """In bytes."""


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
        self._deadline = deadline
        self._patience = min(_LONGEST_PATIENCE, deadline / 2)
        self._logging_in = logging_in
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
            await self._check_certificate(response)
            self._refuse(response.status, response.headers, response.url)
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
        arrival, answer = await self._fetch(url)
        proposed = proposed_name(answer.headers.get("content-disposition", ""), answer.url)
        return await self._keep(order, arrival, answer, _named(name, proposed), tuple(formats))

    async def download(self, trigger: Trigger, name: Name | None = None, formats: Iterable[str] = ()) -> Document:
        """Bring the document whose download `trigger` starts, such as ``lambda: visit.page.click("#get")``.

        Name and formats as for `fetch`.

        Raises:
            SiteFailure: an error status, the login page, a stall or a broken file came instead.
        """
        order = self._next_order()
        async with self._one_download:
            try:
                suggested, arrival, answer = await self._download(trigger)
                return await self._keep(order, arrival, answer, _named(name, suggested), tuple(formats))
            finally:
                await self._kit.browser.close_popups()

    async def save(self, trigger: Trigger | str, filename: str) -> Path:
        """Bring a file that is not a document, such as the export, by a download or from a URL; return its path.

        Raises:
            SiteFailure: `EXPORT_INVALID` for a web page or an empty file, otherwise as for `download`.
        """
        self._check_over()
        if isinstance(trigger, str):
            arrival, answer = await self._fetch(self._absolute(trigger))
        else:
            async with self._one_download:
                _, arrival, answer = await self._download(trigger)
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
        if self._is_login_url(here) or not await self._kit.site.is_logged_in(self):
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
                self._refuse(seen.status, seen.headers, seen.url)
            if not any(mark in error.message for mark in _MOVED_ON):
                raise self._unreachable() or error from error
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
                    self._refuse_proxy(seen.status)
        finally:
            call.cancel()
        return call.result()

    async def _check_certificate(self, response: Response) -> None:
        """With a client certificate Playwright forwards the connection, and answers for the site when that fails."""
        ours = response.status == HTTPStatus.SERVICE_UNAVAILABLE and self._kit.site.access.client_certificate
        if ours and _FORWARDING_FAILED in (said := await self.page.inner_text("body")):
            reason = said.partition(_FORWARDING_FAILED)[2].strip(": ")[:300]
            message = f"the connection with the client certificate failed: {reason}"
            raise SiteFailure(Kind.CERTIFICATE, message, url=response.url)

    def _refuse_proxy(self, status: int) -> None:
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise LoginRefused("the proxy refused its user or password")

    def _refuse(self, status: int, headers: dict[str, str], url: str) -> None:
        self._refuse_proxy(status)
        basic = headers.get("www-authenticate", "").lower().startswith("basic")
        if status == HTTPStatus.UNAUTHORIZED and basic and self._logging_in and self._kit.site.access.basic_auth:
            raise LoginRefused("the site refused user or password of HTTP basic authentication")
        if (failure := refusal(status, headers, url)) is not None and not self._logging_in:
            raise failure
        if failure is not None and failure.kind is not Kind.SESSION_EXPIRED:  # a login page may well come with a 401
            raise failure

    async def _check_session(self) -> None:
        deadline = time.monotonic() + _MOVING
        while True:
            url = self.page.url
            if url.startswith(_BROWSERS_OWN) and (broken := self._kit.browser.observer.broken) is not None:
                raise self._unreachable() or classify(PlaywrightError(f"{broken[1]} at {broken[0]}"))
            if self._is_login_url(url):
                raise SiteFailure(Kind.SESSION_EXPIRED, "the login page came instead of the page", url=url)
            if await self._kit.site.is_logged_in(self):
                self._proven_at = url
                return
            if time.monotonic() > deadline:
                message = "the page does not look like one for who is logged in"
                raise SiteFailure(Kind.SESSION_EXPIRED, message, url=url)
            await asyncio.sleep(0.1)  # it may be moving on by itself, half empty, and nothing tells when it is there

    def _unreachable(self) -> SiteFailure | None:
        """Return why the page could not be reached, when the recipe does not allow its host."""
        broken = self._kit.browser.observer.broken
        if broken is None or not hosts.is_foreign(broken[0], self._kit.browser.hosts):
            return None
        return hosts.foreign(broken[0], self._kit.browser.hosts)

    def _is_login_url(self, url: str) -> bool:
        return not self._logging_in and is_same_page(url, self._kit.site.login_url)

    async def _download(self, trigger: Trigger) -> tuple[str, Path, Answer]:
        """Return the suggested name, where the file is now, and what the site said."""
        self._staging.create()
        with DownloadRace(self._kit.browser.observer, is_login=self._is_login_url) as race:
            try:
                download = await race.begin(trigger, self._patience)
            except Shown as shown:
                return await self._fetch_shown(shown.answer.url)
            except SiteFailure as failure:
                raise self._unreachable() or failure from failure
            try:
                path = await finish(download, self._kit.browser.downloads, self._patience, self._kit.document_limit)
                arrival = self._staging.arrival()
                await asyncio.to_thread(documents.copy, path, arrival, self._kit.document_limit)
            except SiteFailure as failure:
                failure.url = failure.url or download.url
                raise
            finally:
                await forget(download)
        seen = race.answers.get(download.url)
        return download.suggested_filename, arrival, Answer(download.url, dict(seen.headers) if seen else {})

    async def _fetch_shown(self, url: str) -> tuple[str, Path, Answer]:
        """Bring what the browser opened in its viewer; a page that it was opened in place of comes back."""
        arrival, answer = await self._fetch(url)
        if self.page.url == url:
            await self.page.go_back(wait_until="domcontentloaded")
        return proposed_name(answer.headers.get("content-disposition", ""), answer.url), arrival, answer

    async def _fetch(self, url: str) -> tuple[Path, Answer]:
        """Return where the body of a good answer is now, and what the site said."""
        self._staging.create()
        arrival = self._staging.arrival()
        limits = fetching.Limits(self._deadline, min(_LONGEST_SILENCE, self._deadline / 2), self._kit.document_limit)
        try:
            self._kit.browser.traffic.count(url)
            fields = await self._fields()
            if allowed := self._kit.browser.hosts:
                response = await fetching.fetch_from(self.context, url, arrival, limits, allowed, fields=fields)
            else:
                response = await fetching.fetch(self.context, url, arrival, limits, fields=fields)
            answer = Answer(response.url, response.headers)
            self._kit.browser.observer.note(f"{response.status} GET {response.url} (a document)")
            await fetching.dispose(response)
            self._judge(response.status, answer)
        except BaseException:
            arrival.unlink(missing_ok=True)
            raise
        return arrival, answer

    async def _fields(self) -> fetching.Fields:
        """Return the header fields that the site's scripts would add, masked from now on, and who is to get them."""
        fields = await self._kit.site.request_headers(self)
        for value in fields.values():
            self._kit.mask.add(value.rpartition(" ")[2])
        return fetching.Fields(origin_of(self._kit.site.start_url), fields)

    def _judge(self, status: int, answer: Answer) -> None:
        self._refuse(status, answer.headers, answer.url)
        if self._is_login_url(answer.url):
            raise SiteFailure(Kind.SESSION_EXPIRED, "the login page came in place of the document", url=answer.url)
        if status != HTTPStatus.OK:  # anything else below 400 brings no whole document
            message = f"the site answered {status} without a document"
            raise SiteFailure(Kind.DOCUMENT_INVALID, message, url=answer.url, status=status)

    async def _keep(
        self, order: int, arrival: Path, answer: Answer, proposed: str, formats: tuple[str, ...]
    ) -> Document:
        try:
            document = await documents.stage(
                arrival,
                self._staging,
                answer,
                proposed=proposed,
                shown_url=self._kit.mask.url(answer.url),
                expected=formats or tuple(self._kit.site.document_formats),
            )
        except SiteFailure as failure:
            failure.url = failure.url or answer.url
            raise
        self._check_over()
        self._documents[order] = document
        logger.debug("document {}, {} bytes", document.name, document.bytes)
        return document


def _named(name: Name | None, proposed: str) -> str:
    if callable(name):
        return name(proposed)
    return name or proposed


def is_same_page(url: str, login_url: str) -> bool:
    """Say whether `url` is the login page, whatever query or fragment it carries. A site without one has none."""
    if not login_url:
        return False
    here, there = urlsplit(url), urlsplit(login_url)
    return (here.netloc, here.path.rstrip("/")) == (there.netloc, there.path.rstrip("/"))
