"""The state of a run, and the small vocabulary in which the other modules of the core change it and give commands."""

from enum import Enum

import msgspec

from supervisor.core.attempts import Attempt, Phase
from supervisor.core.backlog import Backlog
from supervisor.core.breaker import Breaker
from supervisor.core.commands import Command, Say, Write
from supervisor.core.controls import Controls
from supervisor.core.fleet import ALIVE, Slot, SlotState
from supervisor.core.pace import Pace
from supervisor.core.patience import Patience
from supervisor.core.policy import Policy
from supervisor.core.queue import Queue, State
from supervisor.core.records import Incident, Record
from supervisor.core.scaling import Scaling
from supervisor.core.sessions import Sessions
from supervisor.core.shedding import Shedding

EXIT_COMPLETED = 0
EXIT_SOME_FAILED = 1
EXIT_RECIPE = 2
EXIT_STOPPED = 3
EXIT_LOGIN_REFUSED = 4
EXIT_MACHINE = 5


_BUSY, _ERRAND, _KILLING = SlotState.BUSY, SlotState.ERRAND, SlotState.KILLING
_PUBLISHING, _IN_PROGRESS = Phase.PUBLISHING, State.IN_PROGRESS

_WANTED_PAUSES = frozenset({"operator", "quiet hours"})
"""Causes of a pause that somebody wanted; any other is a trouble of the machine."""


class Stage(Enum):
    """How far the run is."""

    RUNNING = "running"
    DRAINING = "draining"  # hand out nothing more, wait for what is in flight
    STOPPING = "stopping"  # wait for nothing but the death of the workers
    FINISHED = "finished"


class Ending(msgspec.Struct, frozen=True):
    """With which exit code the run will end, and why."""

    code: int
    reason: str


