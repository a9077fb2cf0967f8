"""What may have happened to a run directory: by a disk, by a person, by another program. Each one is one value."""

import json
import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

PAGE = 4096
LEDGER = "ledger.db"
DEEP = "[" * 100_000
_TABLES = {
    "meta": ("id", "schema_version", "site", "site_name", "run_id", "created_at"),
    "run": ("id", "started_at", "ended_at", "pid", "host", "workers", "exit_code", "reason"),
    "reference": (
        *("id", "ref", "folder", "state", "attempts", "crashes", "worker", "attempt", "error_kind", "error_message"),
        *("started_at", "finished_at", "retry_at"),
    ),
    "attempt": (
        *("id", "reference_id", "number", "slot", "incarnation", "started_at", "ended_at", "outcome", "kind"),
        *("message", "url", "status", "steps"),
    ),
    "document": ("reference_id", "name", "attempt", "url", "bytes", "sha256", "pages", "format", "protected"),
    "incident": ("id", "at", "what", "detail", "slot", "reference_id", "attempt"),
    "total": ("state", "count"),
}
_VALUES: tuple[Any, ...] = (
    *(None, -1, 0, 1, 2, 2**31, 2**62, -(2**63), 3.5, 1e308, float("inf")),
    *("", "nonsense", "completed", "failed", "in_progress", "running", "../../outside", "..", "a/b", "A-1", "\0", "\n"),
    *("x" * 100_000, "\x1b[2J", "2026-99-99T00:00:00Z", "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
    *("2026-11-24T22:10:59", "[]", "{", '[{"name": 3}]', DEEP, "9" * 400, b"", b"\xff\xfe\x00"),
)
_STATEMENTS = (
    *(f"DROP TABLE {table}" for table in _TABLES),
    *(f"DELETE FROM {table}" for table in _TABLES),  # noqa: S608 - names from above
    *(f"ALTER TABLE {table} RENAME TO other" for table in _TABLES),
    "ALTER TABLE reference DROP COLUMN crashes",
    "ALTER TABLE incident DROP COLUMN detail",
    "ALTER TABLE document DROP COLUMN format",
    "ALTER TABLE attempt ADD COLUMN mood TEXT",
    "DROP TRIGGER total_moved",
    "DROP INDEX one_live_attempt",
    "DROP TABLE total; CREATE VIEW total AS SELECT state, count(*) AS count FROM reference GROUP BY state",
    "UPDATE meta SET schema_version = 2",
    "UPDATE meta SET schema_version = 0",
    "PRAGMA application_id = 7",
    "PRAGMA user_version = 99",
    "PRAGMA auto_vacuum = FULL; VACUUM",
    "PRAGMA page_size = 512; PRAGMA journal_mode = DELETE; VACUUM",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA encoding = 'UTF-16'",
    "UPDATE total SET count = count + 5",
    "UPDATE total SET count = 0",
    "DELETE FROM total WHERE state = 'completed'",
    "INSERT INTO total VALUES ('mislaid', 3)",
    "DELETE FROM document WHERE reference_id = 1",
    "UPDATE reference SET state = 'completed'",
    "UPDATE reference SET state = 'in_progress'",
    "UPDATE reference SET state = 'pending'",
    "UPDATE reference SET folder = folder || '/..'",
    "UPDATE reference SET attempt = attempt + 1000",
    "UPDATE attempt SET reference_id = reference_id + 1000",
    "UPDATE attempt SET outcome = 'running' WHERE id = 3",
    "UPDATE document SET reference_id = reference_id + 1000",
    "UPDATE document SET name = '../' || name",
    "UPDATE document SET bytes = bytes + 1",
    "UPDATE document SET bytes = 0 - bytes",
    "UPDATE document SET sha256 = 'none'",
)
_JSON_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, 10**400, -0.0, float("nan"), "", "x" * 5000, "\ud800", "../../../outside/kept.txt"),
    *([], {}, [[]], {"name": {}}, "finished", "running"),
)
_TEXTS = (b"", b"null", b"[]", b"{}", b'"', DEEP.encode(), b"\xff\xfe\x00", b'{"a": ' * 5000, b"\0" * 5000, b"9" * 5000)


