"""The ledger: the one durable truth of a run, in SQLite. Records go in, each batch in one flushed transaction.

Every statement names the state from which it may go on; one that finds another state is a bug of the caller, and the
whole batch is refused (`LedgerConflict`). That a reference has one live attempt at most is an index of the database.
"""

import contextlib
import os
import platform
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import msgspec

from supervisor.core.backlog import Backlog
from supervisor.core.records import (
    Entry,
    Incident,
    Record,
)
from supervisor.shell.folders import folder_name
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_records import LedgerConflict, add_incident, write
from supervisor.shell.ledger_rows import FOLDER
from supervisor.shell.ledger_schema import (
    APPLICATION_ID,
    CHECKED_LIMIT,
    SCHEMA,
    SCHEMA_VERSION,
    LedgerDamagedError,
    LedgerUnwritableError,
    connect_following,
    connect_writing,
    inspect,
    missing_columns,
    seconds,
    utc,
    write_ahead_log,
)
from supervisor.shell.run_directory import fsync_directory
from worker.protocol import Kind

__all__ = ["Imported", "Ledger", "LedgerConflict", "LiveAttempt"]

_MOST_RECENT = 10_000
"""Attempts that are looked at: those of the last minute are a few."""
_STATES = ("pending", "waiting", "in_progress", "completed", "failed")
_LOST = "the supervisor or the machine went down during the attempt"
_LOST_RUN = "the supervisor or the machine went down during the run"


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
    duplicates: int
    """Names that came more than once in the list."""
    known: int
    """Names that the run had already."""
    again: Again


class LiveAttempt(msgspec.Struct, frozen=True):
    """An attempt that was under way when the last supervisor ended."""

    attempt: int
    ref_id: int
    ref: str
    folder: str
    number: int


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


