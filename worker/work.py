"""What a worker does with one message: the attempt at a reference, the login, the export."""

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from loguru import logger
from playwright.async_api import Error as PlaywrightError

from worker import evidence, instead
from worker.browser import BrowserError
from worker.deadlines import Overdue
from worker.failures import CLEAN, MAY_BE_THE_SESSION, NOT_OF_A_LOGIN, classify
from worker.journal import Journal
from worker.kit import Kit
from worker.protocol import (
    Assign,
    ErrandFailed,
    ExportInventory,
    Failed,
    FromWorker,
    Heartbeat,
    InventoryExported,
    Kind,
    LoggedIn,
    LogIn,
    ProveSession,
    Ready,
    Revisit,
    Served,
    SessionProven,
    Succeeded,
)
from worker.recovery import Ladder, Unrecoverable
from worker.settings import WorkerSettings
from worker.site import SiteFailure
from worker.steps import NO_LIMITS
from worker.tasks import Tasks
from worker.trace import Trace
from worker.visit import Visit
from worker.watched import Watched

Work = Callable[[], Coroutine[Any, Any, None]]

_FRESH_CONTEXT_AFTER = 100
"""References after which the context is replaced: requests and responses stay in it until it closes (pw#6319)."""

_TIDY_AFTER = 20
"""References after which the page's garbage is collected: left alone it grows from 50 to 140 MB, and it takes 30 ms."""

_LONGEST_MESSAGE = 4_000

_PROOF_SECONDS = 15.0


class _Look(Enum):
    """What a look at the inventory page after a failure told of the session."""

    NEEDLESS = "needless"
    PROVEN = "proven"
    LOST = "lost"
    """The page did not come; the browser has to find its way back."""


