"""The worker's browser: Playwright's driver, one Chromium, one context with the session, one page.

Launching and closing are done here and nowhere else, each with a deadline, because a frozen browser answers nothing.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import playwright
from loguru import logger
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

from worker.deadlines import Overdue, consume, within
from worker.fetching import prepare_driver
from worker.gateway import Gateway
from worker.heartbeat import Kin
from worker.masking import Mask
from worker.observer import Observer, guarded
from worker.protocol import BrowserStarted
from worker.session import Session, capture
from worker.settings import WorkerSettings
from worker.traffic import Traffic

_START_DEADLINE = 30.0
_CONTEXT_DEADLINE = 10.0
_CLOSE_DEADLINE = 3.0
_TIDY_DEADLINE = 2.0
_NAVIGATION_TIMEOUT = 30_000.0  # milliseconds, Playwright's own default
_VIEWPORT = {"width": 1024, "height": 768}
_POINTERS = "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"
"""What Playwright says about the mouse of a headless browser."""
_OWN_FEATURES = Path(playwright.__file__).parent / "driver/package/lib/server/electron/loader.js"
"""The small file of Playwright's driver that repeats its list of disabled features."""


class BrowserError(Exception):
    """The browser cannot be started; the sentence says why."""


class Browser:
    """One browser at a time; `page`, `context` and `observer` are those of the present one."""

    def __init__(
        self,
        settings: WorkerSettings,
        kin: Kin,
        mask: Mask,
        *,
        images: bool,
        hosts: tuple[str, ...] = (),
        gateway: Gateway | None = None,
    ) -> None:
        self._settings = settings
        self._kin = kin
        self._mask = mask
        self._images = images
        self.hosts = hosts
        """The only ones that can be asked for anything; none for all."""
        self._gateway = gateway or Gateway()
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._session: Session | None = None
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        self._observer: Observer | None = None
        self.traffic = Traffic(counting=settings.count_requests)
        self._outdated = False
        self.gone = asyncio.Event()
        """Set when the present browser has disconnected."""
        self.on_gone: Callable[[], None] = lambda: None
        self.downloads = Path(settings.temp_dir) / "downloads"
        """Where Chromium writes what is being downloaded."""

    @property
    def page(self) -> Page:
        """The page of the present context."""
        if self._page is None:
            raise BrowserError("the browser has no page")
        return self._page

    @property
    def context(self) -> BrowserContext:
        """The context that holds the session."""
        if self._context is None:
            raise BrowserError("the browser has no context")
        return self._context

    @property
    def observer(self) -> Observer:
        """What listens to the present context."""
        if self._observer is None:
            raise BrowserError("the browser has no context")
        return self._observer

    @property
    def session(self) -> Session | None:
        """The session that every new context gets."""
        return self._session

    @property
    def has_page(self) -> bool:
        """There is a page, in a browser that is connected, and nobody closed it."""
        return self.has_context and self._page is not None and not self._page.is_closed()

    @property
    def has_context(self) -> bool:
        """There is a context in a browser that is connected."""
        return self.alive and self._context is not None and not self._outdated

    @property
    def alive(self) -> bool:
        """The browser is connected, as far as the driver says."""
        return self._chromium is not None and self._chromium.is_connected() and not self.gone.is_set()

    async def start(self) -> BrowserStarted:
        """Start the driver and the first browser.

        Raises:
            BrowserError: either does not start.
        """
        prepare_driver()
        os.environ.update(self._gateway.driver)
        try:
            self._playwright = await within(_START_DEADLINE, async_playwright().start(), "starting Playwright's driver")
            self._kin.find_driver()
        except (PlaywrightError, Overdue, OSError) as error:
            raise BrowserError(f"Playwright's driver does not start: {error}") from error
        return await self.launch()

    async def launch(self) -> BrowserStarted:
        """Start a browser; it has neither context nor page yet.

        Raises:
            BrowserError: it does not start.
        """
        if self._playwright is None:
            raise BrowserError("Playwright's driver does not run")
        self._chromium = self._context = self._page = self._observer = None
        sandbox = os.geteuid() != 0  # Chromium's sandbox refuses to work for root
        try:
            chromium = await self._launch(self._playwright, sandbox=sandbox)
        except PlaywrightError as error:
            if not sandbox or "sandbox" not in error.message:
                raise BrowserError(f"the browser does not start: {_first_lines(error.message)}") from error
            logger.warning("the browser starts without its sandbox, because this system does not allow one")
            chromium = await self._launch_or_complain(self._playwright)
        except (Overdue, OSError) as error:
            raise BrowserError(f"the browser does not start: {error}") from error
        self._chromium = chromium
        gone = self.gone = asyncio.Event()
        chromium.on("disconnected", guarded(lambda _browser: self._disconnected(gone)))
        try:
            pid = self._kin.find_browser()
        except OSError as error:
            raise BrowserError(f"the browser ended as soon as it ran: {error}") from error
        logger.info("browser {} runs, pid {}", chromium.version, pid)
        return BrowserStarted(pid, self._kin.driver_pid, chromium.version)

    async def _launch_or_complain(self, driver: Playwright) -> Chromium:
        try:
            return await self._launch(driver, sandbox=False)
        except (PlaywrightError, Overdue, OSError) as error:
            raise BrowserError(f"the browser does not start: {_first_lines(str(error))}") from error

    async def _launch(self, driver: Playwright, *, sandbox: bool) -> Chromium:
        return await within(
            _START_DEADLINE,
            driver.chromium.launch(
                executable_path=self._settings.browser or None,
                headless=not self._settings.headed,
                chromium_sandbox=sandbox,
                # Signals are the supervisor's business: Playwright's own handlers would kill every browser on Ctrl-C.
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
                downloads_path=self.downloads,
                args=[*_arguments(images=self._images), *self._gateway.host_rules(self.hosts)],
                env={**os.environ, **self._gateway.browser} if self._gateway.browser else None,
                timeout=_START_DEADLINE * 1000,
                **self._gateway.launch,
            ),
            "starting the browser",
        )

    def _disconnected(self, gone: asyncio.Event) -> None:
        gone.set()
        if gone is self.gone:
            self.on_gone()

    async def responds(self, seconds: float) -> bool:
        """Say whether the browser's main process answers, waiting at most `seconds`; a hung page does not matter."""
        if self._context is None:
            return self.alive
        return await _comes(self._context.cookies(), seconds)

    def page_seconds(self) -> float:
        """Return the processor time that all processes of pages have used so far."""
        return self._kin.page_seconds()

    async def kill_pages(self) -> None:
        """Kill the processes of all pages: one that spins would go on until it is closed, which takes it a while."""
        await asyncio.to_thread(self._kin.kill_pages)

    def use(self, session: Session | None) -> None:
        """Take `session` for every context from now on; the present one stays as it is."""
        self._session = session
        for value in session.secret_values if session else []:
            self._mask.add(value)

    def outdate(self) -> None:
        """Have the context replaced before the next work begins."""
        self._outdated = True

    async def tidy(self) -> None:
        """Have the page let go of the documents that it showed before; one that cannot is left to what comes next."""
        with contextlib.suppress(Overdue, PlaywrightError):
            await within(_TIDY_DEADLINE, self.page.request_gc(), "collecting garbage")

    async def prepare(self) -> BrowserStarted | None:
        """Make whole what is missing: browser, context or page; return the browser's start if there was one.

        Raises:
            BrowserError: a browser was needed and does not start.
            Overdue: the browser does not answer.
            playwright.async_api.Error: the browser went away.
        """
        if not self.alive:
            return await self.relaunch()
        if not self.has_context:
            if self._session is not None and self._page is not None:  # the cookies may have been renewed since
                self.use(await capture(self.context, self._page, self._session))
            await self.fresh_context()
        elif not self.has_page:
            await self.fresh_page()
        return None

    async def fresh_context(self) -> None:
        """Put a new context and a page in place of the present ones, with the session restored.

        Raises:
            Overdue: the browser does not answer.
            playwright.async_api.Error: the browser is gone.
        """
        await self._close_context()
        if self._chromium is None:
            raise BrowserError("no browser runs")
        session = self._session
        context = await within(
            _CONTEXT_DEADLINE,
            self._chromium.new_context(
                accept_downloads=True,
                service_workers="block",  # they would answer requests behind our back
                viewport={"width": _VIEWPORT["width"], "height": _VIEWPORT["height"]},
                storage_state=session.state if session else None,  # type: ignore[arg-type] # its TypedDict, decoded
                user_agent=session.user_agent if session else None,
                **self._gateway.context,
            ),
            "making a browser context",
        )
        context.set_default_timeout(self._settings.action_timeout * 1000)
        context.set_default_navigation_timeout(_NAVIGATION_TIMEOUT)
        if session and session.init_script:
            await within(_CONTEXT_DEADLINE, context.add_init_script(session.init_script), "restoring the session")
        self._context, self._outdated = context, False
        self._observer = Observer(context, self._mask, self.traffic, self.hosts)
        await self.fresh_page()

    async def fresh_page(self) -> None:
        """Put a new page in place of the present one, in the same context.

        Raises:
            Overdue: the browser does not answer; then its context is no longer to be trusted.
            playwright.async_api.Error: the browser or the context is gone.
        """
        old, self._page = self._page, None
        self._page = await within(_CONTEXT_DEADLINE, self.context.new_page(), "opening a page")
        self.observer.attend(self._page)
        if old is not None:
            await close(old)

    async def close_popups(self) -> None:
        """Close the pages that the site opened beside ours.

        Raises:
            Overdue: one does not close; the context is no longer to be trusted.
        """
        popups, self.observer.popups = self.observer.popups, []
        for popup in popups:
            await close(popup)

    async def relaunch(self) -> BrowserStarted:
        """Kill the browser, whatever state it is in, and start another with a context and a page.

        Raises:
            BrowserError: it does not start.
            Overdue: the new browser does not answer.
            playwright.async_api.Error: the new browser died at once.
        """
        self.gone.set()  # a death on purpose is no news
        self._kin.kill_browser()
        started = await self.launch()
        await self.fresh_context()
        return started

    async def stop(self) -> None:
        """Close everything in good order, each step with a deadline, and kill what is left."""
        self.gone.set()
        with contextlib.suppress(Overdue, PlaywrightError):  # what does not close is killed below
            if self._chromium is not None:
                await within(_CLOSE_DEADLINE, self._chromium.close(), "closing the browser")
            if self._playwright is not None:
                await within(_CLOSE_DEADLINE, self._playwright.stop(), "stopping Playwright's driver")
        self._kin.kill()

    async def _close_context(self) -> None:
        context, self._context, self._page, self._observer = self._context, None, None, None
        if context is not None:
            with contextlib.suppress(PlaywrightError):  # it is closed already, or its browser is gone
                await within(_CLOSE_DEADLINE, context.close(), "closing the browser context")


