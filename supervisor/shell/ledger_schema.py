"""The ledger's tables, and what is checked before a file is believed to be a ledger.

Anyone may query the file while a run goes on (``sqlite3 ledger.db``). Times are UTC ISO 8601 text, sizes bytes. One
reference is one row of `reference`; its tries are rows of `attempt`; what is in documents/ are rows of `document`.
`total` counts the references of each state: triggers keep it, but for new rows, which the import adds up once, so that
it is right after every transaction.
"""

import contextlib
import functools
import sqlite3
import stat
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from supervisor.errors import MachineError, UserError

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4E466C74
"""``NFlt``, in the header of the file (sqlite.org/fileformat2.html, offset 68)."""

BUSY_TIMEOUT = 10.0
"""Seconds for which a write waits for somebody else's transaction."""
CHECKED_LIMIT = 64 * 1024 * 1024
"""Bytes of a ledger up to which a start reads all of it first: some hundred thousand references."""
_MAGIC = b"SQLite format 3\0"
_HEADER_SIZE = 100

SCHEMA = """
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    site TEXT NOT NULL,
    site_name TEXT NOT NULL,
    run_id TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    workers INTEGER NOT NULL,
    exit_code INTEGER,
    reason TEXT
);
CREATE TABLE reference (
    id INTEGER PRIMARY KEY,
    ref TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL UNIQUE COLLATE NOCASE,
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'waiting', 'in_progress', 'completed', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    crashes INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    worker INTEGER,
    attempt INTEGER,
    error_kind TEXT,
    error_message TEXT,
    started_at TEXT,
    finished_at TEXT,
    retry_at TEXT
);
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    reference_id INTEGER NOT NULL REFERENCES reference (id),
    number INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'succeeded', 'failed', 'uncounted')),
    kind TEXT,
    message TEXT,
    url TEXT,
    status INTEGER,
    steps TEXT
);
CREATE INDEX attempt_of_reference ON attempt (reference_id);
CREATE UNIQUE INDEX one_live_attempt ON attempt (reference_id) WHERE outcome = 'running';
CREATE TABLE document (
    reference_id INTEGER NOT NULL REFERENCES reference (id),
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    url TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    pages INTEGER,
    format TEXT NOT NULL DEFAULT '',
    protected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (reference_id, name)
) WITHOUT ROWID;
CREATE TABLE incident (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL,
    slot INTEGER,
    reference_id INTEGER,
    attempt INTEGER
);
CREATE INDEX incident_of_reference ON incident (reference_id) WHERE reference_id IS NOT NULL;
CREATE TABLE total (
    state TEXT PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count >= 0)
) WITHOUT ROWID;
INSERT INTO total VALUES ('pending', 0), ('waiting', 0), ('in_progress', 0), ('completed', 0), ('failed', 0);
CREATE TRIGGER total_moved AFTER UPDATE OF state ON reference WHEN OLD.state <> NEW.state BEGIN
    UPDATE total SET count = count - 1 WHERE state = OLD.state;
    UPDATE total SET count = count + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER total_removed AFTER DELETE ON reference BEGIN
    UPDATE total SET count = count - 1 WHERE state = OLD.state;
END;
"""

_LATER_COLUMNS = ("format TEXT NOT NULL DEFAULT ''", "protected INTEGER NOT NULL DEFAULT 0")
"""Of `document`, added since the first version; whoever wrote a ledger without them can still read one with them."""


_PARTS = """
SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'
UNION ALL
SELECT 'column', s.name || '.' || c.name FROM sqlite_schema s JOIN pragma_table_info(s.name) c WHERE s.type = 'table'
"""

_UNREADABLE = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}
)
"""What says nothing against the content."""


SQL_TROUBLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What a damaged file raises; the second where SQLite's own sentence quotes bytes of it that are no text."""


class LedgerError(UserError):
    """The ledger cannot be used; one sentence says why. Nothing in the run directory was touched."""


class LedgerMissingError(LedgerError):
    """There is no ledger."""


class LedgerForeignError(LedgerError):
    """The file is a sound SQLite database, and not a ledger."""


