"""A process that publishes and records is killed at every system call that changes something, in turn.

The calls are counted by wrapping those of `os` and SQLite in the child; at the k-th the child sends itself
SIGKILL, before the call or after it. What a restart makes of the directory is then checked. That the data of a call
that returned survives is the kernel's promise here; flushing against power loss is checked by the order of the calls.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.events import Published
from supervisor.core.records import Entry
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.manifest import condition
from supervisor.shell.reconcile import reconcile
from supervisor.shell.verify import listed_as, verify
from supervisor.views.tracking import write_tracking
from tests.shell.stores import WALL, Store, pdf

_CALLS = ("open", "write", "fsync", "rename", "replace", "unlink", "remove", "rmdir", "mkdir", "truncate", "pwrite")
_FORK = multiprocessing.get_context("fork")  # thousands of children that only touch files; spawn would take minutes
REFS = ("A", "b/1", "C", "D")


class _Counter:
    """Counts the calls that change something, and kills the process at one of them."""

    def __init__(self, deadly: int, *, after: bool) -> None:
        self.count = 0
        self._deadly = deadly
        self._after = after

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            deadly = self.count == self._deadly
            if deadly and not self._after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*arguments, **options)
            finally:
                if deadly:
                    os.kill(os.getpid(), signal.SIGKILL)

        return counted

    def install(self) -> None:
        for name in _CALLS:
            setattr(os, name, self.wrap(getattr(os, name)))
        counter = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                if sql.startswith(("INSERT", "UPDATE", "DELETE", "COMMIT")):
                    return counter.wrap(super().execute)(sql, *arguments)  # type: ignore[no-any-return] # as it is
                return super().execute(sql, *arguments)

        connect = sqlite3.connect
        sqlite3.connect = lambda *a, **o: connect(*a, **o, factory=Connection)  # type: ignore[assignment] # in a child


def _die_in(work: Callable[[Path], None], path: Path, deadly: int, *, after: bool = False) -> int:
    """Do some work in a child that dies at the given call; return the number of calls, 0 when it was killed."""
    receive, send = _FORK.Pipe(duplex=False)

    def child() -> None:
        counter = _Counter(deadly, after=after)
        counter.install()
        work(path)
        send.send(counter.count)

    process = _FORK.Process(target=child)
    process.start()
    send.close()
    try:
        return int(receive.recv())
    except EOFError:
        return 0
    finally:
        process.join()
        receive.close()
        assert process.exitcode in {0, -signal.SIGKILL}


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
    return Path(shutil.copytree(prepared, prepared.with_name(name)))


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_a_crash_at_every_call_leaves_a_consistent_state(prepared: Path, after: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Killed anywhere in publish and record: nothing is lost, nothing false is completed, and the next run finishes."""
    calls = _die_in(_night, _copy(prepared, "whole"), 0)
    assert calls > 100
    done: set[str] = set()
    for deadly in range(1, calls + 1):
        path = _copy(prepared, f"run-{deadly}")
        assert _die_in(_night, path, deadly, after=after) == 0
        _restart(path)
        # A later crash finds at least as much done: what was completed before it stays so.
        done = _check(path, done)
        _finish(path)
        shutil.rmtree(path)


def test_a_crash_in_the_midst_of_recovery_is_recovered_from(prepared: Path) -> None:
    """The restart itself is killed at any of its calls: the next one finds a consistent state all the same."""
    calls = _die_in(_night, _copy(prepared, "whole"), 0)
    choice = random.Random(7)  # noqa: S311 - which crashes are combined
    for deadly in choice.sample(range(1, calls + 1), 30):
        crashed = _copy(prepared, f"crashed-{deadly}")
        assert _die_in(_night, crashed, deadly) == 0
        calls_to_restart = _die_in(_restart, _copy(crashed, f"measured-{deadly}"), 0)
        for again in choice.sample(range(1, calls_to_restart + 1), min(4, calls_to_restart)):
            path = _copy(crashed, f"twice-{deadly}-{again}")
            assert _die_in(_restart, path, again) == 0
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
    calls = _die_in(_night, _copy(prepared, "whole"), 0)
    path = _copy(prepared, "robbed")
    assert _die_in(_night, path, calls * 2 // 3) == 0
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

    calls = _die_in(make, memory / "whole", 0)
    for deadly in range(1, calls + 1):
        path = memory / str(deadly)
        assert _die_in(make, path, deadly) == 0
        make(path)
        with Ledger.open(path / "ledger.db") as ledger:
            assert [entry.ref for entry in ledger.backlog(WALL).entries] == list(REFS)
