"""What a worker names as its export is believed only when it is a file that this worker has brought."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from supervisor.core.commands import LoadInventory
from supervisor.core.events import InventoryLoaded, InventoryRejected
from supervisor.shell import store
from supervisor.shell.evidence_limits import EvidenceLimits
from supervisor.shell.inbox import Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.store import Store
from tests.shell.stores import WALL

Load = Callable[[str], object]


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    return directory


@pytest.fixture
def load(directory: RunDirectory) -> Iterator[Load]:
    """Load the export of errand 1 by this name; returns the event that comes of it."""
    log = directory.logs / "supervisor.log"
    with (
        Ledger.create(directory.ledger, site="lot", wall=WALL) as ledger,
        closing(Inbox()) as inbox,
        closing(Journal(log, as_json=False, rotation=10**6, retention=1)) as journal,
    ):
        files = Store(directory, ledger, inbox, journal, EvidenceLimits(directory, 10, 10**6))

        def load(name: str) -> object:
            command = LoadInventory(errand=1, file=name, column="Stock No", delimiter=",", encoding="utf-8", place="")
            files.load_inventory(command)
            files.close()
            (event,) = inbox.take()
            return event

        yield load


def test_an_export_that_was_brought_is_read_and_kept(directory: RunDirectory, load: Load) -> None:
    """Its references are in the ledger, the file is in the run directory, and staging is empty."""
    folder = directory.errand_staging(1)
    folder.mkdir()
    (folder / "stock.csv").write_text("Stock No\nA\nB\n")
    event = load("stock.csv")
    assert isinstance(event, InventoryLoaded)
    assert [entry.ref for entry in event.entries] == ["A", "B"]
    assert directory.inventory.read_text() == "Stock No\nA\nB\n"
    assert list(directory.staging_root.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../../../secret.csv", "..", ".", "", "missing.csv", "link.csv", "pipe", "folder", "a\0b", "x" * 5000]
)
def test_an_export_that_is_elsewhere_or_no_file_is_refused(
    directory: RunDirectory, load: Load, tmp_path: Path, name: str
) -> None:
    """A path out of its folder, a link, a pipe, a folder, no name at all: nothing of it is read or copied."""
    (tmp_path / "secret.csv").write_text("Stock No\nsecret\n")
    folder = directory.errand_staging(1)
    (folder / "folder").mkdir(parents=True)
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    os.mkfifo(folder / "pipe")
    event = load(name)
    assert event == InventoryRejected("the worker named a file that it did not bring")
    assert not directory.inventory.exists()


def test_a_folder_that_is_a_link_is_refused(directory: RunDirectory, load: Load, tmp_path: Path) -> None:
    """What lies at its other end was not brought either, and stays there."""
    (tmp_path / "stock.csv").write_text("Stock No\nA\n")
    directory.errand_staging(1).symlink_to(tmp_path)
    assert load("stock.csv") == InventoryRejected("the worker named a file that it did not bring")
    assert (tmp_path / "stock.csv").exists()
    assert not directory.inventory.exists()


def test_an_export_that_is_no_list_is_evidence_whatever_it_is_called(directory: RunDirectory, load: Load) -> None:
    """The site chooses the name of its file; the run is told why the export is refused, and nothing else happens."""
    folder = directory.errand_staging(1)
    folder.mkdir()
    (folder / "evidence").write_text("<html>not now</html>")
    event = load("evidence")
    assert isinstance(event, InventoryRejected)
    assert "web page" in event.reason
    assert not folder.exists()


def test_references_that_were_written_down_are_in_the_run_although_the_export_cannot_be_removed(
    directory: RunDirectory, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second export would find all of them known already, and the run would end with none."""

    def refuse(_: Path) -> None:
        raise OSError("the disk failed")

    monkeypatch.setattr(store, "remove_staging", refuse)
    directory.errand_staging(1).mkdir()
    (directory.errand_staging(1) / "stock.csv").write_text("Stock No\nA\nB\n")
    event = load("stock.csv")
    assert isinstance(event, InventoryLoaded)
    assert len(event.entries) == 2
