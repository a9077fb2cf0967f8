"""The one loop of the supervisor: it waits for pipes, ends of children, threads, signals and deadlines, never inside.

A round: what came through the pipes first, then who ended, then what threads and signals left, then the deadlines; at
the end the records of the round go to the ledger together.
"""

import selectors
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from supervisor.core.commands import Finish
from supervisor.core.events import Event, LoopStalled, StopRequested, TimePassed, TreeGone
from supervisor.core.state import Stage
from supervisor.errors import MachineError
from supervisor.shell.conductor import Conductor
from supervisor.shell.control import Control
from supervisor.shell.inbox import Broken, Durable, Inbox, Signals
from supervisor.shell.ledger_thread import LedgerThread
from supervisor.shell.upkeep import Upkeep
from supervisor.shell.workers import LocalWorkers
from supervisor.views.status import Snapshot

_STALL_SECONDS = 5.0
"""A round that comes so much later than it was due means that the whole supervisor stood still."""

_PATIENCE = 30.0
"""Seconds for which somebody who wants an end waits for a ledger that cannot be written."""

Handler = Callable[[Any, int], Iterator[Event]]


class Loop:
    """Runs until the core says `Finish`."""

    def __init__(
        self,
        *,
        conductor: Conductor,
        workers: LocalWorkers,
        ledger: LedgerThread,
        inbox: Inbox,
        signals: Signals,
        upkeep: Upkeep,
        control: Control,
        selector: selectors.BaseSelector,
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self._conductor = conductor
        self._workers = workers
        self._ledger = ledger
        self._inbox = inbox
        self._signals = signals
        self._upkeep = upkeep
        self._control = control
        self._selector = selector
        self._snapshot = snapshot
        self._stops = 0
        self._asked = False
        """Somebody wants the run to end: an operator, a signal, the time by which to be done."""
        self._stuck_since: float | None = None
        """Since when somebody does and nothing can be written, so that no worker can be told anything."""
        selector.register(inbox, selectors.EVENT_READ, None)
        selector.register(signals, selectors.EVENT_READ, None)

    def run(self) -> Finish:
        """Go round until the run is over; return how it ended.

        Raises:
            MachineError: nothing can be written any more, and the operator wants an end.
            Exception: a bug of ours, met here or in a thread.
        """
        self._take(TimePassed(), time.monotonic())
        self._conductor.flush()
        while self._conductor.finished is None:
            self._round()
        return self._conductor.finished

    def _round(self) -> None:
        now = time.monotonic()
        due = max(min(self._conductor.machine.next_deadline(), self._upkeep.next_due()), now)
        ready = self._selector.select(due - now)
        now = time.monotonic()
        if now - due > _STALL_SECONDS:
            self._take(LoopStalled(now - due), now)
        # Ends come after all that was said, and what threads and signals left after both.
        for key, mask in sorted(ready, key=self._rank) if len(ready) > 1 else ready:
            if key.data is not None:
                handler, member = key.data
                for event in handler(member, mask):
                    self._take(event, now)
            elif key.fileobj is self._inbox:
                self._take_items(now)
            else:
                self._take_signals(now)
        if self._inbox.waits:
            self._take_items(now)
        if now >= self._conductor.machine.next_deadline():
            self._take(TimePassed(), now)
        for event in self._control.events():
            self._take(event, now)
        self._conductor.flush()
        self._control.answer(now)
        if now >= self._upkeep.next_due():
            self._upkeep.tick(now, self._snapshot)
        self._end_without_ledger(now)

    def _end_without_ledger(self, now: float) -> None:
        """End what somebody wants to end and cannot end in good order, because that has to be written down first."""
        if not (self._asked and self._ledger.trouble):
            self._stuck_since = None
            return
        self._stuck_since = now if self._stuck_since is None else self._stuck_since
        stage = self._conductor.machine.run.stage
        if stage is Stage.FINISHED:
            raise MachineError(f"the run ends, but the ledger cannot be written: {self._ledger.trouble}")
        if stage is Stage.DRAINING and now - self._stuck_since >= _PATIENCE:
            reason = "stopped at once, because the ledger cannot be written"
            self._take(StopRequested(at_once=True, reason=reason), now)
            self._conductor.flush()

    def _rank(self, ready: tuple[selectors.SelectorKey, int]) -> int:
        key, _ = ready
        if key.data is None:
            return 2 if key.fileobj is self._inbox else 3
        return 0 if key.data[0] == self._workers.on_pipe else 1

    def _take(self, event: Event, now: float) -> None:
        self._asked |= isinstance(event, StopRequested)
        self._conductor.take(event, now)

    def _take_items(self, now: float) -> None:
        for item in self._inbox.take():
            match item:
                case Durable(batch=batch):
                    self._conductor.durable(batch, now)
                case Broken(error=error):
                    raise error
                case TreeGone(slot=slot, incarnation=incarnation):
                    for event in self._workers.gone(slot, incarnation):
                        self._take(event, now)
                    self._take(item, now)
                case _:
                    self._take(item, now)

    def _take_signals(self, now: float) -> None:
        for number in self._signals.take():
            if number == signal.SIGUSR1:
                self._upkeep.write_status(self._snapshot())
            elif number in Signals.WANTED:
                self._stops += 1
                name = signal.Signals(number).name
                self._take(StopRequested(at_once=self._stops > 1, reason=f"stopped by {name}"), now)
