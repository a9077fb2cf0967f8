"""A process that publishes and records is killed at every system call that changes something, in turn.

The kernel stops the child at each call, those within SQLite's commits as well (`system_calls`); it is killed before the
call, or when half of a write is done. What a restart makes of the directory is then checked. A power cut at the same
places leaves less: what had been flushed (`power`).
"""

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from supervisor.core.events import Published
from supervisor.core.records import Entry
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.manifest import condition
from supervisor.shell.reconcile import reconcile
from supervisor.shell.verify import listed_as, verify
from supervisor.views.tracking import write_tracking
from tests.shell.power import Disk, Kind
from tests.shell.stores import WALL, Store, pdf
from tests.shell.system_calls import Call, carry_out, needs_tracing

pytestmark = needs_tracing
REFS = ("A", "b/1", "C", "D")


def calls_of(work: Callable[[Path], None], path: Path) -> list[Call]:
    """Do some work in a child; return the calls that changed something."""
    calls: list[Call] = []
    ending = carry_out(lambda: work(path), path.parent, lambda _, call: calls.append(call))
    assert ending.code == 0, ending
    return calls


def die_in(work: Callable[[Path], None], path: Path, deadly: int, how: str = "kill") -> None:
    """Do some work in a child that dies at the given call."""
    ending = carry_out(lambda: work(path), path.parent, lambda number, _: how if number == deadly else None)
    assert ending.code == -signal.SIGKILL, ending


def chosen(calls: list[Call], one_in: int) -> list[int]:
    """Return numbers of calls: all that are not the ledger's own, and one in so many of those."""
    return [n for n, call in enumerate(calls, 1) if n % one_in == 0 or not call.path.name.startswith("ledger.db-")]


_TOLD = "told-"
"""A file so named is made as soon as somebody may be told that the reference is completed."""


def _told(calls: list[Call]) -> set[str]:
    """Return the references of which people were told that they are completed when these calls had been made."""
    return {unquote(call.path.name.removeprefix(_TOLD)) for call in calls if call.path.name.startswith(_TOLD)}


def _files(ref: str, version: str) -> dict[str, bytes]:
    return {"invoice.pdf": pdf(f"invoice of {ref} {version}"), "title.pdf": pdf(f"title of {ref}")}


def _prepare(path: Path) -> None:
    """Make a run in which C was completed in an earlier night, and is done once more."""
    store = Store(path)
    entries = store.ledger.import_references(REFS).entries
    store.complete(entries[2], 1, _files("C", "old"))
    # Its rows stay, as on the next night: the former documents are known and in place.
    store.ledger._connection.execute("UPDATE reference SET state = 'pending' WHERE ref = 'C'")
    store.close()


def _night(path: Path) -> None:
    """Bring every reference home, as the supervisor does: count, publish, record; D fails once before."""
    store = Store(path)
    reconcile(store.run, store.ledger, WALL)
    backlog = store.ledger.backlog(WALL)
    attempt = backlog.next_attempt
    for entry in backlog.entries:
        store.start(entry, attempt, number=entry.attempts + 1)
        if entry.ref == "D" and entry.attempts == 0:
            _fail(store, entry, attempt)
            attempt += 1
            store.start(entry, attempt, number=2)
        documents = store.stage(attempt, _files(entry.ref, "new"))
        answer = store.publish(entry, attempt, documents, number=entry.attempts + 1)
        assert isinstance(answer, Published), answer
        store.succeed(entry, attempt, documents)
        path.with_name(_TOLD + quote(entry.ref, safe="")).write_bytes(b"")
        attempt += 1
    write_tracking(path)
    store.close()


def _fail(store: Store, entry: Entry, attempt: int) -> None:
    store.run.evidence(attempt).mkdir(parents=True)
    (store.run.evidence(attempt) / "screenshot.png").write_bytes(b"png")
    store.fail(entry, attempt)
    store.discard(entry, attempt)


def _restart(path: Path) -> None:
    """Do what every start does before its first attempt."""
    store = Store(path)
    reconcile(store.run, store.ledger, WALL)
    store.ledger.backlog(WALL)
    store.close()