async def close(page: Page) -> None:
    """Close a page for good.

    Raises:
        Overdue: it does not close.
    """
    with contextlib.suppress(PlaywrightError):  # it is closed already, or its browser is gone
        await within(_CLOSE_DEADLINE, page.close(), "closing a page")


async def answers(page: Page, seconds: float) -> bool:
    """Say whether the page's process still runs scripts, waiting at most `seconds`."""
    return await _comes(page.evaluate("1"), seconds)


async def _comes(answer: Coroutine[Any, Any, object], seconds: float) -> bool:
    call = asyncio.ensure_future(answer)
    await asyncio.wait({call}, timeout=seconds)
    if not call.done():
        call.add_done_callback(consume)
        call.cancel()
        return False
    return not call.cancelled() and call.exception() is None


def _arguments(*, images: bool) -> list[str]:
    """Return our arguments for Chromium: Playwright's lists with what we add, as only the last one of a kind counts.

    Without `RenderDocument` disabled, closing a page that is just navigating hangs (Chromium 156, measured).
    """
    try:
        text = _OWN_FEATURES.read_text("utf-8")
    except OSError:
        text = ""
    found = re.search(r"disabledFeatures = \[(.*?)\]", text, re.DOTALL)
    features = re.findall(r'^\s*"(\w+)",?$', found[1], re.MULTILINE) if found else []
    if not features:
        logger.warning("Playwright's list of disabled features was not found: closing a page may hang now and then")
    arguments = ["--disable-features=" + ",".join([*features, "RenderDocument"])] if features else []
    if not images:
        arguments.append(f"--blink-settings={_POINTERS},imagesEnabled=false")
    return arguments


def _first_lines(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " / ".join(lines[:3])[:500]