class Damage(msgspec.Struct, frozen=True, tag=True):
    """Something that was done to a run directory."""

    def inflict(self, root: Path, outside: Path) -> None:
        """Do it. What it needs may be gone by earlier damage: then nothing is done."""
        raise NotImplementedError


class OfPlace(Damage, frozen=True):
    """It befalls one file or folder."""

    place: str

    def inflict(self, root: Path, outside: Path) -> None:
        path = root / self.place
        if os.path.lexists(path) and not any(above.is_symlink() for above in path.parents if above != root.parent):
            self.befall(path, outside)

    def befall(self, path: Path, outside: Path) -> None:
        raise NotImplementedError


class Gone(OfPlace, frozen=True):
    """Removed."""

    def befall(self, path: Path, outside: Path) -> None:
        _remove(path)


class Closed(OfPlace, frozen=True):
    """Nobody may read or write it, or only read."""

    mode: int

    def befall(self, path: Path, outside: Path) -> None:
        if not path.is_symlink():
            path.chmod(self.mode)


class Truncated(OfPlace, frozen=True):
    """Cut to a share of its size."""

    share: float

    def befall(self, path: Path, outside: Path) -> None:
        if _is_file(path):
            os.truncate(path, int(path.stat().st_size * self.share))


class Flipped(OfPlace, frozen=True):
    """One bit of a byte is another."""

    at: float
    bit: int

    def befall(self, path: Path, outside: Path) -> None:
        if _is_file(path) and (content := bytearray(path.read_bytes())):
            content[int(len(content) * self.at)] ^= 1 << self.bit
            path.write_bytes(content)


class Filled(OfPlace, frozen=True):
    """Something else is in the file."""

    content: bytes

    def befall(self, path: Path, outside: Path) -> None:
        if _is_file(path):
            path.write_bytes(self.content)


class Swapped(OfPlace, frozen=True):
    """In its place is something of another sort."""

    for_what: str
    """``file``, ``folder``, ``full folder``, ``dangling``, ``out file``, ``out folder``, ``loop``, ``pipe``."""

    def befall(self, path: Path, outside: Path) -> None:
        _remove(path)
        match self.for_what:
            case "file":
                path.write_bytes(b"a file")
            case "folder":
                path.mkdir()
            case "full folder":
                (path / "something").mkdir(parents=True)
                (path / "something" / "file").write_bytes(b"x")
            case "dangling":
                path.symlink_to(path.parent / "nowhere")
            case "out file":
                path.symlink_to(outside / "kept.txt")
            case "out folder":
                path.symlink_to(outside / "folder")
            case "loop":
                path.symlink_to(path.name)
            case _:
                os.mkfifo(path)


class Doubled(OfPlace, frozen=True):
    """There is a copy of it under another name."""

    name: str
    move: bool
    """It is only there."""

    def befall(self, path: Path, outside: Path) -> None:
        other = path.with_name(self.name.replace("*", path.name))
        if os.path.lexists(other):
            return
        if self.move:
            path.rename(other)
        elif path.is_dir() and not path.is_symlink():
            shutil.copytree(path, other, symlinks=True)
        elif _is_file(path):
            shutil.copyfile(path, other)


