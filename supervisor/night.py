"""A run from its plan to its exit code: here the parts are wired together, and taken apart again however it ends."""

import contextlib
import faulthandler
import os
import resource
import selectors
import socket
import tempfile
import time
from pathlib import Path

import msgspec

from supervisor.children import worker_settings
from supervisor.config import policy
from supervisor.core.commands import Finish, Say
from supervisor.core.machine import Machine
from supervisor.errors import Exit, MachineError, UserError
from supervisor.finish_by import FinishBy
from supervisor.plan import Plan
from supervisor.quiet_hours import QuietHours
from supervisor.shell import companions, linux, login_memory, snapshot, sweep, workers
from supervisor.shell.conductor import Conductor
from supervisor.shell.control import Control
from supervisor.shell.evidence_limits import EvidenceLimits
from supervisor.shell.hooks import Hooks, Targets
from supervisor.shell.inbox import Inbox, Signals
from supervisor.shell.journal import Journal
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_schema import LedgerMissingError, LedgerUnwritableError
from supervisor.shell.ledger_thread import LedgerThread
from supervisor.shell.loop import Loop
from supervisor.shell.processes import Processes
from supervisor.shell.reconcile import reconcile
from supervisor.shell.run_directory import RunDirectory, RunDirectoryUnwritableError
from supervisor.shell.service import Service
from supervisor.shell.store import Store
from supervisor.shell.upkeep import Upkeep
from supervisor.shell.workers import LocalWorkers
from supervisor.views.metrics import Metrics
from supervisor.views.status import Snapshot
from worker.settings import WorkerSettings

_LAST_SECONDS = 60.0
"""How long the rest of the end may take before the service manager may lose its patience."""
_DESCRIPTORS = 65_536


def run(plan: Plan, page: socket.socket | None = None) -> int:
    """Carry a plan out; return the exit code.

    Args:
        plan: what to do.
        page: listens for those who look at the status page, and is closed here; None when none is wanted.

    Raises:
        UserError: the run directory or the machine does not allow it; nothing was started.
    """
    _prepare_process()
    directory = RunDirectory(plan.run_dir)
    directory.create()
    # A ledger that is refused is told on the terminal alone: a damaged run directory is left as it is.
    with directory.lock(), _ledger(plan, directory) as ledger:
        journal = _journal(plan, directory)
        try:
            if not plan.try_login_again:
                login_memory.check(directory, plan.credentials)
            login_memory.remember(directory, plan.credentials)
            return _Night(plan, directory, ledger, journal, page).run()
        except UserError as error:
            journal.note(str(error), "ERROR")
            raise
        except Exception as error:
            journal.exception(error)
            raise
        finally:
            journal.close()


def _prepare_process() -> None:
    """Adopt orphans, allow many descriptors and no core dumps; a fatal signal shows where every thread was."""
    faulthandler.enable()  # to standard error: a service manager whose watchdog has had enough sends SIGABRT
    with contextlib.suppress(OSError):  # a sandbox may forbid it; zombies are then reaped by whoever adopts them
        linux.become_subreaper()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _ledger(plan: Plan, directory: RunDirectory) -> Ledger:
    if os.path.lexists(directory.ledger):
        return Ledger.open(directory.ledger, site=plan.site, site_name=plan.site_name)
    if directory.tracking.exists() or next(directory.documents.iterdir(), None) is not None:
        raise LedgerMissingError(
            f"the ledger {directory.ledger} is gone, but what came of a run is there; put the ledger back, "
            "or start in a new run directory"
        )
    return Ledger.create(directory.ledger, site=plan.site, site_name=plan.site_name, wall=time.time())


def _journal(plan: Plan, directory: RunDirectory) -> Journal:
    settings = plan.settings
    try:
        return Journal(
            directory.logs / "supervisor.log",
            as_json=settings.log_json,
            rotation=settings.log_rotation,
            retention=settings.log_retention,
        )
    except OSError as error:
        raise RunDirectoryUnwritableError(f"{directory.logs} cannot be written: {error.strerror}") from error


