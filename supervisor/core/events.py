"""What has happened, in the past tense: the only way in which the world reaches the core."""

import msgspec

from supervisor.core.records import Entry
from worker.protocol import Document, Kind, Outbound


class WorkerSpoke(msgspec.Struct, frozen=True):
    """A valid message came from this incarnation of a slot's worker."""

    slot: int
    incarnation: int
    message: Outbound


class WorkerGarbled(msgspec.Struct, frozen=True):
    """Bytes came that are not the protocol."""

    slot: int
    incarnation: int
    reason: str


class WorkerExited(msgspec.Struct, frozen=True):
    """The child ended. Its pipe was read to the end before this was said. `code` is negative for a signal."""

    slot: int
    incarnation: int
    code: int


class SpawnFailed(msgspec.Struct, frozen=True):
    """The child could not even be started."""

    slot: int
    incarnation: int
    reason: str


class TreeGone(msgspec.Struct, frozen=True):
    """Every process of this incarnation is verified dead, and its temporary folder is gone or being removed."""

    slot: int
    incarnation: int


class MemoryMeasured(msgspec.Struct, frozen=True):
    """The whole tree of a worker holds so many bytes (proportional set size)."""

    slot: int
    incarnation: int
    bytes: int


class Published(msgspec.Struct, frozen=True):
    """The documents of an attempt were checked, flushed and renamed into place."""

    attempt: int
    documents: tuple[Document, ...]


class PublishFailed(msgspec.Struct, frozen=True):
    """They were not, and nothing is in place."""

    attempt: int
    kind: Kind
    message: str


class InventoryLoaded(msgspec.Struct, frozen=True):
    """References new to the run, or to be done again, were written to the ledger, durably."""

    entries: tuple[Entry, ...]
    completed_before: int = 0
    """How many of them had been completed."""
    failed_before: tuple[int, ...] = ()
    """The ids of those that had failed for good."""


class InventoryRejected(msgspec.Struct, frozen=True):
    """The export is no inventory: what was found in it, in one sentence."""

    reason: str


class TimePassed(msgspec.Struct, frozen=True):
    """A deadline of the core's may have come."""


class LoopStalled(msgspec.Struct, frozen=True):
    """The supervisor itself did not run for so many seconds (suspended, stopped): nobody is to be blamed for them."""

    seconds: float


class MachineSlept(msgspec.Struct, frozen=True):
    """The machine was suspended for so many seconds, which the monotonic clock did not count."""

    seconds: float


class SendDelayed(msgspec.Struct, frozen=True):
    """What this worker is to be told waits for the ledger since so many seconds: none of them counts against it."""

    slot: int
    incarnation: int
    seconds: float


class MachineMeasured(msgspec.Struct, frozen=True):
    """So much is left of ``memory`` (bytes), ``processes`` and ``descriptors``; what nobody knows is left out."""

    left: dict[str, int]
    idle: float | None = None
    """The share of the processor that nobody used since the last measurement, 0 to 1; None when nobody knows."""


class StopRequested(msgspec.Struct, frozen=True):
    """Hand out nothing more and finish what is in flight; at once: not even that."""

    at_once: bool
    reason: str


class PauseRequested(msgspec.Struct, frozen=True):
    """Hand out nothing more for now. `cause` is ``operator``, ``quiet hours`` or a trouble such as ``disk``."""

    cause: str
    reason: str


class ResumeRequested(msgspec.Struct, frozen=True):
    """The pause of this cause is over."""

    cause: str


class ScaleRequested(msgspec.Struct, frozen=True):
    """The operator wants so many workers."""

    workers: int


class RetryRequested(msgspec.Struct, frozen=True):
    """The operator wants these failed references tried again."""

    entries: tuple[Entry, ...]


class RestartRequested(msgspec.Struct, frozen=True):
    """The operator wants a fresh worker in this slot, once it has finished what it holds."""

    slot: int


class Alerted(msgspec.Struct, frozen=True):
    """The shell noticed something of which only the night's history and people need to know."""

    what: str
    """One word, as of an `Incident`."""
    sentence: str
    level: str


Event = (
    WorkerSpoke
    | WorkerGarbled
    | WorkerExited
    | SpawnFailed
    | TreeGone
    | MemoryMeasured
    | Published
    | PublishFailed
    | InventoryLoaded
    | InventoryRejected
    | TimePassed
    | LoopStalled
    | MachineSlept
    | SendDelayed
    | MachineMeasured
    | StopRequested
    | PauseRequested
    | ResumeRequested
    | ScaleRequested
    | RetryRequested
    | RestartRequested
    | Alerted
)
