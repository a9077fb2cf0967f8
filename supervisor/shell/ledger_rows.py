"""The rows of the ledger, and what each of their values may be: whoever reads them is given no others.

Anybody may open the file and write into it, and SQLite holds a column to its type only where it is told to. So each
row is checked when it is read. Its folder above all: with ``..`` in it, a repair would move what lies elsewhere.
"""

from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from worker.protocol import Step

Count = Annotated[int, msgspec.Meta(ge=0)]
Time = Annotated[str, msgspec.Meta(max_length=40)]
"""As `ledger_schema.utc` writes it and `seconds` reads it."""
FOLDER = r"^[A-Za-z0-9](?:[A-Za-z0-9._~ -]{0,126}[A-Za-z0-9_~-])?\Z"
"""Folder names as `folders.candidates` makes them, and no place elsewhere."""
Folder = Annotated[str, msgspec.Meta(pattern=FOLDER)]

_Row = TypeVar("_Row", bound=msgspec.Struct)


class RowError(ValueError):
    """A row holds what it cannot hold. The sentence names the column."""


class Meta(msgspec.Struct, frozen=True):
    """Whose run this is."""

    site: str
    site_name: str
    run_id: str
    """Eight hexadecimal digits."""
    created_at: Time


class RunRow(msgspec.Struct, frozen=True):
    """One start of a supervisor. Without `ended_at` it goes on, or it was lost and `reason` says so."""

    id: int
    started_at: Time
    ended_at: Time | None
    pid: int
    host: str
    workers: int
    exit_code: int | None
    reason: str | None


class ReferenceRow(msgspec.Struct, frozen=True):
    """One reference as it stands."""

    id: int
    ref: str
    folder: Folder
    state: str
    attempts: Count
    """Those that count."""
    crashes: Count
    worker: int | None
    """The slot that has it, or finished it."""
    attempt: int | None
    """Id of the last attempt."""
    error_kind: str | None
    """Of the last attempt that failed, until the reference is completed."""
    error_message: str | None
    started_at: Time | None
    """Of the last attempt."""
    finished_at: Time | None
    retry_at: Time | None


class DocumentRow(msgspec.Struct, frozen=True):
    """One published document."""

    reference_id: int
    name: str
    attempt: int
    url: str
    bytes: Count
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
    started_at: Time
    ended_at: Time | None
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
    at: Time
    what: str
    detail: str
    slot: int | None
    reference_id: int | None
    attempt: int | None


class Story(msgspec.Struct, frozen=True):
    """Everything that the ledger knows of one reference."""

    reference: ReferenceRow
    attempts: tuple[AttemptRow, ...]
    documents: tuple[DocumentRow, ...]
    incidents: tuple[IncidentRow, ...]


class Reading(Generic[_Row]):
    """Makes rows of one kind of what SQLite returns."""

    def __init__(self, row: type[_Row]) -> None:
        self._row = row
        self._columns = row.__struct_fields__
        fields = [(field.name, _STORED.get(field.name, field.type)) for field in msgspec.structs.fields(row)]
        self._stored = msgspec.defstruct(f"Stored{row.__name__}", fields, array_like=True)
        self._read = [(place, _READ[name]) for place, name in enumerate(self._columns) if name in _READ]

    def __call__(self, values: tuple[Any, ...]) -> _Row:
        """Return the row of these values, in the order of its fields.

        Raises:
            RowError: one of them is nothing that stands there.
        """
        place = -1
        try:
            msgspec.convert(values, self._stored)  # it changes nothing, and is only asked whether they may be
            if not self._read:
                return self._row(*values)
            found = list(values)
            for place, read in self._read:
                found[place] = read(found[place])
        except (msgspec.DecodeError, RecursionError) as error:
            raise RowError(self._told(str(error), place)) from error
        return self._row(*found)

    def _told(self, trouble: str, place: int) -> str:
        """Name the column; where it is not known, msgspec has told it, as in ``Expected `int` - at `$[4]` ``."""
        text, _, where = trouble.partition(" - at `$[")
        number = where.partition("]")[0] if place < 0 else str(place)
        return f"{self._columns[int(number)]}: {text}" if number.isdigit() else text


_STEPS = msgspec.json.Decoder(tuple[Step, ...])
_STORED: dict[str, Any] = {
    "state": Literal["pending", "waiting", "in_progress", "completed", "failed"],
    "outcome": Literal["running", "succeeded", "failed", "uncounted"],
    "protected": int,
    "steps": str | None,
}
"""By field: what SQLite may hold, where that is not what the field holds."""
_READ: dict[str, Callable[[Any], Any]] = {
    "protected": bool,
    "steps": lambda text: _STEPS.decode(text) if text else (),
}
"""SQLite has no truth values and no lists."""
