"""The one interpreter of the core's commands, over ports that the real shell and the simulated world both implement.

It keeps one promise of its own: what depends on a record is done only when that record is durable. The records of one
round of events make a batch for the ledger; the commands that depend on them, and what the log says of an attempt's
outcome, are held back, in their order, until the ledger says that the batch is on disk. Meanwhile the round goes on:
kills, starts and publishing depend on no record.
"""

from collections import deque
from typing import Protocol, assert_never

from supervisor.core.commands import (
    Command,
    Discard,
    DiscardErrand,
    Finish,
    Kill,
    LoadInventory,
    Publish,
    Say,
    Send,
    Spawn,
    Withdraw,
    Write,
)
from supervisor.core.events import Event, LoopStalled, SendDelayed, TimePassed
from supervisor.core.machine import Machine
from supervisor.core.records import AttemptSucceeded, Record
from worker.protocol import Inbound

_SLOW = 0.5
"""Seconds for which a message may wait for the ledger before the core is told, whose deadlines began with it."""


class _Held:
    """The commands that wait for one batch, and since when the core has not been told that they do."""

    __slots__ = ("batch", "commands", "completed", "since")

    def __init__(self, batch: int, commands: list[Command], since: float, completed: int = 0) -> None:
        self.batch = batch
        self.commands = commands
        self.since = since
        self.completed = completed
        """References that are completed when the batch is on disk."""


class LedgerPort(Protocol):
    """Writes batches in the order in which they come, and says by `Conductor.durable` when one is on disk."""

    def submit(self, batch: int, records: tuple[Record, ...]) -> None:
        """Begin to write; return at once."""


class WorkersPort(Protocol):
    """What starts, feeds and kills the worker of a slot: local processes for now. Returns at once."""

    def spawn(self, slot: int, incarnation: int) -> None:
        """Start a child; what goes wrong comes back as `SpawnFailed`."""

    def send(self, slot: int, incarnation: int, message: Inbound) -> None:
        """Say something to the child; one that is gone is no error."""

    def kill(self, command: Kill) -> None:
        """Begin to kill the tree; `TreeGone` says when it is dead."""


class StorePort(Protocol):
    """Files: staging, documents, evidence. Returns at once; answers are events."""

    def publish(self, command: Publish) -> None:
        """Begin to publish; answered by `Published` or `PublishFailed`."""

    def discard(self, command: Discard) -> None:
        """Keep the evidence, remove the staging folder."""

    def withdraw(self, command: Withdraw) -> None:
        """Take documents that do not count any more out of their place."""

    def discard_errand(self, command: DiscardErrand) -> None:
        """As `discard`, of a login or an export."""

    def load_inventory(self, command: LoadInventory) -> None:
        """Read the references of an export; answered by `InventoryLoaded` or `InventoryRejected`."""


class JournalPort(Protocol):
    """The supervisor's log. Returns at once."""

    def say(self, command: Say) -> None:
        """Log a sentence."""


class Conductor:
    """Feeds events to the machine and carries its commands out."""

    def __init__(
        self, machine: Machine, ledger: LedgerPort, workers: WorkersPort, store: StorePort, journal: JournalPort
    ) -> None:
        self.machine = machine
        self.finished: Finish | None = None
        self._ledger = ledger
        self._workers = workers
        self._store = store
        self._journal = journal
        self._batch = 0
        self.written = 0
        """The last batch that is on disk."""
        self.completing = 0
        """References that the core calls completed, and the ledger does not yet."""
        self._records: list[Record] = []
        self._dependent: list[Command] = []
        self._held: deque[_Held] = deque()
        self._now = 0.0

    @property
    def submitted(self) -> int:
        """The last batch that was handed to the ledger."""
        return self._batch

    def take(self, event: Event, now: float) -> None:
        """Let the machine handle one event; carry out what depends on no record, keep the rest for `flush`."""
        self._now = now
        if isinstance(event, TimePassed):
            for held in self._held:
                self._excuse(held)
        elif isinstance(event, LoopStalled):
            for held in self._held:  # the core excuses this time itself
                held.since += event.seconds
        self._handle(event)

    def _handle(self, event: Event) -> None:
        for command in self.machine.handle(event, self._now):
            match command:
                case Write(record=record):
                    self._records.append(record)
                case Send() | Discard() | Withdraw() | Finish():
                    self._dependent.append(command)
                case Say(attempt=attempt, incident="") if attempt:
                    self._dependent.append(command)
                case Spawn() | Kill() | Publish() | DiscardErrand() | LoadInventory() | Say():
                    self._carry_out(command)
                case _:
                    assert_never(command)

    def flush(self) -> None:
        """End a round: hand its records to the ledger; do what depends on none that is still on its way."""
        dependent, self._dependent = self._dependent, []
        if self._records:
            records, self._records = tuple(self._records), []
            completed = len([record for record in records if isinstance(record, AttemptSucceeded)])
            self.completing += completed
            self._batch += 1
            self._held.append(_Held(self._batch, dependent, self._now, completed))
            self._ledger.submit(self._batch, records)
        elif self._held and dependent:
            self._held.append(_Held(self._held[-1].batch, dependent, self._now))
        else:
            for command in dependent:
                self._carry_out(command)

    def durable(self, batch: int, now: float) -> None:
        """The ledger has every batch up to this one on disk."""
        self.written, self._now = batch, now
        while self._held and self._held[0].batch <= batch:
            held = self._held.popleft()
            self.completing -= held.completed
            self._excuse(held)
            for command in held.commands:
                self._carry_out(command)

    def _excuse(self, held: _Held) -> None:
        """Tell the core of each child that could not be told in time what it is to do."""
        waited = self._now - held.since
        if waited >= _SLOW:
            held.since = self._now
            for slot, incarnation in {(one.slot, one.incarnation) for one in held.commands if isinstance(one, Send)}:
                self._handle(SendDelayed(slot, incarnation, waited))

    def _carry_out(self, command: Command) -> None:
        match command:
            case Send(slot=slot, incarnation=incarnation, message=message):
                self._workers.send(slot, incarnation, message)
            case Spawn(slot=slot, incarnation=incarnation):
                self._workers.spawn(slot, incarnation)
            case Kill():
                self._workers.kill(command)
            case Publish():
                self._store.publish(command)
            case Discard():
                self._store.discard(command)
            case Withdraw():
                self._store.withdraw(command)
            case DiscardErrand():
                self._store.discard_errand(command)
            case LoadInventory():
                self._store.load_inventory(command)
            case Say():
                self._journal.say(command)
            case Finish():
                self.finished = command
            case Write():
                raise AssertionError("a record is carried out by the ledger alone")
            case _:
                assert_never(command)
