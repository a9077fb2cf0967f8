"""The references that are not finished, and how many are; nothing here knows why an attempt ended."""

from collections import deque
from collections.abc import Iterable
from enum import Enum
from heapq import heapify, heappop, heappush

import msgspec

from supervisor.core.records import Entry


class State(Enum):
    """Where a reference stands; it is in exactly one place of the queue for each."""

    READY = "ready"
    WAITING = "waiting"
    ASIDE = "aside"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class Reference:
    """One reference that is not finished. Compact: a run may hold a million."""

    __slots__ = ("attempts", "crashes", "free", "ref", "ref_id", "state", "suspected", "suspicious")

    def __init__(self, entry: Entry) -> None:
        self.ref_id = entry.ref_id
        self.ref = entry.ref
        self.attempts = entry.attempts
        self.crashes = entry.crashes
        self.free = 0
        self.suspected = -1
        """How often the site had answered when this last failed as if the site was down; -1 for never."""
        self.suspicious = False
        """It has failed so at least twice, and in between the site did answer: it is no evidence of an outage."""
        self.state = State.READY

    def __repr__(self) -> str:
        return f"{self.ref!r} ({self.state.value}, {self.attempts} attempts)"


class Totals(msgspec.Struct, frozen=True):
    """How many references are in each state; `ready` counts those set aside as well."""

    ready: int
    waiting: int
    in_progress: int
    completed: int
    failed: int

    @property
    def total(self) -> int:
        """All references of the run."""
        return self.ready + self.waiting + self.in_progress + self.completed + self.failed


