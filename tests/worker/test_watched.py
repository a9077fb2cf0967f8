"""A recipe's work under its deadline, beside a browser that does what the test says; without a browser."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from playwright.async_api import Error as PlaywrightError

from worker import watched
from worker.browser import Browser
from worker.protocol import Kind
from worker.site import NotFound, SiteFailure
from worker.watched import Watched

Work = Callable[["FakeBrowser"], Awaitable[None]]


class FakeBrowser:
    """A browser with one page, which answers unless it is told to be silent."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.crashed = asyncio.Event()
        self.silent = False
        self.navigating = False
        self.spins = False
        self.killed = 0
        self.asked = asyncio.Event()
        self.looked_at = asyncio.Event()
        """Set when the page was silent for a while and its processor time is looked at."""
        self.overdue = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._seconds = 0.0

    alive = True

    @property
    def observer(self) -> Any:
        return SimpleNamespace(crashed=self.crashed, navigating=self.navigating)

    @property
    def page(self) -> Any:
        return SimpleNamespace(evaluate=self._evaluate)

    async def _evaluate(self, _question: str) -> int:
        self.asked.set()
        if self.silent:
            await asyncio.Event().wait()
        return 1

    def page_seconds(self) -> float:
        self._loop.call_soon_threadsafe(self.looked_at.set)
        self._seconds += 5.0 if self.spins else 0.0
        return self._seconds

    async def kill_pages(self) -> None:
        self.killed += 1


def watch(work: Work, *, deadline: float = 20.0, patient: bool = True) -> tuple[SiteFailure | None, FakeBrowser, bool]:
    """Return what comes of work, the browser, and whether the work refused to end."""

    async def run() -> tuple[SiteFailure | None, FakeBrowser, bool]:
        browser = FakeBrowser()
        one = Watched(cast("Browser", browser), "")
        running = one.run(cast("Any", work(browser)), deadline, browser.overdue, patient=patient)
        failure = await asyncio.wait_for(running, 60)
        return failure, browser, one.has_stubborn_work

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the page every few milliseconds, as if each were half a second."""
    monkeypatch.setattr(watched, "_PING_EVERY", 0.005)
    monkeypatch.setattr(watched, "_LOOK", 0.005)
    monkeypatch.setattr(watched, "_HUNG_AFTER", 0.05)
    monkeypatch.setattr(watched, "_GRACE", 0.05)


async def for_ever(_browser: FakeBrowser) -> None:
    await asyncio.Event().wait()


def test_work_that_succeeds_has_no_failure() -> None:
    """However often its page was asked meanwhile."""

    async def work(browser: FakeBrowser) -> None:
        await browser.asked.wait()

    assert watch(work)[0] is None


def test_what_the_work_raises_is_the_failure() -> None:
    """The recipe's own, as it is; any other classified, with its cause."""

    async def missing(_browser: FakeBrowser) -> None:
        raise NotFound("no such vehicle")

    async def mistaken(_browser: FakeBrowser) -> None:
        raise KeyError("x")

    async def cancelled(_browser: FakeBrowser) -> None:
        raise asyncio.CancelledError

    found, mistake, ended = watch(missing)[0], watch(mistaken)[0], watch(cancelled)[0]
    assert found is not None
    assert mistake is not None
    assert ended is not None
    assert (found.kind, found.__cause__) == (Kind.NOT_FOUND, None)
    assert (mistake.kind, type(mistake.__cause__)) == (Kind.RECIPE_ERROR, KeyError)
    assert (ended.kind, str(ended)) == (Kind.RECIPE_ERROR, "the recipe cancelled its own work")


def test_work_beyond_its_deadline_is_ended() -> None:
    """And has ended when that is told."""
    ended: list[str] = []

    async def work(_browser: FakeBrowser) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    failure, browser, stubborn = watch(work, deadline=0.05)
    assert failure is not None
    assert (failure.kind, str(failure)) == (Kind.TIMEOUT, "it took longer than 0.05 s")
    assert (ended, stubborn, browser.killed) == (["ended"], False, 0)


def test_work_that_refuses_to_end_is_remembered() -> None:
    """Nothing else may be started beside it."""

    async def work(browser: FakeBrowser) -> None:
        while not browser.overdue.is_set():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def run() -> None:
        browser = FakeBrowser()
        one = Watched(cast("Browser", browser), "")
        failure = await one.run(cast("Any", work(browser)), 0.02, asyncio.Event(), patient=True)
        remembered, known = one.has_stubborn_work, list(one._stubborn)
        browser.overdue.set()  # its own sign that it may end now
        assert failure is not None
        assert (failure.kind, remembered) == (Kind.TIMEOUT, True)
        (stubborn,) = known
        stubborn.cancel()
        await asyncio.wait_for(stubborn, 20)
        await asyncio.sleep(0)  # the callbacks of what has ended run next
        assert not one.has_stubborn_work
        assert not one._stubborn

    asyncio.run(run())