class LedgerTooNewError(LedgerError):
    """A newer version of the program wrote it."""


class LedgerOfAnotherSiteError(LedgerError):
    """The run directory belongs to a run against another site."""


class LedgerDamagedError(LedgerError, MachineError):
    """The file is truncated, overwritten, or otherwise no sound database."""


class LedgerUnwritableError(LedgerError, MachineError):
    """A transaction could not be written: disk full, locked by somebody else, I/O error. Nothing of it is recorded."""


def utc(wall: float) -> str:
    """Return seconds since the epoch as UTC ISO 8601 text with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def seconds(text: str) -> float:
    """Return what `utc` was given.

    Raises:
        LedgerDamagedError: it is not such a text.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise LedgerDamagedError(f"the ledger is damaged: {text[:60]!r} is no time") from error


def write_ahead_log(path: Path) -> Path:
    """Return where SQLite keeps the write-ahead log of a database."""
    return path.with_name(path.name + "-wal")


def connect_reading(path: Path) -> sqlite3.Connection:
    """Open for reading only. Where no write-ahead log is, the file is opened in a way that leaves nothing behind.

    Raises:
        sqlite3.Error: it cannot be opened. A file that is no database shows only at the first query.
    """
    wal = write_ahead_log(path)
    # Without a log there is no writer, or one that has not written yet; "immutable" then needs no -shm beside the file.
    quiet = not wal.exists() or wal.stat().st_size == 0
    return _connect(path, "mode=ro&immutable=1" if quiet else "mode=ro")


def connect_following(path: Path) -> sqlite3.Connection:
    """Open for reading only, while somebody else may begin to write.

    Raises:
        sqlite3.Error: as `connect_reading`.
    """
    try:
        connection = _connect(path, "mode=ro")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.OperationalError:
        # In a folder that cannot be written SQLite cannot make the -shm file that readers of a live database share.
        return connect_reading(path)
    return connection


def connect_writing(path: Path) -> sqlite3.Connection:
    """Open for reading and writing, in autocommit mode; every commit is flushed to the disk before it returns.

    Raises:
        sqlite3.Error: it cannot be opened or written.
    """
    connection = _connect(path, "mode=rw")
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -32768")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    for beside in (write_ahead_log(path), path.with_name(path.name + "-shm")):
        with contextlib.suppress(OSError):  # it is not there, or SQLite will say what it is
            if stat.S_ISFIFO(beside.stat().st_mode):
                raise _of_a_pipe(beside)
    return sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,  # the users of the connection hold a lock, or are one thread
    )


def _of_a_pipe(path: Path) -> sqlite3.OperationalError:
    """Return the error of a file that SQLite would open, and wait for ever for somebody at the other end."""
    error = sqlite3.OperationalError(f"{path.name} is a pipe")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    return error


