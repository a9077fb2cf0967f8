"""How each record changes the tables: every statement names the state from which it may go on."""

import sqlite3
from typing import assert_never

import msgspec

from supervisor.core.records import (
    AttemptFailed,
    AttemptForgiven,
    AttemptStarted,
    AttemptSucceeded,
    Incident,
    Record,
    ReferenceGivenUp,
    ReferenceReopened,
    SuccessDoubted,
)
from supervisor.shell.ledger_schema import utc
from worker.protocol import Document, Kind


class LedgerConflict(Exception):  # noqa: N818 - named like the other outcomes of the ledger
    """A record does not follow from what the ledger holds: a bug. Nothing of its batch was written."""


def write(db: sqlite3.Connection, record: Record, wall: float, at: str) -> None:
    """Write one record within the transaction of its batch.

    Args:
        db: in a transaction that is rolled back when this raises.
        record: what has happened.
        wall: when, seconds since the epoch.
        at: the same as the ledger writes it.

    Raises:
        LedgerConflict: it does not follow from what the ledger holds.
        sqlite3.Error: it could not be written.
    """
    match record:
        case AttemptStarted():
            _started(db, record, at)
        case AttemptSucceeded():
            _succeeded(db, record, at)
        case AttemptFailed():
            _failed(db, record, at, wall)
        case SuccessDoubted():
            _doubted(db, record)
        case AttemptForgiven():
            _forgiven(db, record)
        case ReferenceReopened(ref_id=ref_id):
            cursor = db.execute(
                "UPDATE reference SET state = 'pending', attempts = 0, crashes = 0, worker = NULL,"
                " finished_at = NULL WHERE id = ? AND state = 'failed'",
                (ref_id,),
            )
            expect_one(db, cursor, ref_id, "reopened")
        case ReferenceGivenUp(ref_id=ref_id, kind=kind, message=message):
            cursor = db.execute(
                "UPDATE reference SET state = 'failed', finished_at = ?, retry_at = NULL, error_kind = ?,"
                " error_message = ? WHERE id = ? AND state IN ('pending', 'waiting')",
                (at, kind.value, message, ref_id),
            )
            expect_one(db, cursor, ref_id, "given up")
        case Incident():
            add_incident(db, record, at)
        case _:
            assert_never(record)


def _started(db: sqlite3.Connection, record: AttemptStarted, at: str) -> None:
    cursor = db.execute(
        "UPDATE reference SET state = 'in_progress', attempts = attempts + 1, worker = ?, attempt = ?,"
        " started_at = ?, retry_at = NULL WHERE id = ? AND state IN ('pending', 'waiting')",
        (record.slot, record.attempt, at, record.ref_id),
    )
    expect_one(db, cursor, record.ref_id, f"started as attempt {record.attempt}")
    db.execute(
        "INSERT INTO attempt (id, reference_id, number, slot, incarnation, started_at) VALUES (?, ?, ?, ?, ?, ?)",
        (record.attempt, record.ref_id, record.number, record.slot, record.incarnation, at),
    )


def _succeeded(db: sqlite3.Connection, record: AttemptSucceeded, at: str) -> None:
    cursor = db.execute(
        "UPDATE reference SET state = 'completed', finished_at = ?, error_kind = NULL, error_message = NULL"
        " WHERE id = ? AND state = 'in_progress' AND attempt = ?",
        (at, record.ref_id, record.attempt),
    )
    expect_one(db, cursor, record.ref_id, f"completed by attempt {record.attempt}")
    cursor = db.execute(
        "UPDATE attempt SET outcome = 'succeeded', ended_at = ?, steps = ?"
        " WHERE id = ? AND reference_id = ? AND outcome = 'running'",
        (at, msgspec.json.encode(record.steps).decode(), record.attempt, record.ref_id),
    )
    expect_one(db, cursor, record.ref_id, f"completed by attempt {record.attempt}")
    db.execute("DELETE FROM document WHERE reference_id = ?", (record.ref_id,))
    db.executemany(
        "INSERT INTO document (reference_id, name, attempt, url, bytes, sha256, pages, format, protected)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_document_row(record.ref_id, record.attempt, document) for document in record.documents],
    )