class RunState:
    """Everything that the core knows. Only the modules of the core touch it."""

    def __init__(self, policy: Policy, workers: int, backlog: Backlog, now: float) -> None:
        self.policy = policy
        self.now = now
        self.stage = Stage.RUNNING
        self.ending: Ending | None = None
        self.pauses: dict[str, str] = {}
        self._paused_at = now
        self.slots: dict[int, Slot] = {number: Slot(number, now) for number in range(1, workers + 1)}
        self.queue = Queue(backlog.completed, backlog.failed)
        # The ledger's times are those of the wall's clock, which may have been set since.
        self.queue.add(backlog.entries, now, longest=max(policy.retry_delay_limit, policy.throttle_pause_limit))
        self.attempts: dict[int, Attempt] = {}
        self.sessions = Sessions(policy)
        self.breaker = Breaker(policy)
        self.controls = Controls(backlog.served)
        self.shedding = Shedding(policy)
        self.pace = Pace(policy, backlog.started, now)
        self.scaling = None if policy.auto_workers is None else Scaling(*policy.auto_workers, workers, now)
        """Finds out how many workers are best; None when somebody has said how many."""
        self.patience = Patience(policy.step_patience, policy.step_floor)
        self.inventory_known = backlog.has_inventory
        self.loading = False
        self.reached = backlog.completed > 0
        """The site has answered sensibly at some time in this run."""
        self.start_failures = 0
        self.statistics_at = now + policy.watchdog_interval
        self._numbers = {"attempt": backlog.next_attempt, "incarnation": 1, "errand": 1}
        self._commands: list[Command] = []

    def number(self, what: str) -> int:
        """Return the next attempt, incarnation or errand number; none is ever used twice."""
        number = self._numbers[what]
        self._numbers[what] = number + 1
        return number

    def do(self, command: Command) -> None:
        """Give a command."""
        self._commands.append(command)

    def write(self, record: Record) -> None:
        """Have something recorded, before whatever is commanded after it."""
        self._commands.append(Write(record))

    def say(self, level: str, text: str, slot: int = 0, attempt: Attempt | None = None, *, incident: str = "") -> None:
        """Log a sentence."""
        if attempt is None:
            self._commands.append(Say(level, text, slot, incident=incident))
        else:
            self._commands.append(
                Say(level, text, attempt.slot, attempt.reference.ref, attempt.attempt, incident=incident)
            )

    def incident(self, what: str, detail: str, slot: Slot | None = None, *, level: str = "INFO") -> None:
        """Record something for the night's history, and log it."""
        attempt = self.attempts.get(slot.attempt) if slot is not None else None
        number = slot.number if slot is not None else 0
        if attempt is None:
            self.write(Incident(what, detail, number))
        else:
            self.write(Incident(what, detail, number, attempt.reference.ref_id, attempt.attempt))
        self.say(level, detail, number, attempt, incident=what)

    def commands(self) -> list[Command]:
        """Return the commands given since the last call."""
        commands, self._commands = self._commands, []
        return commands

    @property
    def in_doubt(self) -> bool:
        """Too few references are left to tell an outage from bad ones, and some have failed: a control can tell."""
        return self.breaker.unresolved and self.queue.unfinished < self.policy.breaker_references

    def live_slots(self) -> int:
        """How many slots have a child that nobody has decided to kill."""
        return len([slot for slot in self.slots.values() if slot.state in ALIVE])

    def pause(self, cause: str, reason: str) -> None:
        """Hand nothing out until every cause of a pause is over."""
        if cause not in self.pauses:
            if not self.pauses:
                self._paused_at = self.now
            self.pauses[cause] = reason
            what = "paused" if cause in _WANTED_PAUSES else "halted"
            self.incident(what, f"paused: {reason}", level="WARNING")

    def unpause(self, cause: str) -> None:
        """The pause of this cause is over; while it lasted nobody could try whether the site is back."""
        if self.pauses.pop(cause, None) is None:
            return
        self.incident("resumed", f"goes on: the pause by the {cause} is over")
        if not self.pauses:
            self.breaker.excuse(self.now - self._paused_at)
            self.sessions.postpone(self.now - self._paused_at)

    def end(self, code: int, reason: str, *, at_once: bool = False) -> None:
        """Bring the run to its end; the first reason given stands, but for that of a run that was only finished."""
        if self.ending is None or self.ending.code <= EXIT_SOME_FAILED < code:
            self.ending = Ending(code, reason)
            self.incident("ending", reason, level="INFO" if code <= EXIT_SOME_FAILED else "WARNING")
        if at_once:
            self.stage = Stage.STOPPING
        elif self.stage is Stage.RUNNING:
            self.stage = Stage.DRAINING

    def check(self) -> None:
        """Check in time linear in the slots what must hold after every event.

        Raises:
            AssertionError: a promise of the core is broken.
        """
        self.queue.check()
        if len(self.attempts) != self.queue.in_progress:
            raise AssertionError(f"{len(self.attempts)} live attempts, {self.queue.in_progress} references in progress")
        if self.scaling is not None:
            wanted = len([slot for slot in self.slots.values() if not slot.retiring])
            if wanted != self.scaling.wanted or not self.scaling.least <= wanted <= self.scaling.most:
                raise AssertionError(f"{wanted} slots, {self.scaling.wanted} are wanted")
        attempts, held = self.attempts, 0
        for slot in self.slots.values():
            state, number = slot.state, slot.attempt
            if number:
                held += 1
                attempt = attempts.get(number)
                fits = attempt is not None and attempt.slot == slot.number and attempt.phase is not _PUBLISHING
                if not fits or (state is not _BUSY and state is not _KILLING):
                    raise AssertionError(f"slot {slot.number} is {state.value} with attempt {number}: {attempt}")
            elif state is _BUSY:
                raise AssertionError(f"slot {slot.number} is busy with nothing")
            if (state is _ERRAND) != (slot.errand != 0):
                raise AssertionError(f"slot {slot.number} is {state.value} with errand {slot.errand}")
        references: set[int] = set()
        most = self.policy.max_retries + 1
        for attempt in attempts.values():
            held -= attempt.phase is not _PUBLISHING
            reference = attempt.reference
            references.add(reference.ref_id)
            if reference.state is not _IN_PROGRESS:
                raise AssertionError(f"{attempt} is alive, but {reference} is not in progress")
            if not 0 < reference.attempts <= most:
                raise AssertionError(f"{reference} has a number of attempts that is not allowed")
        if held or len(references) != len(self.attempts):
            raise AssertionError(
                f"live attempts {list(self.attempts.values())} are not one a reference, or held by none"
            )