def _check(path: Path, done_before: set[str]) -> set[str]:
    """Check what a restart found after a crash; return the references that are completed."""
    store = Store(path)
    with LedgerReader(store.run.ledger) as reader:
        assert reader.totals() == reader.counted()
        assert reader.totals().total == len(REFS), "nothing is lost"
        assert reader.totals().in_progress == 0
        rows = list(reader.with_documents())
    completed = set()
    for row, documents in rows:
        folder = store.run.documents / row.folder
        if row.state == "completed":
            completed.add(row.ref)
            assert condition(folder, [listed_as(document) for document in documents]).sound, "completed means verified"
        else:
            assert row.state == "pending"
            assert not folder.exists() or row.ref == "C", "what is not completed is not in place"
    assert done_before <= completed, "nothing completed is done again"
    former = [file.read_bytes() for file in store.run.path.rglob("*.pdf")]
    assert _files("C", "old")["invoice.pdf"] in former, "former documents are never lost"
    assert list(store.run.staging_root.iterdir()) == []
    assert not store.run.replaced.exists() or list(store.run.replaced.iterdir()) == []
    store.close()
    return completed


def _finish(path: Path) -> None:
    """The same command again brings the rest home, and every byte is right."""
    _night(path)
    store = Store(path)
    with LedgerReader(store.run.ledger) as reader:
        rows = list(reader.references())
    store.close()
    assert [row.state for row in rows] == ["completed"] * len(REFS)
    # At most the attempt in flight is repeated: one more than the reference would have had.
    assert all(row.attempts <= 2 + (row.ref == "D") + (row.ref == "C") for row in rows)
    for row in rows:
        for name, content in _files(row.ref, "new").items():
            assert (path / "documents" / row.folder / name).read_bytes() == content
    assert verify(store.run).findings == ()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory where there is one: thousands of flushes would take minutes on a disk."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def prepared(memory: Path) -> Path:
    path = memory / "prepared"
    _prepare(path)
    return path


def _copy(prepared: Path, name: str) -> Path:
    return Path(shutil.copytree(prepared, prepared.parent / name))


def crash_everywhere(prepared: Path, one_in: int) -> int:
    """Kill, and tear, a night at its calls; return at how many places."""
    calls = calls_of(_night, _copy(prepared, "whole"))
    assert len(calls) > 200
    places = 0
    for how in ("kill", "tear"):
        done: set[str] = set()
        for deadly in chosen(calls, one_in):
            if how == "tear" and len(calls[deadly - 1].data) < 2:
                continue
            path = _copy(prepared, f"{how}-{deadly}")
            die_in(_night, path, deadly, how)
            _restart(path)
            # A later crash finds at least as much done: what was completed before it stays so.
            done = _check(path, done | _told(calls[: deadly - 1]))
            _finish(path)
            shutil.rmtree(path)
            places += 1
    return places


def lose_power_everywhere(prepared: Path, kind: Kind, one_in: int) -> int:
    """Cut the power before each call of a night and look at what is left; return at how many places."""
    path = prepared.with_name("run") / "night"
    path.parent.mkdir()
    shutil.copytree(prepared, path)
    disk, calls = Disk(path.parent), calls_of(_night, path)
    done: set[str] = set()
    places = chosen(calls, one_in)
    for number, call in enumerate(calls, 1):
        if number in places:
            shutil.rmtree(path)
            disk.remains(path.parent, kind)
            _restart(path)
            done = _check(path, done | _told(calls[: number - 1]))
            _finish(path)
        disk.apply([call])
    return len(places)


def test_a_crash_at_every_call_leaves_a_consistent_state(prepared: Path) -> None:
    """Killed anywhere in publish and record: nothing is lost, nothing false is completed, and the next run finishes."""
    assert crash_everywhere(prepared, one_in=7) > 100


@pytest.mark.parametrize("kind", ["strict", "journalling"])
def test_a_power_cut_at_every_call_leaves_a_consistent_state(prepared: Path, kind: Kind) -> None:
    """Only what was flushed is there, with all names or with the flushed ones: the same holds."""
    assert lose_power_everywhere(prepared, kind, one_in=10) > 80


