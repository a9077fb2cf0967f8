"""The ladder back to a page that works: the gentlest rung that helps, and none twice; without a browser."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from playwright.async_api import Error as PlaywrightError

from worker import recovery
from worker.browser import Browser, BrowserError
from worker.deadlines import Overdue
from worker.protocol import BrowserStarted, Kind
from worker.recovery import Ladder, Unrecoverable
from worker.site import SiteFailure

ALL = ["same page", "fresh page", "fresh context", "fresh browser"]


class FakeBrowser:
    """A browser whose page works again after the rung `cured_by`; what is asked of it before that fails."""

    def __init__(self, cured_by: str, *, has_page: bool = True, has_context: bool = True, alive: bool = True) -> None:
        self.climbed: list[str] = []
        self.has_page = has_page
        self.has_context = has_context
        self.alive = alive
        self.silent = False
        self.observer = SimpleNamespace(navigating=False)
        self._cured_by = cured_by

    @property
    def page(self) -> Any:
        return SimpleNamespace(evaluate=self._evaluate)

    async def _evaluate(self, _question: str) -> int:
        if not self.climbed:
            self.climbed.append("same page")
        if self._cured_by not in self.climbed:
            raise PlaywrightError("Page.evaluate: Target crashed")
        return 1

    async def responds(self, _seconds: float) -> bool:
        return not self.silent

    async def fresh_page(self) -> None:
        self.climbed.append("fresh page")

    async def fresh_context(self) -> None:
        self.climbed.append("fresh context")
        if self._cured_by == "fresh browser":
            raise Overdue("making a browser context", 10)

    async def relaunch(self) -> BrowserStarted:
        self.climbed.append("fresh browser")
        if self._cured_by == "nothing":
            raise BrowserError("the browser does not start")
        return BrowserStarted(2, 1, "156")


async def well() -> None:
    """Go back to the inventory, which opens."""


def climb(
    browser: FakeBrowser, kind: Kind = Kind.TIMEOUT, recover: Callable[[], Any] = well, budget: float = 80.0
) -> list[BrowserStarted]:
    """Return the launches that were told."""
    told: list[BrowserStarted] = []
    work = Ladder(cast("Browser", browser), recover, told.append, budget).climb(kind)
    asyncio.run(asyncio.wait_for(work, 60))
    return told


@pytest.mark.parametrize("cured_by", ALL)
def test_the_first_rung_that_helps_is_the_last_one(cured_by: str) -> None:
    """A browser is thrown away only when nothing less helps, and its launch is told."""
    browser = FakeBrowser(cured_by)
    told = climb(browser)
    assert browser.climbed == ALL[: ALL.index(cured_by) + 1]
    assert told == ([BrowserStarted(2, 1, "156")] if cured_by == "fresh browser" else [])


@pytest.mark.parametrize(
    ("browser", "kind", "first"),
    [
        (FakeBrowser("fresh page"), Kind.PAGE_HUNG, "fresh page"),
        (FakeBrowser("fresh page"), Kind.PAGE_CRASHED, "fresh page"),
        (FakeBrowser("fresh page", has_page=False), Kind.TIMEOUT, "fresh page"),
        (FakeBrowser("fresh context", has_context=False), Kind.TIMEOUT, "fresh context"),
        (FakeBrowser("fresh browser", alive=False), Kind.TIMEOUT, "fresh browser"),
        (FakeBrowser("fresh browser"), Kind.BROWSER_LOST, "fresh browser"),
    ],
)
def test_what_is_known_to_be_broken_is_not_tried(browser: FakeBrowser, kind: Kind, first: str) -> None:
    """A page that hung, a context that is gone, a browser that died."""
    climb(browser, kind)
    assert browser.climbed == [first]


def test_a_browser_that_does_not_answer_is_replaced_at_once() -> None:
    """Each lower rung would have to wait for it."""
    browser = FakeBrowser("fresh browser")
    browser.silent = True
    climb(browser)
    assert browser.climbed == ["fresh browser"]


def test_where_nothing_helps_a_new_process_is_needed() -> None:
    """That is for the supervisor to start."""
    with pytest.raises(Unrecoverable):
        climb(FakeBrowser("nothing"))


@pytest.mark.parametrize("kind", sorted(recovery._PAGE_WORKS))
def test_an_inventory_that_does_not_open_by_the_sites_doing_is_no_fault_of_the_page(kind: Kind) -> None:
    """Nothing is thrown away for it."""

    async def recover() -> None:
        raise SiteFailure(kind, "the site is down")

    browser = FakeBrowser("same page")
    climb(browser, recover=recover)
    assert browser.climbed == ["same page"]


def test_a_recipe_that_cannot_go_back_costs_a_browser_and_no_more() -> None:
    """A new browser is as good as a new worker; otherwise a recipe's mistake would end one worker after the other."""

    async def recover() -> None:
        raise KeyError("x")

    browser = FakeBrowser("same page")
    climb(browser, recover=recover)
    assert browser.climbed == ALL


def test_going_back_has_a_deadline() -> None:
    """One share of the whole for each rung."""

    async def recover() -> None:
        await asyncio.Event().wait()

    browser = FakeBrowser("same page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "max", lambda _least, left: left, raising=False)
        climb(browser, recover=recover, budget=0.4)
    assert browser.climbed == ALL