class _Night:
    """One run, with the lock and the ledger in its hands."""

    def __init__(
        self,
        plan: Plan,
        directory: RunDirectory,
        ledger: Ledger,
        journal: Journal,
        page: socket.socket | None,
    ) -> None:
        self._plan = plan
        self._page = page
        self._directory = directory
        self._ledger = ledger
        self._journal = journal
        self._done_before = None if plan.refresh is None else time.time() - plan.refresh * 3600
        self._temp_root = Path(tempfile.gettempdir()) / f"{sweep.TEMP_PREFIX}{ledger.run_id}"
        settings = plan.settings
        targets = Targets(
            settings.on_finish, settings.on_failure, settings.on_stuck, settings.hook_timeout, settings.hook_rest
        )
        self._hooks = Hooks(targets, directory, plan.site_name, ledger.run_id, journal.note)

    def run(self) -> int:
        self._put_in_order()
        settings = self._plan.settings
        self._ledger.begin_run(os.getpid(), settings.num_workers.least, time.time())
        # Signals are ours until the last one is told: one that comes when all is over must not leave a hook behind.
        with contextlib.closing(Signals()) as signals, contextlib.closing(self._hooks):
            return self._work_to_the_end(signals)

    def _work_to_the_end(self, signals: Signals) -> int:
        try:
            finish = self._work(signals)
        except BaseException as error:
            code = error.exit_code if isinstance(error, UserError) else int(Exit.MACHINE)
            reason = str(error) if isinstance(error, UserError) else f"ended by {type(error).__name__}"
            with contextlib.suppress(LedgerUnwritableError):  # it is often what the run ends by
                self._ledger.end_run(code, reason, time.time())
            self._hooks.finished(code, reason)
            raise
        self._journal.note(f"exit code {finish.code}: {finish.reason}")
        self._hooks.finished(finish.code, finish.reason)
        return finish.code

    def _put_in_order(self) -> None:
        """Remove what the last start left behind, and make the directory and the ledger agree."""
        companions.forget_pages(self._directory)
        for sentence in sweep.sweep(self._directory.processes, self._temp_root):
            self._journal.note(sentence, "WARNING")
        for finding in reconcile(self._directory, self._ledger, time.time()):
            self._journal.say(Say("WARNING", finding.sentence, ref=finding.ref))
        if self._plan.refs is not None:
            imported = self._ledger.import_references(self._plan.refs, done_before=self._done_before)
            again = imported.again.completed + len(imported.again.failed)
            new = len(imported.entries) - again
            self._journal.note(f"{new} references are new, {again} are done again, {imported.known} stay as they are")

    def _work(self, signals: Signals) -> Finish:
        settings = self._plan.settings
        numbers = msgspec.structs.replace(
            policy(settings), staging_root=str(self._directory.staging_root), own_logins=self._plan.own_logins
        )
        backlog = self._ledger.backlog(time.time())
        if self._plan.refs is None and self._done_before is not None and self._ledger.has_done(self._done_before):
            backlog = msgspec.structs.replace(backlog, has_inventory=False)  # what is new on the site comes along
        machine = Machine(numbers, settings.num_workers.least, backlog, time.monotonic())
        metrics = _metrics(self._directory)
        address = f"http://127.0.0.1:{self._page.getsockname()[1]}/" if self._page else ""
        who = snapshot.identity(self._plan.site_name, self._ledger.run_id, address)
        with contextlib.ExitStack() as stack:
            inbox = stack.enter_context(contextlib.closing(Inbox()))
            selector = stack.enter_context(contextlib.closing(selectors.DefaultSelector()))
            stack.callback(self._remove_temp_root)
            local = stack.enter_context(
                contextlib.closing(
                    LocalWorkers(
                        directory=self._directory,
                        settings_for=self._settings_for,
                        selector=selector,
                        inbox=inbox,
                        journal=self._journal,
                        processes=Processes(),
                    )
                )
            )
            try:
                local.guardian.start()
            except OSError as error:
                raise MachineError(f"the guardian cannot be started: {error.strerror or error}") from error
            books = stack.enter_context(
                contextlib.closing(LedgerThread(self._ledger, inbox, metrics, self._hooks.seen))
            )
            books.start()
            limits = EvidenceLimits(self._directory, settings.evidence_limit, settings.evidence_bytes)
            store = stack.enter_context(
                contextlib.closing(
                    Store(self._directory, self._ledger, inbox, self._journal, limits, done_before=self._done_before)
                )
            )
            finish_by = FinishBy(settings.finish_by, time.time())
            service = stack.enter_context(contextlib.closing(Service(self._plan.manager, self._journal.note)))
            upkeep = stack.enter_context(
                contextlib.closing(
                    Upkeep(
                        directory=self._directory,
                        workers=local,
                        inbox=inbox,
                        journal=self._journal,
                        service=service,
                        finish_by=finish_by,
                        disk_reserve=settings.disk_reserve,
                        quiet_hours=QuietHours(settings.quiet_hours),
                        spare=settings.spare_worker,
                    )
                )
            )
            conductor = Conductor(machine, books, local, store, self._journal)

            def picture() -> Snapshot:
                recent, completing = self._journal.recent, conductor.completing
                return finish_by.mark(snapshot.picture(who, machine.run, local, metrics, recent, completing=completing))

            stack.enter_context(
                companions.clerk(self._directory, self._plan.show, settings.metrics_file, self._journal)
            )
            if self._page is not None:
                self._journal.note(f"the status page is at {who.page}")
                stack.enter_context(companions.page(self._directory, self._page, self._journal))
            control = stack.enter_context(
                contextlib.closing(Control(self._directory, conductor, selector, inbox, self._journal))
            )
            loop = Loop(
                conductor=conductor,
                workers=local,
                ledger=books,
                inbox=inbox,
                signals=signals,
                upkeep=upkeep,
                control=control,
                selector=selector,
                snapshot=picture,
            )
            upkeep.write_status(picture())
            try:
                finish = loop.run()
                self._ledger.end_run(finish.code, finish.reason, time.time())
            finally:
                local.release()  # it ends while the others are waited for
                service.ending(companions.CLERK_SECONDS + settings.hook_timeout + _LAST_SECONDS)
                upkeep.write_last(picture())
            return finish

    def _settings_for(self, slot: int, incarnation: int) -> WorkerSettings:
        return worker_settings(
            self._plan.settings,
            site=self._plan.site,
            browser=self._plan.browser,
            temp_dir=self._temp_root / f"w{slot}-{incarnation}",
            log_file=self._directory.logs / (f"worker-{slot}.log" if slot else "spare.log"),
            marker=workers.marker(self._ledger.run_id, slot, incarnation),
            environment=self._plan.environment,
            picture=self._directory.page(slot) if self._page else None,
            slot=slot,
            incarnation=incarnation,
        )

    def _remove_temp_root(self) -> None:
        with contextlib.suppress(FileNotFoundError, OSError):  # never made, or the guardian still empties it
            self._temp_root.rmdir()


def _metrics(directory: RunDirectory) -> Metrics:
    """Return the metrics, with what earlier starts of this run have done."""
    with LedgerReader(directory.ledger) as reader:
        done = reader.figures()
    return Metrics(
        time.monotonic(),
        attempts=done.attempts,
        failures=done.failures,
        kills=done.kills,
        restarts=done.restarts,
        documents=done.documents,
        size=done.bytes,
    )
