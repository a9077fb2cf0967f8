"""Slots and the states that each may pass through. A slot outlives its workers; an incarnation is one worker's life.

States are named for what must happen next:

    VACANT       a child is to be started, not before `not_before`
    STARTING     the first `Ready` must come
    IDLE         work may be handed out, not before `rest_until`
    BUSY         the attempt must be answered
    ERRAND       the login or the export must be answered
    RECOVERING   the next `Ready` must come
    LEAVING      the child must end, as it was told to
    KILLING      the tree must be confirmed dead
    RETIRED      nothing: the operator wants fewer workers
"""

from enum import Enum

from supervisor.core.queue import Reference
from worker.protocol import ErrandFailed


class SlotState(Enum):
    """See the module's table."""

    VACANT = "vacant"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    ERRAND = "errand"
    RECOVERING = "recovering"
    LEAVING = "leaving"
    KILLING = "killing"
    RETIRED = "retired"

    __hash__ = object.__hash__
    # Members are singletons. Enum's own hash is computed from the name, in Python, several times for every event.
    # And up to Python 3.11 it takes ten times as long to name a member by its class as to name a variable, so that what
    # looks at every slot after every event has variables for the states it looks for.


_S = SlotState

MOVES: dict[SlotState, frozenset[SlotState]] = {
    _S.VACANT: frozenset({_S.STARTING, _S.RETIRED}),
    _S.STARTING: frozenset({_S.IDLE, _S.KILLING, _S.VACANT}),
    _S.IDLE: frozenset({_S.BUSY, _S.ERRAND, _S.RECOVERING, _S.LEAVING, _S.KILLING}),
    _S.BUSY: frozenset({_S.IDLE, _S.RECOVERING, _S.KILLING}),
    _S.ERRAND: frozenset({_S.IDLE, _S.RECOVERING, _S.KILLING}),
    _S.RECOVERING: frozenset({_S.IDLE, _S.KILLING}),
    _S.LEAVING: frozenset({_S.KILLING}),
    _S.KILLING: frozenset({_S.VACANT}),
    _S.RETIRED: frozenset({_S.VACANT}),
}

ALIVE = frozenset({_S.STARTING, _S.IDLE, _S.BUSY, _S.ERRAND, _S.RECOVERING, _S.LEAVING})
"""There is a child, and nobody has decided to kill it."""

HEARD = ALIVE - {_S.STARTING}
"""There is a child whose heartbeat is expected."""


class IllegalMoveError(AssertionError):
    """The core tried a move that the table does not have: a bug of ours."""


class Slot:
    """One place for a worker."""

    __slots__ = (
        "attempt",
        "control",
        "deadline",
        "death",
        "deaths",
        "done",
        "errand",
        "failures",
        "generation",
        "incarnation",
        "last_heard",
        "memory",
        "not_before",
        "number",
        "others_succeeded",
        "proving",
        "recycle",
        "refresh",
        "rest_until",
        "restarts",
        "retiring",
        "since",
        "state",
        "step",
        "step_since",
        "streak",
        "tasks",
    )

    def __init__(self, number: int, now: float) -> None:
        self.number = number
        self.state = SlotState.VACANT
        self.since = now
        self.incarnation = 0
        self.deadline: float | None = None
        self.last_heard = now
        self.not_before = now
        self.rest_until = now
        self.attempt = 0
        self.errand = 0
        self.proving = False
        """Its errand is the proof that the session still holds."""
        self.control = ""
        """The reference that its errand tries as a control; empty for every other errand."""
        self.generation = 0
        self.tasks = 0
        self.done = 0
        self.death: ErrandFailed | None = None
        self.deaths = 0
        self.failures = 0
        self.others_succeeded = False
        self.restarts = 0
        self.memory = 0
        self.recycle = False
        self.refresh = False
        self.streak: list[tuple[int, Reference]] = []
        """Attempts charged since its last success, which are taken back when the worker turns out to be sick."""
        self.retiring = False
        self.step = ""
        self.step_since = now

    def move(self, state: SlotState, now: float, deadline: float | None = None) -> None:
        """Go to `state`, which must be done with by `deadline`.

        Raises:
            IllegalMoveError: the table has no such move.
        """
        if state not in MOVES[self.state]:
            raise IllegalMoveError(f"slot {self.number} cannot go from {self.state.value} to {state.value}")
        self.state = state
        self.since = now
        self.deadline = deadline

    def begin(self, incarnation: int, now: float, deadline: float) -> None:
        """A new child starts in this slot, with nothing of the old one's."""
        self.move(SlotState.STARTING, now, deadline)
        self.restarts += self.incarnation > 0
        self.incarnation = incarnation
        self.last_heard = self.rest_until = now
        self.generation = self.tasks = self.memory = self.failures = 0
        self.recycle = self.refresh = self.others_succeeded = False
        self.streak.clear()
        self.step = ""

    def overdue(self, now: float, heartbeat_timeout: float) -> str | None:
        """Say which deadline has passed: ``deadline``, ``heartbeat`` or none."""
        if self.deadline is not None and now >= self.deadline:
            return "deadline"
        if self.state in HEARD and now >= self.last_heard + heartbeat_timeout:
            return "heartbeat"
        return None

    def next_deadline(self, heartbeat_timeout: float) -> float | None:
        """When `overdue` can first say something."""
        deadline = self.deadline
        if self.state not in HEARD:
            return deadline
        heard = self.last_heard + heartbeat_timeout
        return heard if deadline is None or heard < deadline else deadline

    def postpone(self, seconds: float) -> None:
        """Time passed in which nobody could act: nothing of it is held against the child."""
        self.last_heard += seconds
        self.step_since += seconds
        self.extend(seconds)

    def extend(self, seconds: float) -> None:
        """Allow so much more time for what must happen next: the child has not been told yet."""
        if self.deadline is not None:
            self.deadline += seconds
