"""One attempt at one reference, from the moment it is handed out until its reference's fate is decided."""

from enum import Enum

from supervisor.core.queue import Reference
from worker.protocol import Failed, Step


class Phase(Enum):
    """What must happen next."""

    RUNNING = "running"  # the worker must answer
    CONDEMNED = "condemned"  # the worker's tree must be confirmed dead; the verdict stands
    PUBLISHING = "publishing"  # the documents must be in place


class Attempt:
    """A live attempt; `verdict` is set when its worker is condemned."""

    __slots__ = (
        "answered",
        "attempt",
        "begun",
        "disturbed",
        "generation",
        "incarnation",
        "number",
        "phase",
        "proven",
        "reference",
        "slot",
        "steps",
        "verdict",
    )

    def __init__(
        self, attempt: int, reference: Reference, slot: int, incarnation: int, generation: int, *, now: float
    ) -> None:
        self.attempt = attempt
        self.reference = reference
        self.number = reference.attempts
        self.slot = slot
        self.incarnation = incarnation
        self.generation = generation
        self.begun = self.answered = now
        self.disturbed = False
        """The machine stood still meanwhile, so no time-out of it means anything."""
        self.proven = False
        """The worker saw a page for who is logged in, after it was handed the reference."""
        self.phase = Phase.RUNNING
        self.steps: tuple[Step, ...] = ()
        self.verdict: Failed | None = None

    def __repr__(self) -> str:
        return f"attempt {self.attempt} at {self.reference.ref!r}"
