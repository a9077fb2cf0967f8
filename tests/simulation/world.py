"""The simulated world around the real machine and the real conductor: one clock, one heap of happenings, one seed."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from random import Random
from typing import Any

import msgspec

from supervisor.core.commands import Command, Discard, DiscardErrand, Finish, LoadInventory, Publish, Say, Withdraw
from supervisor.core.events import (
    Event,
    InventoryLoaded,
    InventoryRejected,
    LoopStalled,
    MachineSlept,
    Published,
    PublishFailed,
    ResumeRequested,
    TimePassed,
)
from supervisor.core.machine import Machine
from supervisor.core.records import Record
from supervisor.shell.conductor import Conductor
from tests.simulation.children import Children
from tests.simulation.inspector import Inspector
from tests.simulation.limits import Limits
from tests.simulation.memory import Memory
from tests.simulation.model_ledger import ModelLedger
from tests.simulation.oracle import Violation, demand
from tests.simulation.people import Operator
from tests.simulation.trouble import Night, Trouble, policy
from tests.simulation.website import Website
from worker.protocol import Document, Kind

_DAYS = 86_400.0 * 4
_NEVER = float("inf")
_SLEEPS = 1000.0
_FIGHTS = 40
"""Sessions ended by other logins of the run itself, after which somebody must have noticed."""

_IN_TURN = frozenset({Trouble.RATE, Trouble.REQUESTS})


class Figures(msgspec.Struct):
    """What a night saw."""

    nights: int = 1
    events: int = 0
    records: int = 0
    attempts: int = 0
    crashes: int = 0
    kills: int = 0
    spawns: int = 0
    outages: int = 0
    restarts: int = 0
    hours: float = 0.0

    def add(self, other: "Figures") -> None:
        """Add up."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class WatchedMachine(Machine):
    """The real machine; after each event its invariants are checked, and the inspector sees what went in and out."""

    inspector: Inspector

    def handle(self, event: Event, now: float) -> list[Command]:
        """As the machine does it."""
        commands = super().handle(event, now)
        self.check_invariants()
        self.inspector.saw(event, commands)
        return commands