class Ledger:
    """The writing side, for the one supervisor that holds the run directory. May be used from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()
        # Of its own, so that who asks for a folder does not wait for a flush that is under way.
        self._reading = connect_following(path)
        self._reading_lock = threading.Lock()
        self.site, self.site_name, self.run_id = connection.execute(
            "SELECT site, site_name, run_id FROM meta"
        ).fetchone()
        self._run = 0

    # -------------------------------------------------------------------------------------------- opening and closing
    @classmethod
    def create(cls, path: Path, *, site: str, site_name: str = "", wall: float) -> Self:
        """Make the ledger of a new run; it appears as a whole or not at all.

        Args:
            path: where no ledger is yet.
            site: specification of the site, to know it again.
            site_name: as its recipe names itself.
            wall: now, seconds since the epoch.

        Raises:
            LedgerDamagedError: a ledger is gone from here, but what it had not yet taken in is still there.
            LedgerUnwritableError: it cannot be written there.
        """
        wal = write_ahead_log(path)
        if wal.exists():
            # SQLite would take the old log for the new file's own.
            raise LedgerDamagedError(f"the ledger {path} is gone, but its log {wal.name} is there; put the ledger back")
        beside = path.with_name(f".{path.name}.{os.getpid()}.new")
        beside.unlink(missing_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(beside, isolation_level=None)) as connection:
                connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; BEGIN; {SCHEMA} COMMIT;")
                connection.execute(
                    "INSERT INTO meta VALUES (1, ?, ?, ?, ?, ?)",
                    (SCHEMA_VERSION, site, site_name, secrets.token_hex(4), utc(wall)),
                )
            beside.rename(path)
            fsync_directory(path.parent)
            return cls(path, connect_writing(path))
        except (sqlite3.Error, OSError) as error:
            raise LedgerUnwritableError(f"the ledger {path} cannot be made: {error}") from error

    @classmethod
    def open(cls, path: Path, *, site: str | None = None, site_name: str = "", any_totals: bool = False) -> Self:
        """Open the ledger of a run that exists; it is checked before anything is touched.

        Args:
            path: the ledger.
            site: specification of the site it must belong to, None for any.
            site_name: as the site's recipe names itself; a recipe that was moved is known by it.
            any_totals: for whoever is going to `recount` them.

        Raises:
            LedgerError: one of its kinds, see `ledger_schema.inspect`.
        """
        inspect(path, site=site, site_name=site_name, live=False)
        with LedgerReader(path) as reader:
            found = next(reader.contradictions(), None) if path.stat().st_size <= CHECKED_LIMIT else None
            if found is not None:
                raise LedgerDamagedError(
                    f"the ledger {path} is damaged: {found}; put a copy of it back, or start in a new run directory"
                )
            if not any_totals and reader.totals() != reader.counted():
                raise LedgerDamagedError(
                    f"the ledger {path} is damaged: its totals are not the sums of its references; "
                    "run.py verify --repair counts them again"
                )
        try:
            connection = connect_writing(path)
            # That it cannot be written shows before anything is put in order; BEGIN alone would not tell.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE meta SET id = id")
            connection.execute("ROLLBACK")
            for column in missing_columns(connection):
                connection.execute(f"ALTER TABLE document ADD COLUMN {column}")
            return cls(path, connection)
        except sqlite3.DatabaseError as error:
            raise LedgerUnwritableError(f"the ledger {path} cannot be written: {error}") from error

    def close(self) -> None:
        """Close it. Everything was durable before."""
        with self._lock, self._reading_lock:
            self._reading.close()
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ----------------------------------------------------------------------------------------------------------- runs
    def begin_run(self, pid: int, workers: int, wall: float) -> int:
        """Write down that a supervisor starts; return the number of this start, 1 for the first.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        with self._transaction() as db:
            db.execute("UPDATE run SET reason = ? WHERE ended_at IS NULL AND reason IS NULL", (_LOST_RUN,))
            cursor = db.execute(
                "INSERT INTO run (started_at, pid, host, workers) VALUES (?, ?, ?, ?)",
                (utc(wall), pid, platform.node(), workers),
            )
            self._run = cursor.lastrowid or 0
        return self._run

    def end_run(self, code: int, reason: str, wall: float) -> None:
        """Write down how the run that was begun last has ended.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE run SET ended_at = ?, exit_code = ?, reason = ? WHERE id = ?",
                (utc(wall), code, reason, self._run),
            )

    # ----------------------------------------------------------------------------------------------------- references
    def import_references(self, names: Iterable[str], *, done_before: float | None = None) -> Imported:
        """Add the references that are new, in their order, all of them or none.

        Those that were completed, or failed for good, before the moment `done_before` (seconds since the epoch) become
        pending once more, with no attempt counted. What was published for them stays on record, and in its place,
        until something else takes it.

        One transaction, because a start that finds some references takes them for the whole inventory. Whoever writes
        meanwhile waits, which holds nothing up: before the inventory is known there is nothing to hand out.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        entries: list[Entry] = []
        duplicates = known = new = 0
        done: dict[str, list[int]] = {"completed": [], "failed": []}
        with self._transaction() as db:
            (before,) = db.execute("SELECT coalesce(max(id), 0) FROM reference").fetchone()
            cursor = db.cursor()
            for name in names:
                ref_id = self._insert(cursor, name)
                if ref_id is not None:
                    entries.append(Entry(ref_id, name))
                    new += 1
                elif done_before is not None and (state := self._begin_again(cursor, name, done_before)) is not None:
                    ref_id, former = state
                    entries.append(Entry(ref_id, name))
                    done[former].append(ref_id)
                elif cursor.execute("SELECT id FROM reference WHERE ref = ?", (name,)).fetchone()[0] > before:
                    duplicates += 1
                else:
                    known += 1
            db.execute("UPDATE total SET count = count + ? WHERE state = 'pending'", (new,))
        return Imported(tuple(entries), duplicates, known, Again(len(done["completed"]), tuple(done["failed"])))

    @staticmethod
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

    @staticmethod
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

    def has_done(self, before: float) -> bool:
        """Say whether some reference was completed, or failed for good, before that moment."""
        with self._lock:
            row = self._connection.execute(
                "SELECT 1 FROM reference WHERE state IN ('completed', 'failed') AND finished_at < ? LIMIT 1",
                (utc(before),),
            ).fetchone()
        return row is not None

    def folder_of(self, ref_id: int) -> str:
        """Return the folder name of a reference.

        Raises:
            LedgerConflict: there is no such reference, or it has no folder that the ledger gave it.
        """
        with self._reading_lock:
            row = self._reading.execute("SELECT folder FROM reference WHERE id = ?", (ref_id,)).fetchone()
        if row is None:
            raise LedgerConflict(f"there is no reference with id {ref_id}")
        if not re.search(FOLDER, str(row[0])):
            raise LedgerConflict(f"the folder of reference {ref_id} is {row[0]!r:.100}")
        return str(row[0])

    # --------------------------------------------------------------------------------------------- between two runs
    def live_attempts(self) -> list[LiveAttempt]:
        """Return the attempts that no record has ended."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT a.id, r.id, r.ref, r.folder, a.number FROM attempt a JOIN reference r ON r.id = a.reference_id"
                " WHERE a.outcome = 'running' ORDER BY a.id"
            ).fetchall()
        return [LiveAttempt(*row) for row in rows]

    def close_lost_attempts(self, wall: float) -> int:
        """End the attempts that are still under way as lost, their references pending again; return how many.

        They stay counted: a reference that brings the whole machine down must not do so for ever.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE reference SET state = 'pending', worker = NULL, error_kind = ?, error_message = ?"
                " WHERE state = 'in_progress'",
                (Kind.SUPERVISOR_LOST.value, _LOST),
            )
            return db.execute(
                "UPDATE attempt SET outcome = 'failed', ended_at = ?, kind = ?, message = ? WHERE outcome = 'running'",
                (utc(wall), Kind.SUPERVISOR_LOST.value, _LOST),
            ).rowcount

    def backlog(self, wall: float) -> Backlog:
        """Return where the run stands, with no attempt under way.

        Attempts that the last supervisor left under way are closed (`close_lost_attempts`; `reconcile` comes before,
        and adopts those whose documents are in place).

        Args:
            wall: now, seconds since the epoch; the waiting times count from it.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        self.close_lost_attempts(wall)
        with self._transaction() as db:
            totals: dict[str, int] = dict(db.execute("SELECT state, count FROM total").fetchall())
            started = tuple(_recent(db, wall))
            served = tuple(dict.fromkeys(_served(db)))
            (last_attempt,) = db.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()
            rows = db.execute(
                "SELECT id, ref, attempts, crashes, retry_at FROM reference"
                " WHERE state IN ('pending', 'waiting') ORDER BY id"
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

    def recount(self) -> bool:
        """Count the references by state again; say whether the totals were others.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        with self._transaction() as db:
            kept = dict(db.execute("SELECT state, count FROM total").fetchall())
            counted = dict.fromkeys(_STATES, 0)
            counted |= dict(db.execute("SELECT state, count(*) FROM reference GROUP BY state").fetchall())
            if kept == counted:
                return False
            db.execute("DELETE FROM total")
            db.executemany("INSERT INTO total VALUES (?, ?)", counted.items())
        return True

    def strike_documents(self, ref_id: int, detail: str, wall: float) -> None:
        """Take the documents of a reference off the record, because they are not what was recorded.

        A completed reference becomes pending again; any other stays what it is.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        with self._transaction() as db:
            db.execute(
                "UPDATE reference SET state = 'pending', attempts = 0, crashes = 0, worker = NULL, finished_at = NULL"
                " WHERE id = ? AND state = 'completed'",
                (ref_id,),
            )
            db.execute("DELETE FROM document WHERE reference_id = ?", (ref_id,))
            add_incident(db, Incident("reopened", detail, ref_id=ref_id), utc(wall))

    # -------------------------------------------------------------------------------------------------------- records
    def apply(self, records: Sequence[Record], wall: float) -> None:
        """Write the records, in their order, in one transaction that is on the disk when this returns.

        Args:
            records: a batch of any size; many records cost one flush.
            wall: now, seconds since the epoch.

        Raises:
            LedgerConflict: one of them does not follow from what the ledger holds; none is written.
            LedgerUnwritableError: disk full, locked, I/O error; none is written, and the same batch may be tried again.
        """
        at = utc(wall)
        with self._transaction() as db:
            for record in records:
                write(db, record, wall, at)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.IntegrityError as error:
                self._roll_back()
                raise LedgerConflict(f"the ledger refuses the batch: {error}") from error
            except sqlite3.DatabaseError as error:
                self._roll_back()
                raise LedgerUnwritableError(f"the ledger {self.path} cannot be written: {error}") from error
            except BaseException:  # whatever it is, no transaction stays open for the next caller
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after a full disk or an I/O error.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
