"""What the ledger tells the core at the start of a run."""

import msgspec

from supervisor.core.records import Entry


class Backlog(msgspec.Struct, frozen=True):
    """Where the run stands: what is left to do, and how much is done."""

    next_attempt: int = 1
    """Attempt ids from here on were never given out."""
    entries: tuple[Entry, ...] = ()
    """Every unfinished reference, first come first served."""
    completed: int = 0
    failed: int = 0
    has_inventory: bool = False
    """References were imported before, so the inventory need not be exported again."""
    started: tuple[float, ...] = ()
    """How many seconds ago the attempts of the last minute were started, the oldest first."""
    served: tuple[str, ...] = ()
    """A few of the references that were completed last, the latest first."""