class Worker:
    """Does the work of one message at a time and tells the supervisor how it went."""

    def __init__(
        self,
        kit: Kit,
        journal: Journal,
        send: Callable[[FromWorker], None],
        settings: WorkerSettings,
        recipe_file: str,
    ) -> None:
        self._kit = kit
        self._browser = kit.browser
        self._journal = journal
        self._send = send
        self._settings = settings
        self._tasks = Tasks(kit)
        self._watched = Watched(kit.browser, recipe_file)
        self._visit: Visit | None = None
        self._attempt = 0
        self._references = 0

    def heartbeat(self) -> Heartbeat:
        """Return what the worker does at this moment."""
        step, seconds = self._visit.present_step if self._visit else ("", 0.0)
        return Heartbeat(self._attempt, step, seconds, self._browser.traffic.take())

    def _answer(self, message: FromWorker) -> None:
        """Answer what the supervisor asked for, after the last of the requests that it took."""
        if self._browser.traffic.counting:
            self._send(self.heartbeat())
        self._send(message)

    def new_visit(
        self, folder: Path, deadline: float, *, logging_in: bool = False, limits: Mapping[str, float] = NO_LIMITS
    ) -> Visit:
        """Return the visit for an attempt or errand; a check has one that tells what the recipe does with it."""
        return Visit(self._kit, folder, deadline, logging_in=logging_in, limits=limits)

    @property
    def at_work(self) -> bool:
        """There is an attempt in hand."""
        return self._attempt != 0

    async def assign(self, message: Assign) -> None:
        """Fetch the documents of one reference; answers `Succeeded` or `Failed` and leaves a browser that works.

        Raises:
            Unrecoverable: the browser could not be made to work again; the answer was given.
        """
        self._journal.ref, self._journal.attempt, self._attempt = message.ref, message.attempt, message.attempt
        begun = time.monotonic()
        try:
            visit = self.new_visit(Path(message.staging), message.deadline, limits=message.limits)
            failure = await self._run(
                visit,
                lambda: self._tasks.process(visit, message.ref),
                message.deadline,
                patient=message.last,
                traced=self._settings.trace and message.last,
            )
            steps = visit.end()
            if failure is None:
                logger.info("completed with {} documents", len(visit.documents))
                self._answer(Succeeded(message.attempt, visit.documents, steps, visit.proven))
                await self._count_reference()
                return
            asked = time.monotonic() - begun
            failure, found, came_instead = await self._look_behind(failure, visit, message.ref)
            ready = found is not _Look.LOST and self._is_clean(failure)
            self._answer(
                Failed(
                    message.attempt,
                    failure.kind,
                    self._plain(str(failure)),
                    ready,
                    url=self._plain(self._kit.mask.url(failure.url)),
                    status=failure.status,
                    retry_after=failure.retry_after,
                    steps=steps,
                    instead=came_instead,
                    proven_after=asked if found is _Look.PROVEN else None,
                )
            )
            self._attempt = 0
            if not ready:
                await self._recover(failure.kind)
                self._send(Ready())
        finally:
            self._journal.ref, self._journal.attempt, self._attempt = "", 0, 0

    async def log_in(self, message: LogIn) -> None:
        """Log in afresh; answers `LoggedIn` or `ErrandFailed`.

        Raises:
            Unrecoverable: as for `assign`.
        """
        former = self._browser.session
        self._browser.use(None)
        self._browser.outdate()  # a login begins without any session
        visit = self.new_visit(Path(message.staging), message.deadline, logging_in=True)
        failure = await self._run(visit, lambda: self._tasks.log_in(visit), message.deadline)
        visit.end()
        if failure is None and (session := self._browser.session) is not None:
            logger.info("logged in")
            await asyncio.to_thread(shutil.rmtree, visit.folder, ignore_errors=True)  # what stays goes with the run
            self._answer(LoggedIn(message.errand, session.to_bytes()))
            return
        self._browser.use(former)
        failure = failure or SiteFailure(Kind.LOGIN_FAILED, "the login left no session")
        if failure.kind in NOT_OF_A_LOGIN:
            failure.kind = Kind.LOGIN_FAILED
        await self._errand_failed(message.errand, failure)

    async def export(self, message: ExportInventory) -> None:
        """Export the inventory; answers `InventoryExported` or `ErrandFailed`.

        Raises:
            Unrecoverable: as for `assign`.
        """
        visit = self.new_visit(Path(message.staging), message.deadline)
        found: list[InventoryExported] = []
        failure = await self._run(visit, lambda: self._tasks.export(visit, message.errand, found), message.deadline)
        visit.end()
        if failure is None:
            self._answer(found[0])
            return
        await self._errand_failed(message.errand, failure)

    async def revisit(self, message: Revisit) -> None:
        """Fetch once more the documents of a reference that is done, for nothing; answers `Served` or `ErrandFailed`.

        Raises:
            Unrecoverable: as for `assign`.
        """
        self._journal.ref = message.ref
        try:
            visit = self.new_visit(Path(message.staging), message.deadline)
            failure = await self._run(visit, lambda: self._tasks.process(visit, message.ref), message.deadline)
            visit.end()
            if failure is None:
                logger.info("served as before, with {} documents", len(visit.documents))
                await asyncio.to_thread(shutil.rmtree, visit.folder, ignore_errors=True)  # as after a login
                self._answer(Served(message.errand, visit.proven))
                return
            failure, found, came_instead = await self._look_behind(failure, visit, message.ref)
            await self._errand_failed(message.errand, failure, came_instead, lost=found is _Look.LOST)
        finally:
            self._journal.ref = ""

    async def prove(self, message: ProveSession) -> None:
        """See whether the session still holds; answers `SessionProven` or `ErrandFailed`.

        Raises:
            Unrecoverable: as for `assign`.
        """
        visit = self.new_visit(Path(self._settings.temp_dir) / "proof", message.deadline)
        failure = await self._run(visit, lambda: self._tasks.open_inventory(visit), message.deadline)
        visit.end()
        if failure is None:
            self._answer(SessionProven(message.errand))
            return
        await self._errand_failed(message.errand, failure)

    # ------------------------------------------------------------------------------------------------ around it
    async def _look_behind(self, failure: SiteFailure, visit: Visit, ref: str) -> tuple[SiteFailure, _Look, str]:
        """Return what really happened, what a look at the inventory page told, and the mark of what came instead.

        A page without what the recipe looks for, one that is forbidden, and a web page in place of a document, may be
        what the site shows to those who are not logged in. So the session is proven before a reference is blamed.
        """
        if failure.kind not in MAY_BE_THE_SESSION or not self._browser.has_page or self._watched.has_stubborn_work:
            return failure, _Look.NEEDLESS, ""
        says = failure.instead
        if failure.kind is Kind.DOCUMENTS_MISSING and not visit.documents:
            says = await instead.of_page(self._browser.page)
        came_instead = instead.mark(says, ref)
        visit = Visit(self._kit, Path(self._settings.temp_dir) / "proof", _PROOF_SECONDS)
        work = self._tasks.open_inventory(visit)
        found = await self._watched.run(work, _PROOF_SECONDS, visit.overdue, patient=True)
        visit.end()
        if found is None:
            return failure, _Look.PROVEN, came_instead
        if found.kind is not Kind.SESSION_EXPIRED:
            return failure, _Look.LOST, came_instead
        logger.warning("the session is gone: {}", found)
        text = f"the session is gone, which showed as: {failure}"
        return SiteFailure(Kind.SESSION_EXPIRED, text, url=failure.url, status=failure.status), _Look.NEEDLESS, ""

    async def _run(
        self, visit: Visit, work: Work, deadline: float, *, patient: bool = True, traced: bool = False
    ) -> SiteFailure | None:
        """Run the recipe's work in a browser that is whole; collect the evidence when it fails.

        Work that is not to be `patient` has another chance later.
        """
        self._visit = visit
        trace = None
        try:
            await asyncio.to_thread(visit.folder.mkdir, parents=True, exist_ok=True)
            if (started := await self._browser.prepare()) is not None:
                self._send(started)
            self._browser.observer.begin()
            if traced:
                trace = await Trace.begin(self._browser.context)
            failure = await self._watched.run(work(), deadline, visit.overdue, patient=patient)
        except (BrowserError, Overdue, PlaywrightError) as error:
            failure = SiteFailure(Kind.BROWSER_LOST, "the browser could not be made ready for the work")
            failure.__cause__ = error
        except OSError as error:
            failure = classify(error)
        if failure is not None:
            await self.record(visit, failure)
        if trace is not None and not await trace.end(visit.folder / "evidence" if failure is not None else None):
            self._browser.outdate()
        return failure

    async def record(self, visit: Visit, failure: SiteFailure) -> None:
        """Log a failure and collect its evidence, while the page still shows it."""
        step, seconds = visit.present_step
        if visit.overdue.is_set() and failure.kind is Kind.STEP_TIMEOUT:
            failure.args = (f"the step took much longer than it ever did before, {seconds:.1f} s: {step}",)
        elif failure.kind is Kind.TIMEOUT and step:
            failure.args = (f"{failure}, the last of them in the step: {step}",)
        logger.warning("failed: {}: {}", failure.kind, failure)
        whole = self._browser.has_page
        await evidence.collect(
            visit.folder / "evidence",
            failure,
            mask=self._kit.mask,
            page=self._browser.page if whole else None,
            observer=self._browser.observer if whole else None,
            step=step,
            steps=visit.end(),
        )

    async def _errand_failed(
        self, errand: int, failure: SiteFailure, came_instead: str = "", *, lost: bool = False
    ) -> None:
        ready = not lost and (self._is_clean(failure) or failure.kind is Kind.LOGIN_FAILED)
        message = self._plain(str(failure))
        wait = failure.retry_after
        self._answer(ErrandFailed(errand, failure.kind, message, ready, retry_after=wait, instead=came_instead))
        if not ready:
            await self._recover(failure.kind)
            self._send(Ready())

    def _is_clean(self, failure: SiteFailure) -> bool:
        return failure.kind in CLEAN and self._browser.has_page and not self._watched.has_stubborn_work

    async def _recover(self, kind: Kind) -> None:
        visit = Visit(self._kit, Path(self._settings.temp_dir) / "recovery", self._settings.recover_timeout)
        visit.step("recover")
        self._visit = visit
        ladder = Ladder(
            self._browser,
            lambda: self._kit.site.recover(visit),
            self._send,
            self._settings.recover_timeout,
        )
        await ladder.climb(Kind.BROWSER_LOST if self._watched.has_stubborn_work else kind)
        visit.end()
        if self._watched.has_stubborn_work:
            raise Unrecoverable("the recipe does not end although its browser was taken away")

    async def _count_reference(self) -> None:
        self._references += 1
        if self._references % _FRESH_CONTEXT_AFTER == 0:
            self._browser.outdate()
        elif self._references % _TIDY_AFTER == 0:
            await self._browser.tidy()

    def _plain(self, text: str) -> str:
        """Return `text` masked, bounded, and free of what UTF-8 cannot carry."""
        text = self._kit.mask(text).encode("utf-8", "replace").decode()
        return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …"