def test_a_crashed_page_and_a_lost_browser_end_the_work_at_once() -> None:
    """Its calls might never end; a browser that is gone took the page along."""

    async def crashes(browser: FakeBrowser) -> None:
        browser.crashed.set()
        await for_ever(browser)

    async def goes(browser: FakeBrowser) -> None:
        browser.crashed.set()
        browser.gone.set()
        await for_ever(browser)

    crashed, lost = watch(crashes)[0], watch(goes)[0]
    assert crashed is not None
    assert lost is not None
    assert (crashed.kind, lost.kind) == (Kind.PAGE_CRASHED, Kind.BROWSER_LOST)


def test_a_browser_that_dies_fails_the_calls_first() -> None:
    """And is reported gone a moment later; a page that was closed in a browser that lives is another thing."""

    async def closed(_browser: FakeBrowser) -> None:
        raise PlaywrightError("Page.click: Target page, context or browser has been closed")

    async def closed_by_its_death(browser: FakeBrowser) -> None:
        asyncio.get_running_loop().call_soon(browser.gone.set)
        await closed(browser)

    page, browser = watch(closed)[0], watch(closed_by_its_death)[0]
    assert page is not None
    assert browser is not None
    assert (page.kind, browser.kind) == (Kind.PAGE_CRASHED, Kind.BROWSER_LOST)


def test_a_page_that_is_silent_for_long_is_hung_and_killed() -> None:
    """What spins would go on until it is closed."""

    async def work(browser: FakeBrowser) -> None:
        browser.silent = True
        await for_ever(browser)

    failure, browser, _ = watch(work)
    assert failure is not None
    assert (failure.kind, browser.killed) == (Kind.PAGE_HUNG, 1)
    assert "did not answer for" in str(failure)


def test_a_page_that_waits_for_an_answer_is_not_hung() -> None:
    """That is the site's silence: the deadline ends it."""

    async def work(browser: FakeBrowser) -> None:
        browser.silent = browser.navigating = True
        await for_ever(browser)

    failure, browser, _ = watch(work, deadline=0.5)
    assert failure is not None
    assert (failure.kind, browser.killed) == (Kind.TIMEOUT, 0)


def test_a_page_that_spins_is_given_up_sooner_when_there_is_another_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the processor time that it used, whatever the clock says."""
    monkeypatch.setattr(watched, "_HUNG_AFTER", 3_600.0)

    async def work(browser: FakeBrowser) -> None:
        browser.silent = browser.spins = True
        await for_ever(browser)

    hasty, patient = watch(work, patient=False)[0], watch(work, patient=True, deadline=0.3)[0]
    assert hasty is not None
    assert patient is not None
    assert (hasty.kind, patient.kind) == (Kind.PAGE_HUNG, Kind.TIMEOUT)


def test_an_overdue_step_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """As hung, where the page does not answer either."""
    monkeypatch.setattr(watched, "_HUNG_AFTER", 3_600.0)

    async def waits(browser: FakeBrowser) -> None:
        browser.overdue.set()
        await for_ever(browser)

    async def waits_in_silence(browser: FakeBrowser) -> None:
        browser.silent = True
        await browser.looked_at.wait()
        await waits(browser)

    slow, silent = watch(waits)[0], watch(waits_in_silence)[0]
    assert slow is not None
    assert silent is not None
    assert (slow.kind, silent.kind) == (Kind.STEP_TIMEOUT, Kind.PAGE_HUNG)


def test_a_download_that_stalled_with_its_browser_is_the_browsers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that does not answer is what stalled it; one that does has a site that stalled it."""
    monkeypatch.setattr(watched, "_ANSWER_SECONDS", 0.05)

    async def stalls(_browser: FakeBrowser) -> None:
        raise SiteFailure(Kind.DOCUMENT_STALLED, "the download stopped moving")

    async def stalls_in_silence(browser: FakeBrowser) -> None:
        browser.silent = True
        await stalls(browser)

    of_the_site, of_the_browser = watch(stalls)[0], watch(stalls_in_silence)[0]
    assert of_the_site is not None
    assert of_the_browser is not None
    assert (of_the_site.kind, of_the_browser.kind) == (Kind.DOCUMENT_STALLED, Kind.PAGE_HUNG)