@pytest.mark.parametrize("kind", ["strict", "journalling"])
def test_a_program_that_does_not_flush_is_found_out(
    prepared: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power cuts can tell: without the flushing of documents and folders a promise breaks."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    with pytest.raises(AssertionError):
        lose_power_everywhere(prepared, kind, one_in=1000)


@pytest.mark.long
def test_a_crash_or_a_power_cut_at_every_call_of_the_database_leaves_a_consistent_state(prepared: Path) -> None:
    """The same, with every call that SQLite makes."""
    assert crash_everywhere(prepared, one_in=1) > 350
    for kind in ("strict", "journalling"):
        assert lose_power_everywhere(_copy(prepared, f"{kind}/prepared"), kind, one_in=1) > 200


def test_a_crash_in_the_midst_of_recovery_is_recovered_from(prepared: Path) -> None:
    """The restart itself is killed at any of its calls: the next one finds a consistent state all the same."""
    calls = calls_of(_night, _copy(prepared, "whole"))
    choice = random.Random(7)  # noqa: S311 - which crashes are combined
    for deadly in choice.sample(range(1, len(calls) + 1), 20):
        crashed = _copy(prepared, f"crashed-{deadly}")
        die_in(_night, crashed, deadly)
        calls_to_restart = len(calls_of(_restart, _copy(crashed, f"measured-{deadly}")))
        for again in choice.sample(range(1, calls_to_restart + 1), min(4, calls_to_restart)):
            path = _copy(crashed, f"twice-{deadly}-{again}")
            die_in(_restart, path, again)
            _restart(path)
            _check(path, set())
            _finish(path)
            shutil.rmtree(path)


def test_documents_are_flushed_before_they_are_in_place_and_recorded(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the calls: each file and their folder, the rename, the folder above, and only then the commit."""
    store = Store(prepared)
    entry = store.ledger.backlog(WALL).entries[0]
    store.start(entry, 2)
    documents = store.stage(2, _files("A", "new"))
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(descriptor: int) -> None:
        calls.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def note_rename(source: Path, target: Path) -> None:
        calls.append(f"{Path(source).name} -> {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    assert isinstance(store.publish(entry, 2, documents), Published)
    assert sorted(calls[:4]) == ["2", "invoice.pdf", "manifest.json", "title.pdf"]
    assert calls[4:] == ["2 -> A", "documents"]
    assert store.ledger._connection.execute("PRAGMA synchronous").fetchone() == (2,), "every commit is flushed"
    store.close()


def test_a_ledger_robbed_of_its_log_completes_nothing_falsely(prepared: Path) -> None:
    """Killed, and then its write-ahead log is deleted: documents of lost rows are set aside, not believed."""
    calls = calls_of(_night, _copy(prepared, "whole"))
    path = _copy(prepared, "robbed")
    die_in(_night, path, len(calls) * 2 // 3)
    for file in path.glob("ledger.db-*"):
        file.unlink()
    _restart(path)
    store = Store(path)
    assert list(store.run.quarantine.glob("*/*")) != []
    store.close()
    _check(path, set())
    _finish(path)


def test_the_making_of_a_run_can_be_cut_short_anywhere(memory: Path) -> None:
    """Killed while the directory, the ledger or the inventory is made: the same command makes it whole."""

    def make(path: Path) -> None:
        store = Store(path)
        store.ledger.import_references(REFS)
        store.close()

    def check(path: Path) -> None:
        make(path)
        with Ledger.open(path / "ledger.db") as ledger:
            assert [entry.ref for entry in ledger.backlog(WALL).entries] == list(REFS)

    (memory / "whole").mkdir()
    disk, calls = Disk(memory / "whole"), calls_of(make, memory / "whole" / "night")
    for deadly, call in enumerate(calls, 1):
        path = memory / str(deadly)
        die_in(make, path, deadly)
        check(path)
        for kind in ("strict", "journalling"):
            disk.remains(memory / f"{kind}-{deadly}", kind)
            check(memory / f"{kind}-{deadly}" / "night")
        disk.apply([call])