class Page(Damage, frozen=True):
    """Bytes of the ledger or its log are others: at the beginning of a page are the headers of its b-trees."""

    file: str
    page: int
    offset: int
    content: bytes

    def inflict(self, root: Path, outside: Path) -> None:
        path = root / self.file
        if not _is_file(path) or (size := path.stat().st_size) == 0:
            return
        with path.open("r+b") as file:
            file.seek(min(self.page % (size // PAGE + 1) * PAGE + self.offset, size - 1))
            file.write(self.content[: size - file.tell()])


class Row(Damage, frozen=True):
    """A value of a row of the ledger, or of all where `row` is below 0, is another."""

    table: str
    column: str
    row: int
    value: int
    """Its place among the values that are tried."""

    def inflict(self, root: Path, outside: Path) -> None:
        key = _KEYS[self.table]
        which = f"SELECT {key} FROM {self.table} ORDER BY {key} LIMIT 1 OFFSET {max(self.row, 0)}"  # noqa: S608 - from here
        where = f"{self.row} < 0 OR {key} IN ({which})"
        _execute(root, f"UPDATE {self.table} SET {self.column} = ? WHERE {where}", (_VALUES[self.value],))  # noqa: S608 - as above


class Schema(Damage, frozen=True):
    """Its tables or many rows are others."""

    statement: str

    def inflict(self, root: Path, outside: Path) -> None:
        for statement in self.statement.split("; "):
            _execute(root, statement)


class Json(OfPlace, frozen=True):
    """A value in a JSON file is another, or is not there."""

    way: tuple[int, ...]
    """Which of the entries, level by level."""
    value: int

    def befall(self, path: Path, outside: Path) -> None:
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return
        parent, key, here = None, None, content
        for step in self.way:
            keys: Sequence[Any] = (
                list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
            )
            if not keys:
                break
            parent, key = here, keys[step % len(keys)]
            here = parent[key]
        if parent is None:
            return
        if self.value < len(_JSON_VALUES):
            parent[key] = _JSON_VALUES[self.value]
        else:
            del parent[key]
        path.write_text(json.dumps(content))


def row(table: str, column: str, number: int, value: str) -> Row:
    """Return the damage that puts one of `_VALUES` into a column of the row with this number."""
    return Row(table, column, number, _VALUES.index(value))


_KEYS = dict.fromkeys(_TABLES, "rowid") | {"document": "name", "total": "state"}


def _execute(root: Path, sql: str, values: tuple[Any, ...] = ()) -> None:
    """Do it as somebody with another SQLite would, as far as the database takes it."""
    path = root / LEDGER
    if not _is_file(path):
        return
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("DROP TRIGGER IF EXISTS nobody")
        connection.execute(sql, values)
    except (sqlite3.Error, OverflowError):
        return  # unique or not null, or earlier damage: the database does not take it
    finally:
        connection.close()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def damages(places: Sequence[str]) -> st.SearchStrategy[Damage]:
    """Return what may befall a run directory with these files and folders."""
    place = st.sampled_from(places)
    ledger = st.sampled_from([one for one in places if one.startswith(LEDGER)])
    documents = st.sampled_from([one for one in places if one.startswith("documents")])
    somewhere = st.one_of(place, ledger, documents)
    jsons = st.sampled_from([one for one in places if one.endswith((".json", "/lock"))])
    tables = st.sampled_from([(table, column) for table, columns in _TABLES.items() for column in columns])
    share = st.floats(0, 1, exclude_max=True)
    content = st.one_of(st.sampled_from(_TEXTS), st.binary(max_size=200))
    sorts = ["file", "folder", "full folder", "dangling", "out file", "out folder", "loop", "pipe"]
    names = [
        "*.bak",
        "*~",
        ".*.1-1.new",
        "*-copy",
        "nobody",
        "*.new",
        "b\udcff",
        "\x1b[2J",
        "1",
        "999",
        "x" * 255,
        ".*",
    ]
    return st.one_of(
        st.builds(Gone, somewhere),
        st.builds(Closed, somewhere, st.sampled_from([0, 0o444, 0o555, 0o300])),
        st.builds(Truncated, somewhere, share),
        st.builds(Flipped, somewhere, share, st.integers(0, 7)),
        st.builds(Filled, somewhere, content),
        st.builds(Swapped, somewhere, st.sampled_from(sorts)),
        st.builds(Doubled, somewhere, st.sampled_from(names), st.booleans()),
        st.builds(Page, ledger, st.integers(0, 30), st.integers(0, 110), st.binary(min_size=1, max_size=24)),
        st.builds(Page, ledger, st.integers(0, 30), st.integers(0, PAGE), st.binary(min_size=1, max_size=400)),
        st.builds(
            lambda where, number, value: Row(where[0], where[1], number, value),
            tables,
            st.integers(-1, 8),
            st.integers(0, len(_VALUES) - 1),
        ),
        st.builds(Schema, st.sampled_from(_STATEMENTS)),
        st.builds(
            Json,
            jsons,
            st.lists(st.integers(0, 12), min_size=1, max_size=4).map(tuple),
            st.integers(0, len(_JSON_VALUES)),
        ),
    )
