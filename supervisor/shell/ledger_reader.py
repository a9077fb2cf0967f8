"""Reading the ledger, also while a run goes on: what views, `verify` and reports need, as frozen rows."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from supervisor.shell.ledger_schema import LedgerDamagedError, connect_following, inspect, missing_columns, problems
from supervisor.views.status import Totals
from worker.protocol import Step


class Meta(msgspec.Struct, frozen=True):
    """Whose run this is."""

    site: str
    site_name: str
    run_id: str
    """Eight hexadecimal digits."""
    created_at: str


class RunRow(msgspec.Struct, frozen=True):
    """One start of a supervisor. Without `ended_at` it goes on, or it was lost and `reason` says so."""

    id: int
    started_at: str
    ended_at: str | None
    pid: int
    host: str
    workers: int
    exit_code: int | None
    reason: str | None


class ReferenceRow(msgspec.Struct, frozen=True):
    """One reference as it stands."""

    id: int
    ref: str
    folder: str
    state: str
    attempts: int
    """Those that count."""
    crashes: int
    worker: int | None
    """The slot that has it, or finished it."""
    attempt: int | None
    """Id of the last attempt."""
    error_kind: str | None
    """Of the last attempt that failed, until the reference is completed."""
    error_message: str | None
    started_at: str | None
    """Of the last attempt."""
    finished_at: str | None
    retry_at: str | None


class DocumentRow(msgspec.Struct, frozen=True):
    """One published document."""

    reference_id: int
    name: str
    attempt: int
    url: str
    bytes: int
    sha256: str
    pages: int | None
    format: str
    """By its content; empty for none that is known."""
    protected: bool
    """It opens with a password only."""


class AttemptRow(msgspec.Struct, frozen=True):
    """One try at a reference."""

    id: int
    reference_id: int
    number: int
    slot: int
    incarnation: int
    started_at: str
    ended_at: str | None
    outcome: str
    """``running``, ``succeeded``, ``failed`` or ``uncounted``."""
    kind: str | None
    message: str | None
    url: str | None
    status: int | None
    steps: tuple[Step, ...]


class IncidentRow(msgspec.Struct, frozen=True):
    """Something in the history of the night."""

    id: int
    at: str
    what: str
    detail: str
    slot: int | None
    reference_id: int | None
    attempt: int | None


class Figures(msgspec.Struct, frozen=True):
    """What all starts of a run have done together."""

    attempts: int
    failures: dict[str, int]
    """Failed attempts by kind."""
    kills: int
    restarts: int
    documents: int
    bytes: int


class Story(msgspec.Struct, frozen=True):
    """Everything that the ledger knows of one reference."""

    reference: ReferenceRow
    attempts: tuple[AttemptRow, ...]
    documents: tuple[DocumentRow, ...]
    incidents: tuple[IncidentRow, ...]


def _select(row: type[msgspec.Struct], table: str) -> str:
    return f"SELECT {', '.join(row.__struct_fields__)} FROM {table}"  # noqa: S608 - names from this file alone


_RUNS = _select(RunRow, "run")
_REFERENCES = _select(ReferenceRow, "reference")
_DOCUMENTS = _select(DocumentRow, "document")
_OLDER_DOCUMENTS = _DOCUMENTS.replace("format, protected", "'' AS format, 0 AS protected")
"""Of a ledger that an earlier version of the program made and none has written to since."""
_ATTEMPTS = _select(AttemptRow, "attempt")
_INCIDENTS = _select(IncidentRow, "incident")


class LedgerReader:
    """A reader of its own, for one thread. Every query sees what is committed; `snapshot` holds one moment fast."""

    def __init__(self, path: Path) -> None:
        """Open for reading.

        Raises:
            LedgerError: one of its kinds, see `ledger_schema.inspect`.
        """
        inspect(path, live=True)
        self.path = path
        self._db = connect_following(path)
        self._documents = _OLDER_DOCUMENTS if missing_columns(self._db) else _DOCUMENTS

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Self]:
        """Make all queries within the block see the same moment. The log of the database grows meanwhile: be brief."""
        self._db.execute("BEGIN")
        try:
            yield self
        finally:
            self._db.execute("ROLLBACK")

    def meta(self) -> Meta:
        """Return whose run this is."""
        return Meta(*self._db.execute("SELECT site, site_name, run_id, created_at FROM meta").fetchone())

    def runs(self) -> list[RunRow]:
        """Return every start of a supervisor, the first one first."""
        return [RunRow(*row) for row in self._db.execute(_RUNS + " ORDER BY id")]

    def totals(self) -> Totals:
        """Count the references by state, in constant time."""
        counts: dict[str, int] = dict(self._db.execute("SELECT state, count FROM total").fetchall())
        return Totals(total=sum(counts.values()), **counts)

    def counted(self) -> Totals:
        """Count the references by state one by one, for those who do not trust `totals`."""
        counts = dict(self._db.execute("SELECT state, count(*) FROM reference GROUP BY state").fetchall())
        return Totals(total=sum(counts.values()), **counts)

    def references(self, state: str | None = None) -> Iterator[ReferenceRow]:
        """Yield the references in the order of their import, those of one state or all."""
        where, values = ("", ()) if state is None else (" WHERE state = ?", (state,))
        for row in self._db.execute(_REFERENCES + where + " ORDER BY id", values):
            yield ReferenceRow(*row)

    def with_documents(self, state: str | None = None) -> Iterator[tuple[ReferenceRow, list[DocumentRow]]]:
        """Yield the references as `references` does, each with its documents by name. Memory for one at a time."""
        rows = self._db.execute(self._documents + " ORDER BY reference_id, name")
        documents = (_document(row) for row in rows)
        ahead = next(documents, None)
        for reference in self.references(state):
            own: list[DocumentRow] = []
            while ahead is not None and ahead.reference_id <= reference.id:
                if ahead.reference_id == reference.id:
                    own.append(ahead)
                ahead = next(documents, None)
            yield reference, own

    def reference(self, ref: str) -> ReferenceRow | None:
        """Return one reference by its name."""
        row = self._db.execute(_REFERENCES + " WHERE ref = ?", (ref,)).fetchone()
        return ReferenceRow(*row) if row else None

    def reference_by_id(self, reference_id: int) -> ReferenceRow | None:
        """Return one reference by its id."""
        row = self._db.execute(_REFERENCES + " WHERE id = ?", (reference_id,)).fetchone()
        return ReferenceRow(*row) if row else None

    def in_folder(self, folder: str) -> ReferenceRow | None:
        """Return the reference whose documents belong into this folder; upper and lower case count."""
        row = self._db.execute(
            _REFERENCES + " WHERE folder = ? COLLATE NOCASE AND folder = ? COLLATE BINARY",
            (folder, folder),
        ).fetchone()
        return ReferenceRow(*row) if row else None

    def documents(self, reference_id: int) -> list[DocumentRow]:
        """Return the documents of one reference by name."""
        rows = self._db.execute(self._documents + " WHERE reference_id = ? ORDER BY name", (reference_id,))
        return [_document(row) for row in rows]

    def attempt(self, attempt: int) -> AttemptRow | None:
        """Return one attempt by its id."""
        row = self._db.execute(_ATTEMPTS + " WHERE id = ?", (attempt,)).fetchone()
        return _attempt(row) if row else None

    def attempts(self) -> Iterator[AttemptRow]:
        """Yield every attempt, the first one first. Memory for one at a time."""
        for row in self._db.execute(_ATTEMPTS + " ORDER BY id"):
            yield _attempt(row)

    def story(self, ref: str) -> Story | None:
        """Return everything about one reference, None when the run does not have it."""
        reference = self.reference(ref)
        if reference is None:
            return None
        attempts = self._db.execute(_ATTEMPTS + " WHERE reference_id = ? ORDER BY id", (reference.id,))
        incidents = self._db.execute(_INCIDENTS + " WHERE reference_id = ? ORDER BY id", (reference.id,))
        return Story(
            reference,
            tuple(_attempt(row) for row in attempts),
            tuple(self.documents(reference.id)),
            tuple(IncidentRow(*row) for row in incidents),
        )

    def failures(self, kind: str | None = None) -> Iterator[ReferenceRow]:
        """Yield the references that have failed for good, those of one kind or all."""
        for reference in self.references("failed"):
            if kind is None or reference.error_kind == kind:
                yield reference

    def last_login(self) -> IncidentRow | None:
        """Return the last ``logged_in`` or ``login_refused`` of the run's history."""
        row = self._db.execute(
            _INCIDENTS + " WHERE what IN ('logged_in', 'login_refused') ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return IncidentRow(*row) if row else None

    def incidents(self, after: int = 0) -> Iterator[IncidentRow]:
        """Yield the history of the run, from the incident after the given id on."""
        for row in self._db.execute(_INCIDENTS + " WHERE id > ? ORDER BY id", (after,)):
            yield IncidentRow(*row)

    def figures(self) -> Figures:
        """Count what was done so far, in time linear in the attempts and documents."""
        failures = self._db.execute("SELECT kind, count(*) FROM attempt WHERE kind IS NOT NULL GROUP BY kind")
        (attempts,) = self._db.execute("SELECT count(*) FROM attempt").fetchone()
        incidents = dict(self._db.execute("SELECT what, count(*) FROM incident GROUP BY what").fetchall())
        documents, size = self._db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM document").fetchone()
        return Figures(
            attempts=attempts,
            failures=dict(failures.fetchall()),
            kills=incidents.get("killed", 0),
            restarts=incidents.get("restarted", 0),
            documents=documents,
            bytes=size,
        )

    def damage(self) -> list[str]:
        """Return what SQLite's full check and the foreign keys find wrong. Reads the whole file."""
        try:
            found = list(problems(self._db, "integrity_check"))
            broken = self._db.execute("PRAGMA foreign_key_check").fetchmany(5)
        except sqlite3.DatabaseError as error:
            raise LedgerDamagedError(f"the ledger {self.path} is damaged ({error})") from error
        return found + [f"row {row} of table {table} names a reference that is not there" for table, row, *_ in broken]


def _document(row: tuple[Any, ...]) -> DocumentRow:
    return DocumentRow(*(*row[:-1], bool(row[-1])))


def _attempt(row: tuple[Any, ...]) -> AttemptRow:
    steps = msgspec.json.decode(row[-1], type=tuple[Step, ...]) if row[-1] else ()
    return AttemptRow(*(*row[:-1], steps))
