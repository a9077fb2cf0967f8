"""What is to be done, in the imperative. The shell carries the commands of one event out in their order.

`Write` comes before what depends on it: the shell holds every `Send`, `Discard`, `Withdraw` and `Finish`, and every
`Say` of what came of an attempt, back until the records that were written before it are durable. `Spawn`, `Kill`,
`Publish`, `DiscardErrand`, `LoadInventory` and any other `Say` depend on no record.
"""

import msgspec

from supervisor.core.records import Record
from worker.protocol import Document, Inbound


class Write(msgspec.Struct, frozen=True):
    """Put this into the ledger."""

    record: Record


class Spawn(msgspec.Struct, frozen=True):
    """Start a child for the slot."""

    slot: int
    incarnation: int


class Send(msgspec.Struct, frozen=True):
    """Say this to the child. A child that is gone by now is no failure: its exit is reported by its own event."""

    slot: int
    incarnation: int
    message: Inbound


class Kill(msgspec.Struct, frozen=True):
    """End the whole tree of this incarnation and confirm with `TreeGone`; it may be dead already.

    With `evidence`, the stacks, the process tree and the last log lines are saved first, for the attempt it held.
    """

    slot: int
    incarnation: int
    reason: str
    evidence: bool
    attempt: int = 0
    ref_id: int = 0
    ref: str = ""
    number: int = 0


class Publish(msgspec.Struct, frozen=True):
    """Check what the attempt staged and rename it into place; answered by `Published` or `PublishFailed`."""

    attempt: int
    ref_id: int
    ref: str
    number: int
    documents: tuple[Document, ...]


class Discard(msgspec.Struct, frozen=True):
    """The attempt is over and failed: keep its evidence, throw its staging folder away."""

    attempt: int
    ref_id: int
    ref: str
    number: int
    kind: str
    message: str


class Withdraw(msgspec.Struct, frozen=True):
    """What this attempt published does not count any more: take it out of the documents."""

    attempt: int
    ref_id: int
    ref: str


class DiscardErrand(msgspec.Struct, frozen=True):
    """A login, an export or a control came to nothing: keep its evidence, throw its staging folder away."""

    errand: int
    what: str
    """``login``, ``export`` or ``control``."""
    kind: str
    message: str


class LoadInventory(msgspec.Struct, frozen=True):
    """Read the references out of an exported file; answered by `InventoryLoaded` or `InventoryRejected`."""

    errand: int
    file: str
    column: str
    delimiter: str
    encoding: str
    place: str = ""
    """Where the recipe says what the file is like."""


class Say(msgspec.Struct, frozen=True):
    """Put a sentence into the supervisor's log."""

    level: str
    """``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``."""
    text: str
    slot: int = 0
    ref: str = ""
    attempt: int = 0
    incident: str = ""
    """Name of the incident that it tells of; empty for an attempt's outcome, and for routine."""


class Finish(msgspec.Struct, frozen=True):
    """Every child is gone: end the run with this exit code and sentence."""

    code: int
    reason: str


Command = Write | Spawn | Send | Kill | Publish | Discard | Withdraw | DiscardErrand | LoadInventory | Say | Finish
