"""Which failed references a person means: named, by cause, or all."""

import difflib
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
    if kind:
        known_kind(kind)
    with LedgerReader(ledger) as reader:
        if refs:
            return [_failed(reader, ref) for ref in dict.fromkeys(refs)]
        entries = [Entry(row.id, row.ref) for row in reader.failures(kind or None)]
    if not entries:
        raise UserError(f"no reference has failed for good{f' by {kind}' if kind else ''}")
    return entries


def known_kind(kind: str) -> None:
    """Check that there is such a kind of failure.

    Raises:
        UserError: there is none; the nearest is named.
    """
    kinds = [known.value for known in Kind]
    if kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1)
        hint = f"did you mean {near[0]}?" if near else f"kinds are {', '.join(kinds)}"
        raise UserError(f"there is no failure of the kind {clean(kind)!r}; {hint}")


def _failed(reader: LedgerReader, ref: str) -> Entry:
    row = reader.reference(ref)
    if row is None:
        raise UserError(f"the run has no reference {clean(ref)!r}")
    if row.state != "failed":
        raise UserError(f"{clean(ref)} has not failed: it is {row.state.replace('_', ' ')}")
    return Entry(row.id, row.ref)
