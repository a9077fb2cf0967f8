"""The file of a ledger: damaged, foreign, of an earlier version, half gone, read where nothing can be written."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.errors import Exit
from supervisor.shell import ledger_schema
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_schema import (
    LedgerDamagedError,
    LedgerForeignError,
    LedgerMissingError,
    LedgerOfAnotherSiteError,
    LedgerTooNewError,
    LedgerUnwritableError,
    write_ahead_log,
)
from tests.shell.stores import WALL, Store
from worker.protocol import Document


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5000)


def cut_to_half_a_page(path: Path) -> None:
    os.truncate(path, 2048)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip_header(path: Path) -> None:
    overwrite(path, 3, b"\xff")


def flip_page_size(path: Path) -> None:
    overwrite(path, 16, b"\x00\x03")


def flip_schema(path: Path) -> None:
    overwrite(path, 100, b"\x00" * 400)


def flip_inside(path: Path) -> None:
    overwrite(path, 3 * 4096, os.urandom(4096))


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))


def text(path: Path) -> None:
    path.write_text("stock,price\n" * 5000)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    "damage",
    [truncate, cut_to_half_a_page, empty, flip_header, flip_page_size, flip_schema, flip_inside, garbage, text, folder],
)
def test_a_damaged_ledger_is_told_and_not_touched(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Every kind of damage is refused in one sentence that names the file, which stays as it is byte by byte."""
    store = Store(tmp_path / "run")
    store.ledger.import_references([f"A-{n}" for n in range(500)])
    store.close()
    path = store.run.ledger
    damage(path)
    before = path.read_bytes() if path.is_file() else b""
    beside = sorted(found.name for found in store.run.path.iterdir())
    with pytest.raises(LedgerDamagedError) as caught:
        Ledger.open(path, site="lot")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == Exit.MACHINE
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert sorted(found.name for found in store.run.path.iterdir()) == beside


def test_a_ledger_that_is_not_this_runs_is_refused(tmp_path: Path) -> None:
    """Another site's, a newer version's, another program's and a missing one: each has its own sentence."""
    path = tmp_path / "ledger.db"
    with pytest.raises(LedgerMissingError, match="there is no ledger"):
        Ledger.open(path)
    Ledger.create(path, site="/a/lot.py:Lot", site_name="lot", wall=WALL).close()
    with pytest.raises(LedgerOfAnotherSiteError, match=r"run against lot \(/a/lot.py:Lot\), and this is yard"):
        Ledger.open(path, site="/a/yard.py:Yard", site_name="yard")
    Ledger.open(path, site="/moved/lot.py:Lot", site_name="lot").close()
    Ledger.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
    with pytest.raises(LedgerTooNewError, match="newer version of nightfleet") as caught:
        Ledger.open(path, site="demo")
    assert caught.value.exit_code == Exit.USAGE
    foreign = tmp_path / "photos.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE photo (id)")
    for opening in (lambda: Ledger.open(foreign), lambda: LedgerReader(foreign)):
        with pytest.raises(LedgerForeignError, match="something else"):
            opening()


def test_a_ledger_of_an_earlier_version_is_read_as_it_is_and_completed_when_it_is_written_to(tmp_path: Path) -> None:
    """Columns that it lacks have their defaults; whoever only looks changes nothing."""
    store = Store(tmp_path / "run")
    (entry,) = store.ledger.import_references(["A"]).entries
    store.complete(entry, 1)
    for column in ("format", "protected"):
        store.ledger._connection.execute(f"ALTER TABLE document DROP COLUMN {column}")
    store.close()
    before = store.run.ledger.read_bytes()
    with LedgerReader(store.run.ledger) as reader:
        (document,) = reader.documents(entry.ref_id)
        assert (document.format, document.protected) == ("", False)
        assert [found for _, found in reader.with_documents()] == [[document]]
    assert store.run.ledger.read_bytes() == before
    again = Store(tmp_path / "run")
    (entry,) = again.ledger.import_references(["B"]).entries
    again.start(entry, 2)
    again.succeed(entry, 2, (Document("a.pdf", "", 1, "0" * 64, None, "pdf", protected=True),))
    with LedgerReader(store.run.ledger) as reader:
        (document,) = reader.documents(entry.ref_id)
        assert (document.format, document.protected) == ("pdf", True)
    again.close()


def test_a_missing_write_ahead_log_loses_only_what_was_in_it(tmp_path: Path) -> None:
    """The ledger of a killed supervisor opens with its log, and without it stands where it was before."""
    store = Store(tmp_path / "run")
    store.ledger.import_references(["A"])
    store.close()
    store = Store(tmp_path / "run")
    store.start(store.ledger.backlog(WALL).entries[0], 1)
    killed, robbed = tmp_path / "killed", tmp_path / "robbed"
    for copy in (killed, robbed):
        copy.mkdir()
        for file in store.run.path.glob("ledger.db*"):
            shutil.copy(file, copy / file.name)
    store.close()
    for file in robbed.glob("ledger.db-*"):
        file.unlink()
    with Ledger.open(killed / "ledger.db") as ledger:
        assert ledger.backlog(WALL).entries[0].attempts == 1
    with Ledger.open(robbed / "ledger.db") as ledger:
        assert ledger.backlog(WALL).entries[0].attempts == 0


def test_a_log_without_its_ledger_is_not_given_to_a_new_one(tmp_path: Path) -> None:
    """Where a ledger was deleted but its log was not, nothing new is begun: the log may hold what matters."""
    path = tmp_path / "ledger.db"
    write_ahead_log(path).write_bytes(b"what was recorded last")
    with pytest.raises(LedgerDamagedError, match="put the ledger back"):
        Ledger.create(path, site="lot", wall=WALL)
    assert not path.exists()


def test_a_ledger_appears_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its making is cut short there is no ledger, rather than an empty one; the next making is fine."""
    path = tmp_path / "ledger.db"

    def refuse(*_: object) -> None:
        raise OSError("cut short")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(LedgerUnwritableError, match="cut short"):
            Ledger.create(path, site="lot", wall=WALL)
    assert not path.exists()
    Ledger.create(path, site="lot", wall=WALL).close()


def test_a_finished_run_can_be_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run directory on a read-only disk is still a report: reading it makes no file."""
    store = Store(tmp_path / "run")
    store.ledger.import_references(["A"])
    store.close()
    real = ledger_schema._connect

    def connect(path: Path, mode: str) -> sqlite3.Connection:
        # What SQLite says where it may not make the file that the readers of a live database share.
        if "immutable" not in mode:
            raise sqlite3.OperationalError("unable to open database file")
        return real(path, mode)

    monkeypatch.setattr(ledger_schema, "_connect", connect)
    beside = sorted(store.run.path.iterdir())
    with LedgerReader(store.run.ledger) as reader:
        assert reader.totals().pending == 1
    assert sorted(store.run.path.iterdir()) == beside
    with pytest.raises(LedgerUnwritableError, match="cannot be written"):
        Ledger.open(store.run.ledger)
