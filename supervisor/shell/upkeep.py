"""What must be done now and then beside the run: status.json, memory, disk, the guardian, zombies, signs of life.

Nothing here waits. Slow work goes to one thread, and a round of it is left out while the last one is still under way.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from supervisor.core.events import MachineMeasured, MachineSlept, MemoryMeasured, PauseRequested, ResumeRequested
from supervisor.finish_by import FinishBy
from supervisor.quiet_hours import QuietHours
from supervisor.shell import linux
from supervisor.shell.inbox import Broken, Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.machine_watch import MachineWatch
from supervisor.shell.reaper import Reaper
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.service import Service
from supervisor.shell.space import Space
from supervisor.shell.trees import Tree
from supervisor.shell.workers import LocalWorkers
from supervisor.views.status import Snapshot, write_status

STATUS_SECONDS = 1.0
_QUIET_SECONDS = 1.0
_DISK_SECONDS = 3.0
_MACHINE_SECONDS = 5.0
_MEMORY_SECONDS = 30.0
"""The kernel adds a browser's memory up page by page, which costs tens of milliseconds for each worker."""
_FIRST_MEMORY_SECONDS = 8.0
"""When the first browsers have settled."""
_REAP_SECONDS = 20.0
_TOGETHER = 0.2
"""What would be due within so many seconds is done now."""
_WELL = frozenset({"idle", "busy", "errand", "retired"})
"""States of a slot in which it needs no processor time for a start."""


_NAP = 5.0
"""Seconds of a suspend that are worth telling."""
_MANY = 4
"""References that are left for each worker, when another start of a browser is still worth its while."""


def _is_worth_a_spare(seen: Snapshot) -> bool:
    totals = seen.totals
    well = all(worker.state in _WELL for worker in seen.workers)
    return well and totals.pending > _MANY * len(seen.workers)


def _asleep() -> float:
    """Return for how many seconds this machine was suspended since it booted (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


class Upkeep:
    """Called by the loop with the time; decides what is due."""

    def __init__(
        self,
        *,
        directory: RunDirectory,
        workers: LocalWorkers,
        inbox: Inbox,
        journal: Journal,
        service: Service,
        finish_by: FinishBy,
        disk_reserve: int,
        quiet_hours: QuietHours,
        spare: bool,
    ) -> None:
        self._directory = directory
        self._workers = workers
        self._inbox = inbox
        self._journal = journal
        self._service = service
        self._finish_by = finish_by
        self._space = Space(directory.path, Path(tempfile.gettempdir()), disk_reserve)
        self._machine = MachineWatch()
        self._seen: Snapshot | None = None
        self._spare = spare
        self._reaper = Reaper(workers.direct)
        self._thread = ThreadPoolExecutor(1, "upkeep")
        self._under_way: dict[str, Future[None]] = {}
        self._due = dict.fromkeys(("status", "quiet hours", "disk", "machine", "reap"), 0.0)
        self._due["memory"] = time.monotonic() + _FIRST_MEMORY_SECONDS
        self._next = 0.0
        self._complaint = ""
        self._quiet_hours = quiet_hours
        self._quiet = False
        self._slept = _asleep()

    def next_due(self) -> float:
        """When `tick` has something to do again."""
        return self._next

    def tick(self, now: float, snapshot: Callable[[], Snapshot]) -> None:
        """Do what is due at `now`, or so soon after it that it is not worth a round of its own."""
        self._service.alive(now)
        if self._is_due("status", now, STATUS_SECONDS):
            seen = self._seen = snapshot()
            self.write_status(seen)
            self._service.tell(seen)
            for event in self._finish_by.look(time.time(), seen):
                self._inbox.put(event)
            if seen.run.state != "running":
                self._workers.release()
            elif self._spare and _is_worth_a_spare(seen):
                self._workers.prepare()
            if said := self._workers.guardian.keep():
                self._journal.note(said, "WARNING")
        if self._is_due("quiet hours", now, _QUIET_SECONDS):
            self._look_at_clock(datetime.now().astimezone())
            self._look_for_sleep(_asleep())
        if self._is_due("disk", now, _DISK_SECONDS):
            self._begin("disk", self._look_at_disk)
        if self._is_due("machine", now, _MACHINE_SECONDS):
            self._begin("machine", self._look_at_machine)
        if self._is_due("memory", now, _MEMORY_SECONDS):
            trees = [(key, member.tree) for key, member in self._workers.members.items()]
            self._begin("memory", lambda: self._weigh(trees))
        if self._is_due("reap", now, _REAP_SECONDS):
            self._reaper.reap()
        self._next = min(*self._due.values(), self._service.next_due())

    def write_status(self, snapshot: Snapshot) -> None:
        """Have status.json replaced."""
        self._begin("status", lambda: self._write_status(snapshot))

    def write_last(self, snapshot: Snapshot) -> None:
        """Replace status.json now, at the end of the run, with nothing else under way."""
        self.close()
        self._write_status(snapshot)

    def close(self) -> None:
        """Finish what is under way."""
        self._thread.shutdown(wait=True)

    def _is_due(self, what: str, now: float, interval: float) -> bool:
        if now < self._due[what] - _TOGETHER:
            return False
        self._due[what] = now + interval
        return True

    def _begin(self, what: str, work: Callable[[], None]) -> None:
        former = self._under_way.get(what)
        if former is not None and not former.done():
            return

        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a bug in a thread must end the run, not vanish in its future
                self._inbox.put(Broken(error))

        self._under_way[what] = self._thread.submit(guarded)

    def _write_status(self, snapshot: Snapshot) -> None:
        try:
            write_status(self._directory.status, snapshot)
            self._complaint = ""
        except OSError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._journal.note(f"status.json could not be written: {error}", "WARNING")

    def _look_at_clock(self, moment: datetime) -> None:
        """Tell when quiet hours begin and end. The clock of the wall is asked each time, so it may be set meanwhile."""
        end = self._quiet_hours.end(moment)
        if end is not None and not self._quiet:
            self._inbox.put(PauseRequested("quiet hours", f"quiet hours until {end:%H:%M}"))
        elif end is None and self._quiet:
            self._inbox.put(ResumeRequested("quiet hours"))
        self._quiet = end is not None

    def _look_for_sleep(self, asleep: float) -> None:
        """Tell when the machine was suspended since the last look; `asleep` are the seconds in all since it booted."""
        slept, self._slept = asleep - self._slept, asleep
        if slept >= _NAP:
            self._inbox.put(MachineSlept(slept))

    def _look_at_disk(self) -> None:
        event = self._space.look()
        if event is not None:
            self._inbox.put(event)
        if self._seen is not None:
            for sentence in self._space.foresee(self._seen):
                self._journal.note(sentence, "WARNING")

    def _look_at_machine(self) -> None:
        self._inbox.put(MachineMeasured(self._machine.left(), self._machine.idle()))

    def _weigh(self, trees: list[tuple[tuple[int, int], Tree]]) -> None:
        try:
            running = tuple(linux.processes())
            for (slot, incarnation), tree in trees:
                self._inbox.put(MemoryMeasured(slot, incarnation, tree.memory(running)))
        except OSError as error:  # no descriptor left to look with: the next round may have one
            self._journal.note(f"the memory of the workers could not be measured: {error}", "WARNING")