def _failed(db: sqlite3.Connection, record: AttemptFailed, at: str, wall: float) -> None:
    if record.retry_in is None:
        state, finished_at, retry_at = "failed", at, None
    elif record.retry_in > 0:
        state, finished_at, retry_at = "waiting", None, utc(wall + record.retry_in)
    else:
        state, finished_at, retry_at = "pending", None, None
    cursor = db.execute(
        "UPDATE reference SET state = ?, finished_at = ?, retry_at = ?, attempts = attempts - ?,"
        " crashes = crashes + ?, error_kind = ?, error_message = ?, worker = iif(? = 'failed', worker, NULL)"
        " WHERE id = ? AND state = 'in_progress' AND attempt = ?",
        (
            state,
            finished_at,
            retry_at,
            not record.counted,
            record.crashed,
            record.kind.value,
            record.message,
            state,
            record.ref_id,
            record.attempt,
        ),
    )
    expect_one(db, cursor, record.ref_id, f"failed by attempt {record.attempt}")
    cursor = db.execute(
        "UPDATE attempt SET outcome = ?, ended_at = ?, kind = ?, message = ?, url = ?, status = ?, steps = ?"
        " WHERE id = ? AND reference_id = ? AND outcome = 'running'",
        (
            "failed" if record.counted else "uncounted",
            at,
            record.kind.value,
            record.message,
            record.url or None,
            record.status or None,
            msgspec.json.encode(record.steps).decode(),
            record.attempt,
            record.ref_id,
        ),
    )
    expect_one(db, cursor, record.ref_id, f"failed by attempt {record.attempt}")


def _doubted(db: sqlite3.Connection, record: SuccessDoubted) -> None:
    """Its documents are taken away, here first: what a crash leaves of them belongs to nothing."""
    cursor = db.execute(
        "UPDATE reference SET state = 'pending', attempts = attempts - 1, worker = NULL, finished_at = NULL"
        " WHERE id = ? AND state = 'completed' AND attempt = ? AND attempts > 0",
        (record.ref_id, record.attempt),
    )
    expect_one(db, cursor, record.ref_id, f"recalled from attempt {record.attempt}")
    cursor = db.execute(
        "UPDATE attempt SET outcome = 'uncounted', kind = ?, message = ?"
        " WHERE id = ? AND reference_id = ? AND outcome = 'succeeded'",
        (Kind.SESSION_EXPIRED.value, "the session was found gone afterwards", record.attempt, record.ref_id),
    )
    expect_one(db, cursor, record.ref_id, f"recalled from attempt {record.attempt}")
    db.execute("DELETE FROM document WHERE reference_id = ?", (record.ref_id,))


def _forgiven(db: sqlite3.Connection, record: AttemptForgiven) -> None:
    cursor = db.execute(
        "UPDATE attempt SET outcome = 'uncounted' WHERE id = ? AND reference_id = ? AND outcome = 'failed'",
        (record.attempt, record.ref_id),
    )
    expect_one(db, cursor, record.ref_id, f"forgiven attempt {record.attempt}")
    if record.reopen:
        cursor = db.execute(
            "UPDATE reference SET state = 'pending', attempts = attempts - 1, worker = NULL, finished_at = NULL"
            " WHERE id = ? AND state = 'failed' AND attempts > 0",
            (record.ref_id,),
        )
    else:
        cursor = db.execute(
            "UPDATE reference SET attempts = attempts - 1"
            " WHERE id = ? AND state IN ('pending', 'waiting', 'in_progress') AND attempts > 0",
            (record.ref_id,),
        )
    expect_one(db, cursor, record.ref_id, f"forgiven attempt {record.attempt}")


def add_incident(db: sqlite3.Connection, record: Incident, at: str) -> None:
    """Add to the history of the run."""
    db.execute(
        "INSERT INTO incident (at, what, detail, slot, reference_id, attempt) VALUES (?, ?, ?, ?, ?, ?)",
        (at, record.what, record.detail, record.slot or None, record.ref_id or None, record.attempt or None),
    )


def expect_one(db: sqlite3.Connection, cursor: sqlite3.Cursor, ref_id: int, change: str) -> None:
    """Check that a statement has changed its one row.

    Raises:
        LedgerConflict: it has not; the reference is named, and what state it was found in.
    """
    if cursor.rowcount != 1:
        row = db.execute("SELECT state, attempt, attempts FROM reference WHERE id = ?", (ref_id,)).fetchone()
        found = f"it is {row[0]}, its last attempt {row[1]}, {row[2]} counted" if row else "there is none"
        raise LedgerConflict(f"reference {ref_id} cannot be {change}: {found}")


def _document_row(ref_id: int, attempt: int, document: Document) -> tuple[int | str | None, ...]:
    return (
        ref_id,
        document.name,
        attempt,
        document.url,
        document.bytes,
        document.sha256,
        document.pages,
        document.format,
        document.protected,
    )
