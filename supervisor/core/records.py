"""What the core wants written down: the only mutations that the ledger knows, each atomic, in the past tense."""

import msgspec

from worker.protocol import Document, Kind, Step


class AttemptStarted(msgspec.Struct, frozen=True):
    """An attempt is about to begin: the reference is in progress and the attempt counted, before anything is sent."""

    attempt: int
    ref_id: int
    number: int
    slot: int
    incarnation: int


class AttemptSucceeded(msgspec.Struct, frozen=True):
    """The documents are in place, flushed and renamed: the reference is completed."""

    attempt: int
    ref_id: int
    documents: tuple[Document, ...]
    steps: tuple[Step, ...]


class AttemptFailed(msgspec.Struct, frozen=True):
    """The attempt is over. The reference waits `retry_in` seconds for its next one, or has failed for good (None)."""

    attempt: int
    ref_id: int
    kind: Kind
    message: str
    counted: bool
    """False takes the attempt back: it was not the reference's fault."""
    crashed: bool
    """It took its browser or its worker down."""
    retry_in: float | None
    url: str = ""
    status: int = 0
    steps: tuple[Step, ...] = ()


class SuccessDoubted(msgspec.Struct, frozen=True):
    """An attempt that had succeeded does not count: its documents may have come without a session.

    The reference is pending again, and what it brought is taken out of the documents (`Withdraw`).
    """

    attempt: int
    ref_id: int


class AttemptForgiven(msgspec.Struct, frozen=True):
    """An attempt that was counted turns out to have been the site's fault: it is taken back.

    A reference that had failed for good by it (`reopen`) is pending again.
    """

    attempt: int
    ref_id: int
    reopen: bool


class ReferenceGivenUp(msgspec.Struct, frozen=True):
    """At the start: no attempt is left, and the last one ended with the supervisor or the machine."""

    ref_id: int
    kind: Kind
    message: str


class ReferenceReopened(msgspec.Struct, frozen=True):
    """The operator wants a failed reference tried again: pending, with no attempt counted."""

    ref_id: int


class Incident(msgspec.Struct, frozen=True):
    """Something for the night's history: a start, kill, pause, outage. `what` is one word, `detail` a sentence."""

    what: str
    detail: str
    slot: int = 0
    ref_id: int = 0
    attempt: int = 0


Record = (
    AttemptStarted
    | AttemptSucceeded
    | SuccessDoubted
    | AttemptFailed
    | AttemptForgiven
    | ReferenceGivenUp
    | ReferenceReopened
    | Incident
)


class Entry(msgspec.Struct, frozen=True):
    """A reference that is not finished, as the ledger gives it to the core at the start."""

    ref_id: int
    ref: str
    attempts: int = 0
    """Counted attempts, the one in flight when the last supervisor died included."""
    crashes: int = 0
    """Attempts that took their browser or worker down."""
    retry_in: float = 0.0
    """Seconds still to wait."""
