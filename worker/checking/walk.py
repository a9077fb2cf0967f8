"""The steps of a check one after the other, done by the very worker that a run has, and told."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
from loguru import logger
from playwright.async_api import Error as PlaywrightError

from worker.browser import BrowserError
from worker.checking.calls import Calls, Trouble
from worker.checking.messages import Began, Exported, Failure, Mismatch, Order, Overlooked, Passed, Stage, Thing, Told
from worker.checking.nearest import COLLECT, MARK, MOST_COLLECTED, Collected, nearest, overlooked
from worker.checking.visit import TellingVisit, line_of, where
from worker.deadlines import Overdue, within
from worker.journal import Journal
from worker.kit import Kit
from worker.protocol import (
    Assign,
    ErrandFailed,
    ExportInventory,
    Failed,
    FromWorker,
    InventoryExported,
    Kind,
    LogIn,
    Succeeded,
)
from worker.recovery import Unrecoverable
from worker.site import SiteFailure
from worker.sites.declarative.pages import Unmatched
from worker.steps import NO_LIMITS
from worker.visit import Visit
from worker.work import Worker

_LOOK = 3.0
"""Seconds for what is asked of the page after a failure."""

_LONGEST = 2_000
_MOST_SUSPECTS = 3

_SELECTORS_MATTER = {Kind.STEP_TIMEOUT, Kind.DOCUMENTS_MISSING, Kind.LOGIN_FAILED, Kind.EXPORT_INVALID}
_SELECTORS_MATTER |= {Kind.RECIPE_ERROR, Kind.SESSION_EXPIRED, Kind.DOCUMENT_STALLED, Kind.TIMEOUT}
"""Kinds that a selector which found nothing may explain."""

_UNSEEN = {Kind.PAGE_CRASHED, Kind.PAGE_HUNG, Kind.BROWSER_LOST}


class CheckingWorker(Worker):
    """Walks once through all that a run does with a recipe."""

    def __init__(
        self,
        kit: Kit,
        journal: Journal,
        order: Order,
        recipe_file: str,
        *,
        calls: Calls,
        tell: Callable[[Told], None],
    ) -> None:
        super().__init__(kit, journal, self._hear, order.worker, recipe_file)
        self._kit_of_check = kit
        self._order = order
        self._folder = Path(order.folder)
        self._temp = Path(order.worker.temp_dir)
        self._recipe_file = recipe_file
        self._calls = calls
        self._tell = tell
        self._said: list[FromWorker] = []
        self._stage: Stage = "browser"
        self._began = 0.0

    # ------------------------------------------------------------------------------------------------- the steps
    async def walk(self, choose: Callable[[], Awaitable[str]]) -> None:
        """Take every step that can be taken; `choose` names the reference once the export is there."""
        try:
            if not await self._log_in_once():
                return
            ref = await self._export_once(choose)
            if not ref:
                return
            await self._process_once(ref)
            await self._recover_once()
        except Unrecoverable as error:
            failure = SiteFailure(Kind.BROWSER_LOST, str(error))
            self._tell(Failure(self._stage, failure.kind, str(failure), self._seconds()))

    async def _log_in_once(self) -> bool:
        self._begin("log in")
        await self.log_in(LogIn(1, str(self._temp / "login"), self._order.errand_timeout))
        return self._passed()

    async def _export_once(self, choose: Callable[[], Awaitable[str]]) -> str:
        if self._order.ref and not self._kit_of_check.site.exports:
            return self._order.ref
        self._begin("inventory")
        await self.export(ExportInventory(2, str(self._temp / "export"), self._order.errand_timeout))
        found = next((message for message in self._said if isinstance(message, InventoryExported)), None)
        if found is None:
            return self._order.ref
        path = self._folder / "inventory.csv"
        await asyncio.to_thread(shutil.move, self._temp / "export" / found.file, path)
        self._passed()
        self._tell(Exported(str(path), found.column, found.delimiter, found.encoding))
        return await choose()

    async def _process_once(self, ref: str) -> None:
        self._begin("vehicle")
        staging = str(self._folder / "documents")
        await self.assign(Assign(1, ref, 1, last=True, staging=staging, deadline=self._order.task_timeout))
        if self._passed():
            await self._tell_overlooked()

    async def _recover_once(self) -> None:
        self._begin("recover")
        seconds = self._order.worker.recover_timeout
        visit = self.new_visit(self._temp / "recovery", seconds)
        failure = await self._run(visit, lambda: self._kit_of_check.site.recover(visit), seconds)
        visit.end()
        if failure is None:
            self._tell(Passed(self._stage, self._seconds()))

    # -------------------------------------------------------------------------------------- what the worker calls
    def new_visit(
        self, folder: Path, deadline: float, *, logging_in: bool = False, limits: Mapping[str, float] = NO_LIMITS
    ) -> Visit:
        """Return a visit that tells what it does."""
        visit = TellingVisit(self._kit_of_check, folder, deadline, logging_in=logging_in, limits=limits)
        visit.tell, visit.mask, visit.calls = self._tell, self._kit_of_check.mask, self._calls
        return visit

    async def record(self, visit: Visit, failure: SiteFailure) -> None:
        """Collect the evidence, look for what the page has instead, and tell it."""
        await super().record(visit, failure)
        self._calls.listens = False
        try:
            await self._tell_failure(visit, failure)
        finally:
            self._calls.listens = True

    def _hear(self, message: FromWorker) -> None:
        self._said.append(message)

    # ------------------------------------------------------------------------------------------------- the telling
    def _begin(self, stage: Stage) -> None:
        self._stage, self._began = stage, time.monotonic()
        self._said.clear()
        self._calls.begin()
        self._tell(Began(stage))

    def _passed(self) -> bool:
        bad = next((message for message in self._said if isinstance(message, ErrandFailed | Failed)), None)
        if bad is not None:
            return False
        good = next((message for message in self._said if isinstance(message, Succeeded)), None)
        self._tell(Passed(self._stage, self._seconds(), len(good.documents) if good else 0))
        return True

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)

    async def _tell_failure(self, visit: Visit, failure: SiteFailure) -> None:
        mask = self._kit_of_check.mask
        seconds, evidence = self._seconds(), await asyncio.to_thread(self._keep, visit.folder / "evidence")
        url = title = ""
        page = Collected(())
        if self._browser.has_page and failure.kind not in _UNSEEN:
            url, title = await where(self._browser.page, mask)
            page = await self._look()
        screenshot = evidence / "screenshot.png"
        troubles = self._troubles(failure)
        self._tell(
            Failure(
                stage=self._stage,
                kind=failure.kind,
                message=mask(str(failure))[:_LONGEST],
                seconds=seconds,
                url=url or mask.url(failure.url),
                title=title,
                place=self._place(failure, troubles),
                screenshot=str(screenshot) if await asyncio.to_thread(screenshot.is_file) else "",
                evidence=str(evidence) if await asyncio.to_thread(evidence.is_dir) else "",
                mismatches=tuple([await self._mismatch(trouble, page) for trouble in troubles]),
                asks_password=page.password,
            )
        )

    def _place(self, failure: SiteFailure, troubles: tuple[Trouble, ...]) -> str:
        if isinstance(failure, Unmatched):
            return failure.place
        line = line_of(failure, self._recipe_file) or (troubles[0].line if troubles else 0)
        return f"{self._recipe_file}:{line}" if line else ""

    async def _tell_overlooked(self) -> None:
        """Say which documents the page seems to have beside those that the recipe asks for."""
        self._calls.listens = False
        try:
            for selector, whole in self._calls.touched.items():
                marking = self._browser.page.locator(selector).evaluate_all(MARK, whole)
                await within(_LOOK, marking, "marking what was used")
            if things := overlooked((await self._look()).things):
                self._tell(Overlooked(self._masked(things)))
        except (Overdue, PlaywrightError, BrowserError) as error:
            logger.debug("the page was not looked at: {}", str(error).partition("\n")[0])
        finally:
            self._calls.listens = True

    def _masked(self, things: tuple[Thing, ...]) -> tuple[Thing, ...]:
        mask = self._kit_of_check.mask
        return tuple(msgspec.structs.replace(one, selector=mask(one.selector), what=mask(one.what)) for one in things)

    def _keep(self, evidence: Path) -> Path:
        """Put the evidence where the user finds it; return where."""
        place = self._folder / "failures" / self._stage.replace(" ", "-")
        if evidence.is_dir():
            place.parent.mkdir(exist_ok=True)
            shutil.move(evidence, place)
        return place

    async def _look(self) -> Collected:
        """Ask the page what it has; nothing when it does not answer."""
        try:
            answer = await within(_LOOK, self._browser.page.evaluate(COLLECT, MOST_COLLECTED), "looking at the page")
            return msgspec.convert(answer, Collected)
        except (Overdue, PlaywrightError, msgspec.ValidationError) as error:
            logger.debug("the page was not looked at: {}", str(error).partition("\n")[0])
            return Collected(())

    def _troubles(self, failure: SiteFailure) -> tuple[Trouble, ...]:
        """Return the calls that may explain the failure, when that can be about a selector."""
        if isinstance(failure, Unmatched):
            return (Trouble("", failure.selector, str(failure), 0),)
        if failure.kind not in _SELECTORS_MATTER:
            return ()
        if self._calls.failed is not None:
            return (self._calls.failed,)
        return tuple(reversed(self._calls.fruitless.values()))[:_MOST_SUSPECTS]

    async def _mismatch(self, trouble: Trouble, page: Collected) -> Mismatch:
        matches = await self._count(trouble.selector) if trouble.error or trouble.call.startswith("count ") else 0
        near = nearest(trouble.selector, page.things) if not matches else ()
        return Mismatch(self._kit_of_check.mask(trouble.selector)[:_LONGEST], matches, self._masked(near))

    async def _count(self, selector: str) -> int | None:
        """Return how many elements a selector matches now; None when it is no selector."""
        if not self._browser.has_page:
            return 0
        try:
            return await within(_LOOK, self._browser.page.locator(selector).count(), "counting")
        except (Overdue, PlaywrightError):
            return None
