"""How fast references go out and come back: ``python -m tests.benchmarks.dispatch [--references N] [--workers N]``.

The real core, conductor, loop, ledger, pipes and child processes; only the work is missing: each child answers at once
that it brought nothing, and there is nothing to publish. Every reference is flushed to disk when its attempt starts
and when it is completed, which may share the flush of another one's start. Beside it, in the same run, two process
pools that keep nothing, and what one flush takes: no child gets its next reference before a flush, so no more than as
many references as there are children come out of each. ``TMPDIR=/dev/shm`` shows the rate where a flush takes no time.
"""

import argparse
import contextlib
import os
import selectors
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pebble
import psutil

from supervisor.core.commands import Discard, DiscardErrand, LoadInventory, Publish, Withdraw
from supervisor.core.events import Published
from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.finish_by import FinishBy
from supervisor.quiet_hours import QuietHours
from supervisor.shell import snapshot, workers
from supervisor.shell.conductor import Conductor
from supervisor.shell.control import Control
from supervisor.shell.inbox import Inbox, Signals
from supervisor.shell.journal import Journal
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_thread import LedgerThread
from supervisor.shell.loop import Loop
from supervisor.shell.processes import Processes
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.service import Service
from supervisor.shell.upkeep import Upkeep
from supervisor.shell.workers import LocalWorkers
from supervisor.views.metrics import Metrics
from tests.benchmarks.machine import describe
from worker.protocol import (
    VERSION,
    Assign,
    Hello,
    LoggedIn,
    LogIn,
    ProveSession,
    Ready,
    Revisit,
    Served,
    SessionProven,
    ShutDown,
    Succeeded,
    encode,
    to_worker,
)
from worker.settings import WorkerSettings

_FLUSHES = 100
_COMMIT = 32_768
"""Bytes: a handful of pages, each with its header."""


def idle_child(connection: Connection, _settings: WorkerSettings) -> None:
    """Be a worker that has nothing to do: log in without a site, bring nothing for any reference."""
    os.setsid()
    pipe = connection.fileno()
    os.write(pipe, encode(Hello(VERSION, os.getpid())) + encode(Ready()))
    decoder = to_worker()
    while data := os.read(pipe, 65_536):
        for message in decoder.feed(data):
            match message:
                case ProveSession(errand=errand):
                    os.write(pipe, encode(SessionProven(errand)))
                case Revisit(errand=errand):
                    os.write(pipe, encode(Served(errand)))
                case LogIn(errand=errand):
                    os.write(pipe, encode(LoggedIn(errand, b"-")))
                case Assign(attempt=attempt):
                    os.write(pipe, encode(Succeeded(attempt, ())))
                case ShutDown():
                    return


