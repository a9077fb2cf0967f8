"""Which failed references a person means: named, by cause, or all."""

from pathlib import Path

from supervisor.core.records import Entry
from supervisor.errors import UserError
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.views.text import clean
from worker.protocol import Kind


def select_failed(ledger: Path, refs: tuple[str, ...], kind: str) -> list[Entry]:
    """Return the failed references that are named, or those of a kind, or (with neither) all.

    Raises:
        UserError: a name is unknown or has not failed, there is no such kind, or nothing has failed that way.
        LedgerError: the ledger cannot be read.
    """
    if kind and kind not in {known.value for known in Kind}:
        raise UserError(f"there is no failure of the kind {clean(kind)!r}; explain lists those that the run has")
    with LedgerReader(ledger) as reader:
        if refs:
            return [_failed(reader, ref) for ref in dict.fromkeys(refs)]
        entries = [Entry(row.id, row.ref) for row in reader.failures(kind or None)]
    if not entries:
        raise UserError(f"no reference has failed for good{f' by {kind}' if kind else ''}")
    return entries


def _failed(reader: LedgerReader, ref: str) -> Entry:
    row = reader.reference(ref)
    if row is None:
        raise UserError(f"the run has no reference {clean(ref)!r}")
    if row.state != "failed":
        raise UserError(f"{clean(ref)} has not failed: it is {row.state.replace('_', ' ')}")
    return Entry(row.id, row.ref)