class Queue:
    """First come, first served; a retry whose time has come goes first; what was set aside goes last and alone."""

    def __init__(self, completed: int, failed: int) -> None:
        self._ready: deque[Reference] = deque()
        self._aside: deque[Reference] = deque()
        self._waiting: list[tuple[float, int, Reference]] = []
        self._sequence = 0
        self._alone = False
        self._reopened: set[int] = set()
        self._known = completed + failed
        self.in_progress = 0
        self.completed = completed
        self.failed = failed

    def add(self, entries: Iterable[Entry], now: float, longest: float = float("inf")) -> None:
        """Take references that are new to the queue; none of them waits for more than `longest` seconds."""
        for entry in entries:
            self._known += 1
            reference = Reference(entry)
            if entry.retry_in > 0:
                self._wait(reference, now + min(entry.retry_in, longest))
            else:
                self._ready.append(reference)

    def begin_again(self, completed: int, failed: Iterable[int]) -> None:
        """References that were done, of which only the ledger still knew, are about to be added."""
        failed = set(failed)
        self._known -= completed + len(failed)
        self.completed -= completed
        self.failed -= len(failed)
        self._reopened |= failed

    def take(self, poison: int) -> Reference | None:
        """Hand out the next reference, in progress from now on; one with `poison` crashes goes last and alone."""
        if self._alone:
            return None
        while self._ready:
            reference = self._ready.popleft()
            if reference.crashes < poison:
                return self._start(reference)
            reference.state = State.ASIDE
            self._aside.append(reference)
        if self._aside and not self.in_progress and all(one.crashes >= poison for _, _, one in self._waiting):
            self._alone = True  # those of its kind that wait for a retry keep nobody waiting
            return self._start(self._aside.popleft())
        return None

    def _start(self, reference: Reference) -> Reference:
        reference.state = State.IN_PROGRESS
        self.in_progress += 1
        return reference

    def _end(self, reference: Reference, state: State) -> None:
        reference.state = state
        self.in_progress -= 1
        self._alone = False

    def put_back(self, reference: Reference, until: float | None, *, last: bool = False) -> None:
        """Return a reference in progress: to wait until then, or at once, to the front or to the end (`last`)."""
        self._end(reference, State.READY)
        if until is not None:
            self._wait(reference, until)
        elif last:
            self._ready.append(reference)
        else:
            self._ready.appendleft(reference)

    def _wait(self, reference: Reference, until: float) -> None:
        reference.state = State.WAITING
        self._sequence += 1
        heappush(self._waiting, (until, self._sequence, reference))

    def complete(self, reference: Reference) -> None:
        """A reference in progress is completed."""
        self._end(reference, State.COMPLETED)
        self.completed += 1

    def recall(self, reference: Reference) -> None:
        """A completed reference is to be done once more, after those that wait."""
        reference.state = State.READY
        self.completed -= 1
        self._ready.append(reference)

    def fail(self, reference: Reference) -> None:
        """A reference in progress has failed for good."""
        self._end(reference, State.FAILED)
        self._reopened.discard(reference.ref_id)
        self.failed += 1

    def give_up(self, limit: int) -> list[Reference]:
        """Fail, and return, the references that have no attempt left of `limit`."""
        spent = [reference for reference in self._ready if reference.attempts >= limit]
        spent += [reference for _, _, reference in self._waiting if reference.attempts >= limit]
        if spent:
            self._ready = deque(reference for reference in self._ready if reference.attempts < limit)
            self._waiting = [waiting for waiting in self._waiting if waiting[2].attempts < limit]
            heapify(self._waiting)
        for reference in spent:
            reference.state = State.FAILED
            self.failed += 1
        return spent

    def reopen(self, reference: Reference) -> None:
        """A reference that had failed for good gets another chance."""
        reference.state = State.READY
        self._reopened.add(reference.ref_id)
        self.failed -= 1
        self._ready.append(reference)

    def reopen_entries(self, entries: Iterable[Entry]) -> list[Entry]:
        """References that had failed for good, and of which only the ledger still knew, get another chance.

        Returns those of `entries` that had. Whoever read the ledger may have read it before an earlier reopening of
        the same reference was written.
        """
        reopened = []
        for entry in entries:
            if entry.ref_id not in self._reopened:
                self._reopened.add(entry.ref_id)
                self.failed -= 1
                self._ready.append(Reference(entry))
                reopened.append(entry)
        return reopened

    def promote(self, now: float, *, last: bool = False) -> None:
        """Make ready what has waited long enough; the one due first ends up in front, or all at the end (`last`)."""
        if not self._waiting or now < self._waiting[0][0]:
            return
        due: list[Reference] = []
        while self._waiting and self._waiting[0][0] <= now:
            reference = heappop(self._waiting)[2]
            reference.state = State.READY
            due.append(reference)
        if last:
            self._ready.extend(due)
        else:
            self._ready.extendleft(reversed(due))

    def next_due(self) -> float | None:
        """When the next waiting reference becomes ready."""
        return self._waiting[0][0] if self._waiting else None

    @property
    def ready(self) -> int:
        """References that could be handed out now, those set aside included."""
        return len(self._ready) + len(self._aside)

    @property
    def unfinished(self) -> int:
        """References that are neither completed nor failed."""
        return len(self._ready) + len(self._aside) + len(self._waiting) + self.in_progress

    def totals(self) -> Totals:
        """Count by state, in constant time."""
        return Totals(
            ready=self.ready,
            waiting=len(self._waiting),
            in_progress=self.in_progress,
            completed=self.completed,
            failed=self.failed,
        )

    def check(self) -> None:
        """Conservation: what came in is what is there.

        Raises:
            AssertionError: a reference was lost or counted twice.
        """
        there = self.unfinished + self.completed + self.failed
        if there != self._known or self.in_progress < 0 or self.completed < 0 or self.failed < 0:
            raise AssertionError(f"{self._known} references came in, but the states say {self.totals()}")

    def check_each(self) -> None:
        """As `check`, looking at every reference that waits; linear.

        Raises:
            AssertionError: a reference is in a place that its state does not name, or twice.
        """
        self.check()
        places = [
            (State.READY, self._ready),
            (State.ASIDE, self._aside),
            (State.WAITING, [w[2] for w in self._waiting]),
        ]
        seen: set[int] = set()
        for state, held in places:
            for reference in held:
                if reference.state is not state or reference.ref_id in seen:
                    raise AssertionError(f"{reference} stands among the {state.value}, or twice")
                seen.add(reference.ref_id)
