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

from supervisor.core.backlog import Backlog
from supervisor.core.records import Incident, Record
from supervisor.shell import ledger_backlog, ledger_import
from supervisor.shell.ledger_backlog import LiveAttempt
from supervisor.shell.ledger_import import Imported
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
    utc,
    write_ahead_log,
)
from supervisor.shell.run_directory import fsync_directory

_STATES = ("pending", "waiting", "in_progress", "completed", "failed")
_LOST_RUN = "the supervisor or the machine went down during the run"


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
        with self._transaction() as db:
            return ledger_import.add(db, names, done_before)

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
            return ledger_backlog.live_attempts(self._connection)

    def close_lost_attempts(self, wall: float) -> int:
        """End the attempts that are still under way as lost, their references pending again; return how many.

        They stay counted: a reference that brings the whole machine down must not do so for ever.

        Raises:
            LedgerUnwritableError: it could not be written.
        """
        with self._transaction() as db:
            return ledger_backlog.close_lost(db, utc(wall))

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
            return ledger_backlog.read(db, wall)

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