def missing_columns(connection: sqlite3.Connection) -> list[str]:
    """Return the definitions of columns that a ledger lacks because an earlier version of the program made it.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    there = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('document')")}
    return [definition for definition in _LATER_COLUMNS if definition.partition(" ")[0] not in there]


def inspect(path: Path, *, site: str | None = None, site_name: str = "", live: bool) -> None:
    """Check, reading only, that the file is a sound ledger of this version and of this site (None for any).

    Args:
        path: the ledger.
        site: specification of the site.
        site_name: as its recipe names itself.
        live: somebody else may be writing; then SQLite's own check is left out, and the sharing file may be made.

    Raises:
        LedgerError: one of its kinds; what was found, in one sentence.
    """
    try:
        _check_place(path)
        _check_header(path)
        with contextlib.closing(connect_following(path) if live else connect_reading(path)) as connection:
            _check_identity(connection, path)
            if not live and path.stat().st_size <= CHECKED_LIMIT:
                trouble = next(problems(connection, "quick_check"), None)
                if trouble is not None:
                    raise LedgerDamagedError(
                        f"the ledger {path} is damaged: {trouble}; put a copy back, or start in a new directory"
                    )
            found, found_name = connection.execute("SELECT site, site_name FROM meta").fetchone()
    except SQL_TROUBLE as error:
        raise trouble_with(path, error) from error
    except OSError as error:
        raise LedgerUnwritableError(f"the ledger {path} cannot be read: {error.strerror}") from error
    # A recipe that was moved is still the same site, as long as it goes by its name.
    if site is not None and site != found and not (site_name and site_name == found_name):
        raise LedgerOfAnotherSiteError(
            f"{path.parent} belongs to a run against {str(found_name or 'a site')[:200]} ({str(found)[:1000]}), "
            f"and this is {site_name or 'another'} ({site}); give another --run-dir"
        )


def trouble_with(path: Path, error: Exception) -> LedgerError:
    """Return what it means that SQLite could not read the ledger."""
    # The rest of an extended code says more precisely which; what Python itself raises has none.
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNREADABLE:
        return LedgerUnwritableError(f"the ledger {path} cannot be read: {error}")
    return LedgerDamagedError(
        f"the ledger {path} is damaged ({error}); put a copy of it back, or start in a new run directory"
    )


def problems(connection: sqlite3.Connection, pragma: str) -> Iterator[str]:
    """Yield what SQLite's own check (``quick_check`` or ``integrity_check``) finds wrong.

    Raises:
        sqlite3.DatabaseError: the damage stops even the check.
    """
    for (line,) in connection.execute(f"PRAGMA {pragma}(5)"):
        if line != "ok":
            yield " ".join(str(line).split())


def _check_place(path: Path) -> None:
    if path.is_symlink():
        # SQLite would follow the link, and keep its log beside the other end of it.
        raise LedgerDamagedError(f"{path} is a link, and the ledger itself has to be there")
    if not path.exists():
        raise LedgerMissingError(f"there is no ledger at {path}")
    if not path.is_file():
        raise LedgerDamagedError(f"{path} is not a file")


def _check_header(path: Path) -> None:
    """Look at the 100 bytes that SQLite documents (sqlite.org/fileformat2.html), before SQLite does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_HEADER_SIZE)
    if len(header) < _HEADER_SIZE or not header.startswith(_MAGIC):
        raise LedgerDamagedError(f"{path} is no ledger or a damaged one ({size} bytes, no SQLite header)")
    (page_size,) = struct.unpack(">H", header[16:18])
    changed, pages = struct.unpack(">II", header[24:32])
    (valid_for,) = struct.unpack(">I", header[92:96])
    expected = pages * (65_536 if page_size == 1 else page_size)
    if changed == valid_for and size < expected and not write_ahead_log(path).exists():
        raise LedgerDamagedError(f"the ledger {path} is truncated: {size} of {expected} bytes are there")


def _check_identity(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if application != APPLICATION_ID or "meta" not in tables:
        raise LedgerForeignError(f"{path} is a database of something else; give another --run-dir")
    row = connection.execute("SELECT schema_version FROM meta").fetchone()
    version = row[0] if row else None
    if not isinstance(version, int) or version < 1:
        raise LedgerDamagedError(f"the ledger {path} is damaged: it does not say which version of the program wrote it")
    if version > SCHEMA_VERSION:
        raise LedgerTooNewError(
            f"{path.parent} was written by a newer version of nightfleet (ledger version {version}, "
            f"this one reads {SCHEMA_VERSION}); use that version"
        )
    missing = sorted(_parts() - set(connection.execute(_PARTS)))
    if missing:
        raise LedgerDamagedError(
            f"the ledger {path} is damaged: there is no {' '.join(missing[0])} in it; put a copy of it back, "
            "or start in a new run directory"
        )
    # Compiled, and not carried out: a trigger's text is read only when there is something to change.
    for change in ("UPDATE reference SET state = state", "DELETE FROM reference"):
        connection.execute(f"EXPLAIN {change}").fetchall()


@functools.cache
def _parts() -> frozenset[tuple[str, str]]:
    """Return the tables, columns, indexes and triggers that every ledger has, as `_PARTS` lists them."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        there = frozenset(connection.execute(_PARTS))
    later = {("column", f"document.{definition.partition(' ')[0]}") for definition in _LATER_COLUMNS}
    return there - later