class NothingToStore:
    """A store for references without documents."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.first = 0.0
        """When the first answer came, in monotonic seconds: the children have started by then."""

    def publish(self, command: Publish) -> None:
        """Say that it is in place."""
        self.first = self.first or time.monotonic()
        self._inbox.put(Published(command.attempt, command.documents))

    def discard(self, command: Discard) -> None:
        """Have nothing to remove."""

    def withdraw(self, command: Withdraw) -> None:
        """Nothing is in place."""

    def discard_errand(self, command: DiscardErrand) -> None:
        """Nothing was staged."""

    def load_inventory(self, command: LoadInventory) -> None:
        """Never asked: the references are there from the start."""


def nightfleet(references: int, count: int, folder: Path) -> tuple[float, float]:
    """Return the seconds from the first answer to the end of the run, and the supervisor's CPU seconds in all."""
    directory = RunDirectory(folder)
    directory.create()
    journal = Journal(directory.logs / "supervisor.log", as_json=False, rotation=10**9, retention=1)
    ledger = Ledger.create(directory.ledger, site="none", wall=time.time())
    ledger.import_references(f"R-{number}" for number in range(references))
    policy = Policy(worker_delay=0.0, recycle_after=0, staging_root=str(directory.staging_root))
    machine = Machine(policy, count, ledger.backlog(time.time()), time.monotonic())
    metrics = Metrics(time.monotonic())

    def settings(slot: int, incarnation: int) -> WorkerSettings:
        temp = folder / "nightfleet-bench" / f"w{slot}-{incarnation}"
        mark = workers.marker("bench", slot, incarnation)
        return WorkerSettings(slot, incarnation, "none", str(temp), "", "", os.getpid(), mark)

    with contextlib.ExitStack() as stack:
        inbox = stack.enter_context(contextlib.closing(Inbox()))
        signals = stack.enter_context(contextlib.closing(Signals()))
        selector = stack.enter_context(contextlib.closing(selectors.DefaultSelector()))
        local = stack.enter_context(
            contextlib.closing(
                LocalWorkers(
                    directory=directory,
                    settings_for=settings,
                    selector=selector,
                    inbox=inbox,
                    journal=journal,
                    processes=Processes(idle_child),
                )
            )
        )
        local.guardian.start()
        books = stack.enter_context(contextlib.closing(LedgerThread(ledger, inbox, metrics)))
        books.start()
        upkeep = stack.enter_context(
            contextlib.closing(
                Upkeep(
                    directory=directory,
                    workers=local,
                    inbox=inbox,
                    journal=journal,
                    service=Service(None, journal.note),
                    finish_by=FinishBy("", 0.0),
                    disk_reserve=0,
                    quiet_hours=QuietHours(""),
                    spare=False,
                )
            )
        )
        store = NothingToStore(inbox)
        who = snapshot.identity("none", "bench")
        conductor = Conductor(machine, books, local, store, journal)
        control = stack.enter_context(contextlib.closing(Control(directory, conductor, selector, inbox, journal)))
        loop = Loop(
            conductor=conductor,
            workers=local,
            ledger=books,
            inbox=inbox,
            signals=signals,
            upkeep=upkeep,
            control=control,
            selector=selector,
            snapshot=lambda: snapshot.picture(who, machine.run, local, metrics, (), completing=conductor.completing),
        )
        cpu = psutil.Process().cpu_times()
        finish = loop.run()
        elapsed, spent = time.monotonic() - store.first, psutil.Process().cpu_times()
    ledger.close()
    journal.close()
    if finish.code:
        raise SystemExit(f"the run ended with {finish.code}: {finish.reason}")
    return elapsed, spent.user + spent.system - cpu.user - cpu.system


def flushing(folder: Path) -> float:
    """Return the seconds that a flush of as much as a commit writes takes, the median of some."""
    times = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(_FLUSHES):
            file.write(bytes(_COMMIT))
            begun = time.monotonic()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - begun)
    return statistics.median(times)


def nothing(number: int) -> int:
    """Be the work of the pools."""
    return number


def with_futures(references: int, count: int) -> float:
    """Return the seconds of `concurrent.futures.ProcessPoolExecutor`, one call a reference."""
    with ProcessPoolExecutor(count) as pool:
        pool.submit(nothing, 0).result()
        begun = time.monotonic()
        for future in [pool.submit(nothing, number) for number in range(references)]:
            future.result()
        return time.monotonic() - begun


def with_pebble(references: int, count: int) -> float:
    """Return the seconds of `pebble.ProcessPool`, one call a reference."""
    with pebble.ProcessPool(max_workers=count) as pool:
        pool.schedule(nothing, args=[0]).result()
        begun = time.monotonic()
        for future in [pool.schedule(nothing, args=[number]) for number in range(references)]:
            future.result()
        return time.monotonic() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--references", type=int, default=5_000)
    parser.add_argument("--workers", type=int, default=4)
    asked = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as folder:
        elapsed, cpu = nightfleet(asked.references, asked.workers, Path(folder) / "run")
        flush = flushing(Path(folder))
    rate = asked.references / elapsed
    print(f"nightfleet, {asked.workers} children: {rate:,.0f} references/s,", end=" ")
    print(f"supervisor CPU {cpu / asked.references * 1000:.2f} ms a reference; each on disk before and after")
    print(
        f"a flush takes {flush * 1000:.2f} ms: {asked.workers} children can get {asked.workers / flush:,.0f} a second"
    )
    others: dict[str, Callable[[int, int], float]] = {
        "concurrent.futures.ProcessPoolExecutor": with_futures,
        "pebble.ProcessPool": with_pebble,
    }
    for name, measure in others.items():
        print(f"{name}: {asked.references / measure(asked.references, asked.workers):,.0f} calls/s, nothing on disk")


if __name__ == "__main__":
    main()