class World:
    """A night. `live` plays it to its end; a broken promise raises."""

    def __init__(self, night: Night, trace: Callable[[str], None] | None = None) -> None:
        self.night = night
        self.trace = trace
        self.rng = Random(night.seed)  # noqa: S311 - a simulation wants to be repeatable, not secret
        self.policy = policy(self.rng, night.troubles)
        self.now = 1000.0
        self.figures = Figures()
        horizon = 30.0 + night.references * 5.0 / night.workers
        self.horizon = horizon
        self.site = Website(night, self.rng, horizon + 1000.0)
        self.ledger = ModelLedger()
        self.fewest_retries = self.policy.max_retries
        self.published: dict[int, int] = {}
        """Attempt that published what is in place, by reference."""
        self.staged: dict[int, tuple[Document, ...]] = {}
        self.fates: dict[int, set[Kind]] = {}
        """For each attempt, the failures that the world has caused."""
        self.valid_sessions: dict[int, bytes] = {}
        """What the site takes for logged in: by slot with own logins, else under 0."""
        self.best_sessions: dict[int, bytes] = {}
        """What the supervisor must take for the present ones."""
        self.placeholders: set[int] = set()
        """Attempts that were given something else than their documents, because their session was gone."""
        self.early_ends = 0
        """Sessions that the site ended while they were young, since the start."""
        self.fights = 0
        """Those among them that another login of the run itself ended."""
        self.limits = Limits(self.policy)
        self.scaled = night.workers
        self.disk_full = False
        self.epidemic_until = self.thefts_until = 0.0
        self.last_errand_failure = -1.0
        self.logged_in_at = 0.0
        self.recipe_failed = False
        self._heap: list[tuple[float, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0
        self._epoch = 0
        self._batches: list[tuple[int, tuple[Record, ...]]] = []
        self._durable_at = 0.0
        self.children = Children(self)
        self.inspector = Inspector(self)
        self.operator = Operator(self)
        self.memory = Memory(self)
        self.conductor: Conductor | None = None
        self.discarded_errands: set[int] = set()
        self.machine: WatchedMachine | None = None

    # ------------------------------------------------------------------------------------------------------------- time
    def later(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        """Have something happen, unless the supervisor dies before."""
        self._sequence += 1
        heappush(self._heap, (self.now + seconds, self._sequence, self._epoch, what, args))

    def whatever_comes(self, at: float, what: Callable[..., None], *args: Any) -> None:
        """Have something happen at `at`, whoever is alive then."""
        self._sequence += 1
        heappush(self._heap, (at, self._sequence, 0, what, args))

    def suspend(self, seconds: float) -> None:
        """The whole machine stands still; the site and the operator do not wait for it.

        In the longest of them it sleeps, and the clock by which the supervisor goes stands still as well.
        """
        if seconds > _SLEEPS:
            self._sleep(seconds)
            return
        self.now += seconds
        self._heap = [
            (at + seconds if epoch else at, sequence, epoch, what, args)
            for at, sequence, epoch, what, args in self._heap
        ]
        heapify(self._heap)
        self._durable_at += seconds
        self.inspector.disturbed |= set(self.inspector.flying)
        self.post(LoopStalled(seconds))
        self.children.wake()

    def _sleep(self, seconds: float) -> None:
        self._heap = [
            (at if epoch else max(self.now, at - seconds), sequence, epoch, what, args)
            for at, sequence, epoch, what, args in self._heap
        ]
        heapify(self._heap)
        self.site.windows = [w._replace(begin=w.begin - seconds, end=w.end - seconds) for w in self.site.windows]
        self.inspector.disturbed |= set(self.inspector.flying)
        self.post(MachineSlept(seconds))
        self.children.wake()

    def post(self, event: Event) -> None:
        """Let the conductor take an event, if there is one."""
        if self.conductor is not None and self.conductor.finished is None:
            self.figures.events += 1
            self.conductor.take(event, self.now)

    # -------------------------------------------------------------------------------------------------------- the night
    def live(self) -> Figures:
        """Play the night to its end.

        Raises:
            AssertionError: a promise was broken.
        """
        limit = 400 * self.night.references + 10_000
        self.start()
        while True:
            if self.figures.events > limit or self.now > _DAYS:
                raise Violation(f"the night does not end: {self.figures}")
            self._step()
            finished = self.conductor.finished if self.conductor is not None else None
            if finished is not None and self._ended(finished):
                break
        self.inspector.at_the_end()
        self.figures.records = self.ledger.applied
        self.figures.hours = self.now / 3600.0
        return self.figures

    def _step(self) -> None:
        """One happening, or one deadline of the core's; then the round ends, mostly."""
        machine, conductor, heap = self.machine, self.conductor, self._heap
        deadline = machine.next_deadline() if machine is not None else _NEVER
        if machine is not None and self.rng.random() < 0.001:
            machine.run.queue.check_each()
        if heap and heap[0][0] <= deadline:
            at, _, _, what, args = heappop(heap)
            self.now = max(self.now, at)
            if self.trace is not None and what.__name__ != "post":
                self.trace(f"{self.now:10.3f}  .. {what.__name__.strip('_')} {args}")
            what(*args)
            if conductor is self.conductor and conductor is not None and self.rng.random() < 0.2 and self._more():
                return
        elif machine is not None:
            demand(deadline < _NEVER, "nothing will ever happen again")
            self.now = max(self.now, deadline)
            self.children.beat(self.policy.heartbeat_timeout)
            self.post(TimePassed())
            demand(machine.next_deadline() > self.now, "the core spins: its next deadline has come already")
        else:
            raise Violation("there is no run and nobody will start one")
        if self.conductor is not None:
            self.conductor.flush()

    def _more(self) -> bool:
        return bool(self._heap) and self._heap[0][0] <= self.now + 0.05

    # -------------------------------------------------------------------------------------------- starts and crashes
    def start(self) -> None:
        """Somebody starts the run, for the first time or again."""
        if self.conductor is not None:
            return
        self._epoch += 1
        self.early_ends = self.fights = 0
        lost = {row.attempt for row in self.ledger.rows.values() if row.state == "in_progress"}
        if Trouble.SETTINGS in self.night.troubles:
            self.policy = msgspec.structs.replace(self.policy, max_retries=self.rng.randint(0, 4))
        self.fewest_retries = min(self.fewest_retries, self.policy.max_retries)
        self.ledger.max_attempts = self.policy.max_retries + 1
        doubted = self.ledger.doubted
        self.published = {ref_id: attempt for ref_id, attempt in self.published.items() if attempt not in doubted}
        backlog = self.ledger.recover(self.published, self.now)
        machine = WatchedMachine(self.policy, self.scaled, backlog, self.now)
        machine.inspector = self.inspector
        self.machine = machine
        self.inspector.begin(machine, lost)
        self.limits.restarted(self.ledger.started)
        self.conductor = Conductor(machine, self, self.children, self, self)
        self.discarded_errands.clear()
        self.post(TimePassed())
        self.memory.begin()
        if self.disk_full:
            self.operator.disk_fills()
        self.conductor.flush()
        if Trouble.CRASH in self.night.troubles and self.figures.crashes < 12:
            self.later(self.rng.expovariate(1 / 150.0), self.crash)

    def crash(self) -> None:
        """The supervisor, or the machine, dies between any two steps; what was not flushed is gone."""
        if self.conductor is None:
            return
        self.figures.crashes += 1
        for _, records in self._batches[: self.rng.randint(0, len(self._batches))]:
            self.ledger.apply(records, self.now)  # committed, but nobody was told
        self._down(self.rng.choice((0.5, 5.0, 200.0)))

    def _down(self, until_start: float) -> None:
        self.conductor = self.machine = None
        self.placeholders -= set(self.published.values())  # what the end of a start has not proven stays so
        self._batches.clear()
        self._durable_at = 0.0
        self._heap = [happening for happening in self._heap if not happening[2]]
        heapify(self._heap)
        self.children.power_cut()
        self.whatever_comes(self.now + until_start, self.start)

    def _ended(self, finish: Finish) -> bool:
        """The run has ended; say whether the night has too."""
        self.inspector.finished(finish)
        if finish.code <= 1 and not self.operator.wants_more():
            return True
        self.figures.restarts += 1
        demand(self.figures.restarts < 400, "the run is started again and again, and never finishes")
        if finish.code == 4:
            self.site.refuses_from = float("inf")  # the operator corrects the password
        if finish.reason.startswith("the session was"):
            self.site.exclusive = False  # the operator talks to the site's owner
        self._down(self.rng.choice((1.0, 60.0, 600.0)))
        return False

    @property
    def most_workers(self) -> int:
        """How many workers may be wanted at most: what the operator said, or else what the core may try by itself."""
        run = self.machine.run if self.machine is not None else None
        auto = run is not None and run.scaling is not None
        return self.policy.auto_workers[1] if auto and self.policy.auto_workers is not None else self.scaled

    def key(self, slot: int) -> int:
        """Return under what the session of this slot's worker is found."""
        return slot if self.policy.own_logins else 0

    def end_session(self) -> None:
        """The site forgets every session."""
        self.early_ends += self.now - self.logged_in_at <= self.policy.stolen_window
        self.valid_sessions.clear()

    def log_in(self, slot: int, *, condemned: bool) -> bytes:
        """Somebody logs in; on an exclusive site that ends what others have."""
        self.site.session += 1
        session = b"%d" % self.site.session
        if self.site.exclusive and len(self.valid_sessions) > (self.key(slot) in self.valid_sessions):
            self.early_ends += 1
            young = self.now - self.logged_in_at <= self.policy.stolen_window
            self.fights += young and self.site.trouble(self.now) is None  # in an outage nobody could be served anyway
            seldom = bool(_IN_TURN & self.night.troubles)  # while all wait for their turn, nobody is served
            demand(self.fights < _FIGHTS * (1 + seldom), "logins end each other again and again, and nobody notices")
            self.valid_sessions.clear()
        self.logged_in_at = self.now
        self.valid_sessions[self.key(slot)] = session
        if not condemned:
            self.best_sessions[self.key(slot)] = session
        return session

    # ------------------------------------------------------------------------------------------------------------ ports
    def submit(self, batch: int, records: tuple[Record, ...]) -> None:
        """The ledger's thread takes a batch."""
        self._batches.append((batch, records))
        slow = Trouble.LEDGER in self.night.troubles and self.rng.random() < 0.05
        delay = self.rng.choice((3.0, 20.0, 45.0, 130.0)) * self.rng.random() if slow else self.rng.uniform(0.002, 0.03)
        self._durable_at = max(self._durable_at, self.now + delay)
        self.later(self._durable_at - self.now, self._flushed)

    def _flushed(self) -> None:
        batch, records = self._batches.pop(0)
        self.ledger.apply(records, self.now)
        if Trouble.CRASH in self.night.troubles and self.figures.crashes < 12 and self.rng.random() < 0.001:
            self.crash()  # on disk, and nobody was told
        elif self.conductor is not None:
            self.conductor.durable(batch, self.now)

    def publish(self, command: Publish) -> None:
        """The store's thread takes a publication."""
        slow = Trouble.STORE in self.night.troubles and self.rng.random() < 0.05
        self.later(self.rng.uniform(5.0, 200.0) if slow else self.rng.uniform(0.01, 0.2), self._publish, command)

    def _publish(self, command: Publish) -> None:
        attempt, ref_id = command.attempt, command.ref_id
        fails = Trouble.STORE in self.night.troubles and self.rng.random() < 0.03
        if self.disk_full:
            self.fates[attempt].add(Kind.DISK_FULL)
            self.post(PublishFailed(attempt, Kind.DISK_FULL, "no space"))
        elif fails or self.staged.get(attempt) != command.documents:
            self.fates[attempt].add(Kind.PUBLISH_FAILED)
            self.post(PublishFailed(attempt, Kind.PUBLISH_FAILED, "not what was reported"))
        else:
            row = self.ledger.rows[ref_id]
            demand(row.state == "in_progress" and row.attempt == attempt, "{}: not the ledger's live attempt", command)
            demand(ref_id not in self.published, "{}: documents are in place already", command)
            self.published[ref_id] = attempt
            self.later(self.rng.uniform(0, 0.05), self.post, Published(attempt, command.documents))

    def discard(self, command: Discard) -> None:
        """Staging is thrown away, once that is durable."""
        row = self.ledger.rows[command.ref_id]
        demand(
            self.ledger.outcomes.get(command.attempt) != "running", "{} before it was durable that it failed", command
        )
        demand(
            self.published.get(command.ref_id) != command.attempt, "{}, but {} was published by it", command, row.ref
        )
        self.staged.pop(command.attempt, None)

    def withdraw(self, command: Withdraw) -> None:
        """Documents are taken away once it is durable that they do not count."""
        demand(command.attempt in self.ledger.doubted, "{} before it was durable that they are in doubt", command)
        self.later(0.05, self._withdraw, command)

    def _withdraw(self, command: Withdraw) -> None:
        if self.published.get(command.ref_id) == command.attempt:
            del self.published[command.ref_id]

    def discard_errand(self, command: DiscardErrand) -> None:
        """An errand comes to nothing once, and nobody is on it any more."""
        demand(command.errand not in self.discarded_errands, "{} a second time", command)
        slots = self.machine.run.slots.values() if self.machine is not None else ()
        demand(all(slot.errand != command.errand for slot in slots), "{} while a worker is on it", command)
        self.discarded_errands.add(command.errand)

    def load_inventory(self, command: LoadInventory) -> None:
        """Read the export, as its file says."""
        demand(command.file, "{} names no file", command)
        self.later(self.rng.uniform(0.1, 2.0), self._loaded)

    def _loaded(self) -> None:
        if self.now < self.site.errands_fail_until and self.rng.random() < 0.2:
            self.recipe_failed = True
            self.post(InventoryRejected("it is a web page"))
            return
        entries = self.ledger.load(self.site.refs)
        self.later(0.01, self.post, InventoryLoaded(entries))

    def say(self, command: Say) -> None:
        """The log; what the core says about a full disk reaches the operator's monitor."""
        if "the disk is full" in command.text and not self.disk_full:
            self.later(5.0, self.post, ResumeRequested("disk"))
