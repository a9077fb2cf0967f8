"""Reading the ledger, also while a run goes on: what views, `verify` and reports need, as frozen rows."""

import contextlib
import itertools
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from supervisor.shell.ledger_rows import (
    AttemptRow,
    DocumentRow,
    IncidentRow,
    Meta,
    Reading,
    ReferenceRow,
    RowError,
    RunRow,
    Story,
)
from supervisor.shell.ledger_schema import (
    SQL_TROUBLE,
    LedgerDamagedError,
    connect_following,
    inspect,
    missing_columns,
    problems,
    trouble_with,
)
from supervisor.views.status import Totals
from supervisor.views.text import is_text

_Row = TypeVar("_Row", bound=msgspec.Struct)


class Figures(msgspec.Struct, frozen=True):
    """What all starts of a run have done together."""

    attempts: int
    failures: dict[str, int]
    """Failed attempts by kind."""
    kills: int
    restarts: int
    documents: int
    """Of completed references, as `bytes`."""
    bytes: int


def _select(row: type[msgspec.Struct], table: str) -> str:
    return f"SELECT {', '.join(row.__struct_fields__)} FROM {table}"  # noqa: S608 - names from this file alone


_META = _select(Meta, "meta")
_RUNS = _select(RunRow, "run")
_REFERENCES = _select(ReferenceRow, "reference")
_DOCUMENTS = _select(DocumentRow, "document")
_OLDER_DOCUMENTS = _DOCUMENTS.replace("format, protected", "'' AS format, 0 AS protected")
"""Of a ledger that an earlier version of the program made and none has written to since."""
_ATTEMPTS = _select(AttemptRow, "attempt")
_INCIDENTS = _select(IncidentRow, "incident")

_READINGS: dict[type[msgspec.Struct], Reading[Any]] = {
    row: Reading(row) for row in (Meta, RunRow, ReferenceRow, DocumentRow, AttemptRow, IncidentRow)
}
_CONTRADICTIONS = {
    "attempt {} is under way, and its reference {} is not": "SELECT a.id, a.reference_id FROM attempt a"
    " LEFT JOIN reference r ON r.id = a.reference_id"
    " WHERE a.outcome = 'running' AND (r.state, r.attempt) IS NOT ('in_progress', a.id)",
    "reference {} is in progress, and no attempt at it is": "SELECT r.id FROM reference r"
    " WHERE r.state = 'in_progress'"
    " AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.reference_id = r.id AND a.outcome = 'running')",
    "the last attempt at reference {} is {}, which is not there": "SELECT r.id, r.attempt FROM reference r"
    " WHERE r.attempt IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.id = r.attempt AND a.reference_id = r.id)",
}
"""What the records of a run never bring about: the sentence, and how to find it."""
_TIMES = {
    "meta": ("created_at",),
    "run": ("started_at", "ended_at"),
    "reference": ("started_at", "finished_at", "retry_at"),
    "attempt": ("started_at", "ended_at"),
    "incident": ("at",),
}
"""By table: the columns that hold times, as `ledger_schema.utc` writes them."""


