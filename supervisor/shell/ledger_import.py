"""How references come into the ledger: new ones once each, and those that are to be done once more."""

import sqlite3
from collections.abc import Iterable

import msgspec

from supervisor.core.records import Entry
from supervisor.shell.folders import folder_name
from supervisor.shell.ledger_schema import utc


class Again(msgspec.Struct, frozen=True):
    """References that were done and are pending once more."""

    completed: int = 0
    """How many had been completed."""
    failed: tuple[int, ...] = ()
    """The ids of those that had failed."""


class Imported(msgspec.Struct, frozen=True):
    """What became of a list of references."""

    entries: tuple[Entry, ...]
    """Those that are new to the run or are done again, in their order."""
    known: int
    """Names that the run had already, or that stood in the list before."""
    again: Again


def add(db: sqlite3.Connection, names: Iterable[str], done_before: float | None) -> Imported:
    """Add what `Ledger.import_references` was given, within its transaction.

    Raises:
        sqlite3.Error: it could not be written.
    """
    entries: list[Entry] = []
    known = new = 0
    done: dict[str, list[int]] = {"completed": [], "failed": []}
    cursor = db.cursor()
    for name in names:
        ref_id = _insert(cursor, name)
        if ref_id is not None:
            entries.append(Entry(ref_id, name))
            new += 1
        elif done_before is not None and (state := _begin_again(cursor, name, done_before)) is not None:
            ref_id, former = state
            entries.append(Entry(ref_id, name))
            done[former].append(ref_id)
        else:
            known += 1
    db.execute("UPDATE total SET count = count + ? WHERE state = 'pending'", (new,))
    return Imported(tuple(entries), known, Again(len(done["completed"]), tuple(done["failed"])))


def _begin_again(cursor: sqlite3.Cursor, ref: str, done_before: float) -> tuple[int, str] | None:
    """Make a reference that was done before then pending; return id and former state, None when it was not."""
    row: tuple[int, str] | None = cursor.execute(
        "SELECT id, state FROM reference WHERE ref = ? AND state IN ('completed', 'failed') AND finished_at < ?",
        (ref, utc(done_before)),
    ).fetchone()
    if row is not None:
        cursor.execute(
            "UPDATE reference SET state = 'pending', attempts = 0, crashes = 0, worker = NULL, finished_at = NULL"
            " WHERE id = ?",
            (row[0],),
        )
    return row


def _insert(cursor: sqlite3.Cursor, ref: str) -> int | None:
    """Add a reference under the first folder name that is free; return its id, None when it was there already."""
    taken_names: set[str] = set()
    while True:
        folder = folder_name(ref, taken_names.__contains__)
        cursor.execute("INSERT INTO reference (ref, folder) VALUES (?, ?) ON CONFLICT DO NOTHING", (ref, folder))
        if cursor.rowcount:
            return cursor.lastrowid
        if cursor.execute("SELECT 1 FROM reference WHERE ref = ?", (ref,)).fetchone():
            return None
        taken_names.add(folder)
