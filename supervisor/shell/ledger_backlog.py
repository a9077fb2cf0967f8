"""Where a run stands when it starts, and what becomes of the attempts that were under way when it ended last."""

import sqlite3

import msgspec

from supervisor.core.backlog import Backlog
from supervisor.core.records import Entry
from supervisor.shell.ledger_schema import seconds
from worker.protocol import Kind

_MOST_RECENT = 10_000
"""Attempts that are looked at: those of the last minute are a few."""
_LOST = "the supervisor or the machine went down during the attempt"


class LiveAttempt(msgspec.Struct, frozen=True):
    """An attempt that was under way when the last supervisor ended."""

    attempt: int
    ref_id: int
    ref: str
    folder: str
    number: int


def live_attempts(db: sqlite3.Connection) -> list[LiveAttempt]:
    """Return the attempts that no record has ended."""
    rows = db.execute(
        "SELECT a.id, r.id, r.ref, r.folder, a.number FROM attempt a JOIN reference r ON r.id = a.reference_id"
        " WHERE a.outcome = 'running' ORDER BY a.id"
    )
    return [LiveAttempt(*row) for row in rows]


def close_lost(db: sqlite3.Connection, at: str) -> int:
    """End these attempts as lost, their references pending again; return how many there were."""
    db.execute(
        "UPDATE reference SET state = 'pending', worker = NULL, error_kind = ?, error_message = ?"
        " WHERE state = 'in_progress'",
        (Kind.SUPERVISOR_LOST.value, _LOST),
    )
    return db.execute(
        "UPDATE attempt SET outcome = 'failed', ended_at = ?, kind = ?, message = ? WHERE outcome = 'running'",
        (at, Kind.SUPERVISOR_LOST.value, _LOST),
    ).rowcount


def read(db: sqlite3.Connection, wall: float) -> Backlog:
    """Return what is left to do. No attempt is under way; `wall` is now, seconds since the epoch."""
    totals: dict[str, int] = dict(db.execute("SELECT state, count FROM total").fetchall())
    started = tuple(_recent(db, wall))
    served = tuple(dict.fromkeys(_served(db)))
    (last_attempt,) = db.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()
    rows = db.execute(
        "SELECT id, ref, attempts, crashes, retry_at FROM reference WHERE state IN ('pending', 'waiting') ORDER BY id"
    )
    entries = tuple(
        Entry(ref_id, ref, attempts, crashes, max(0.0, seconds(retry_at) - wall) if retry_at else 0.0)
        for ref_id, ref, attempts, crashes, retry_at in rows
    )
    return Backlog(
        next_attempt=last_attempt + 1,
        entries=entries,
        completed=totals["completed"],
        failed=totals["failed"],
        started=started,
        served=served,
        has_inventory=sum(totals.values()) > 0,
    )


def _recent(db: sqlite3.Connection, wall: float) -> list[float]:
    """Return how many seconds ago the attempts of the last minute were started, the oldest first."""
    ages: list[float] = []
    for (at,) in db.execute("SELECT started_at FROM attempt ORDER BY id DESC LIMIT ?", (_MOST_RECENT,)):
        age = wall - seconds(at)
        if age >= 60:  # noqa: PLR2004 - the limits speak of a minute
            break
        ages.append(max(age, 0.0))  # the clock was put back since
    return ages[::-1]


def _served(db: sqlite3.Connection) -> list[str]:
    """Return some of the references whose documents came last, the latest first."""
    rows = db.execute(
        "SELECT r.ref FROM attempt a JOIN reference r ON r.id = a.reference_id"
        " WHERE a.outcome = 'succeeded' AND r.state = 'completed'"
        " AND EXISTS (SELECT 1 FROM document d WHERE d.reference_id = r.id) ORDER BY a.id DESC LIMIT 5"
    )
    return [ref for (ref,) in rows]