class LedgerReader:
    """A reader of its own, for one thread. Every query sees what is committed; `snapshot` holds one moment fast."""

    def __init__(self, path: Path) -> None:
        """Open for reading.

        Raises:
            LedgerError: one of its kinds, see `ledger_schema.inspect`.
        """
        inspect(path, live=True)
        self.path = path
        with self._telling():
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
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except SQL_TROUBLE as error:
            raise trouble_with(self.path, error) from error

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            for row in self._db.execute(sql, values):  # noqa: UP028 - a reader that leaves would close the cursor, which may raise
                yield row
        except SQL_TROUBLE as error:
            raise trouble_with(self.path, error) from error

    def _read(self, row: type[_Row], sql: str, values: tuple[object, ...] = ()) -> Iterator[_Row]:
        """Yield rows, each with values that can stand there.

        Raises:
            LedgerDamagedError: one has others, or SQLite finds the file damaged.
        """
        reading: Reading[_Row] = _READINGS[row]
        for found in self._rows(sql, values):
            try:
                yield reading(found)
            except RowError as error:
                what = f"{row.__name__.removesuffix('Row').lower()} {str(found[0])[:40]!r}"
                raise LedgerDamagedError(
                    f"the ledger {self.path} is damaged: of {what}, {error}; put a copy of it back, "
                    "or start in a new run directory"
                ) from error

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Self]:
        """Make all queries within the block see the same moment. The log of the database grows meanwhile: be brief."""
        with self._telling():
            self._db.execute("BEGIN")
            try:
                yield self
            finally:
                self._db.execute("ROLLBACK")

    def meta(self) -> Meta:
        """Return whose run this is."""
        return next(self._read(Meta, _META))

    def runs(self) -> list[RunRow]:
        """Return every start of a supervisor, the first one first."""
        return list(self._read(RunRow, _RUNS + " ORDER BY id"))

    def totals(self) -> Totals:
        """Count the references by state, in constant time."""
        return self._totals("SELECT state, count FROM total")

    def counted(self) -> Totals:
        """Count the references by state one by one, for those who do not trust `totals`."""
        return self._totals("SELECT state, count(*) FROM reference GROUP BY state")

    def _totals(self, sql: str) -> Totals:
        counts = dict(self._rows(sql))
        try:
            return msgspec.convert({**counts, "total": sum(counts.values())}, Totals)
        except (TypeError, msgspec.ValidationError) as error:
            raise LedgerDamagedError(
                f"the ledger {self.path} is damaged: its totals are no numbers of states"
            ) from error

    def references(self, state: str | None = None) -> Iterator[ReferenceRow]:
        """Yield the references in the order of their import, those of one state or all."""
        where, values = ("", ()) if state is None else (" WHERE state = ?", (state,))
        return self._read(ReferenceRow, _REFERENCES + where + " ORDER BY id", values)

    def with_documents(self, state: str | None = None) -> Iterator[tuple[ReferenceRow, list[DocumentRow]]]:
        """Yield the references as `references` does, each with its documents by name. Memory for one at a time."""
        documents = self._read(DocumentRow, self._documents + " ORDER BY reference_id, name")
        ahead = next(documents, None)
        for reference in self.references(state):
            own: list[DocumentRow] = []
            while ahead is not None and ahead.reference_id <= reference.id:
                if ahead.reference_id == reference.id:
                    own.append(ahead)
                ahead = next(documents, None)
            yield reference, own

    def kept(self) -> Iterator[tuple[ReferenceRow, list[DocumentRow]]]:
        """Yield the references that are not completed and have documents: of an earlier night, until others come."""
        where = " WHERE state <> 'completed' AND EXISTS (SELECT 1 FROM document d WHERE d.reference_id = reference.id)"
        for reference in self._read(ReferenceRow, _REFERENCES + where + " ORDER BY id"):
            yield reference, self.documents(reference.id)

    def unsuccessful(self) -> Iterator[tuple[int, list[AttemptRow]]]:
        """Yield every attempt that came to nothing, by the id of its reference, in the order of the import."""
        # The plus keeps SQLite from walking the index for its order, a look into the table for each row of it.
        found = self._read(AttemptRow, _ATTEMPTS + " WHERE kind IS NOT NULL ORDER BY +reference_id, id")
        for reference_id, rows in itertools.groupby(found, lambda row: row.reference_id):
            yield reference_id, list(rows)

    def reference(self, ref: str) -> ReferenceRow | None:
        """Return one reference by its name."""
        if not is_text(ref):
            return None
        return next(self._read(ReferenceRow, _REFERENCES + " WHERE ref = ?", (ref,)), None)

    def reference_by_id(self, reference_id: int) -> ReferenceRow | None:
        """Return one reference by its id."""
        return next(self._read(ReferenceRow, _REFERENCES + " WHERE id = ?", (reference_id,)), None)

    def in_folder(self, folder: str) -> ReferenceRow | None:
        """Return the reference whose documents belong into this folder; upper and lower case count."""
        if not folder.isascii():
            return None
        where = " WHERE folder = ? COLLATE NOCASE AND folder = ? COLLATE BINARY"
        return next(self._read(ReferenceRow, _REFERENCES + where, (folder, folder)), None)

    def documents(self, reference_id: int) -> list[DocumentRow]:
        """Return the documents of one reference by name."""
        where = " WHERE reference_id = ? ORDER BY name"
        return list(self._read(DocumentRow, self._documents + where, (reference_id,)))

    def attempt(self, attempt: int) -> AttemptRow | None:
        """Return one attempt by its id."""
        return next(self._read(AttemptRow, _ATTEMPTS + " WHERE id = ?", (attempt,)), None)

    def attempts(self) -> Iterator[AttemptRow]:
        """Yield every attempt, the first one first. Memory for one at a time."""
        return self._read(AttemptRow, _ATTEMPTS + " ORDER BY id")

    def story(self, ref: str) -> Story | None:
        """Return everything about one reference, None when the run does not have it."""
        reference = self.reference(ref)
        if reference is None:
            return None
        own = (reference.id,)
        return Story(
            reference,
            tuple(self._read(AttemptRow, _ATTEMPTS + " WHERE reference_id = ? ORDER BY id", own)),
            tuple(self.documents(reference.id)),
            tuple(self._read(IncidentRow, _INCIDENTS + " WHERE reference_id = ? ORDER BY id", own)),
        )

    def failures(self, kind: str | None = None) -> Iterator[ReferenceRow]:
        """Yield the references that have failed for good, those of one kind or all."""
        for reference in self.references("failed"):
            if kind is None or reference.error_kind == kind:
                yield reference

    def last_login(self) -> IncidentRow | None:
        """Return the last ``logged_in`` or ``login_refused`` of the run's history."""
        where = " WHERE what IN ('logged_in', 'login_refused') ORDER BY id DESC LIMIT 1"
        return next(self._read(IncidentRow, _INCIDENTS + where), None)

    def incidents(self, after: int = 0) -> Iterator[IncidentRow]:
        """Yield the history of the run, from the incident after the given id on."""
        return self._read(IncidentRow, _INCIDENTS + " WHERE id > ? ORDER BY id", (after,))

    def figures(self) -> Figures:
        """Count what was done so far, in time linear in the attempts and documents.

        Documents count when their reference is completed: those of an earlier night, which are to be fetched once more,
        are still on record.
        """
        failures = dict(self._rows("SELECT kind, count(*) FROM attempt WHERE kind IS NOT NULL GROUP BY kind"))
        ((attempts,),) = self._rows("SELECT count(*) FROM attempt")
        incidents = dict(self._rows("SELECT what, count(*) FROM incident GROUP BY what"))
        ((documents, size),) = self._rows(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM document d JOIN reference r ON r.id = d.reference_id"
            " WHERE r.state = 'completed'"
        )
        return Figures(
            attempts=attempts,
            failures=failures,
            kills=incidents.get("killed", 0),
            restarts=incidents.get("restarted", 0),
            documents=documents,
            bytes=size,
        )

    def contradictions(self) -> Iterator[str]:
        """Yield, at most five of a kind, what the rows say that cannot be: each for itself or one against another.

        Reads every row.

        Raises:
            LedgerDamagedError: a value is nothing that can stand there, or SQLite finds the file damaged.
        """
        for table, row, *_ in self._rows("SELECT * FROM pragma_foreign_key_check LIMIT 5"):
            yield f"row {row} of table {table} names a reference that is not there"
        for sentence, sql in _CONTRADICTIONS.items():
            for found in self._rows(f"{sql} LIMIT 5"):
                yield sentence.format(*found)
        for table, columns in _TIMES.items():
            for column in columns:
                wrong = f"SELECT id FROM {table} WHERE {column} IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', {column}) LIMIT 5"  # noqa: S608 - names from above
                for (row,) in self._rows(wrong):
                    yield f"{column} of {table} {row} is no time"
        rows = (self.with_documents(), self.attempts(), self.incidents(), self.runs(), [self.meta()])
        deque(itertools.chain(*rows), maxlen=0)

    def damage(self) -> list[str]:
        """Return what SQLite's full check and the ledger's own contradictions find wrong. Reads the whole file.

        Raises:
            LedgerDamagedError: the damage stops even the check.
        """
        with self._telling():
            found = list(problems(self._db, "integrity_check"))
        return found + list(self.contradictions())
