"""Whatever else changes a run directory is cut short at every system call: killed, without power, or with a full disk.

Each work is done to a night that has ended or to one that was cut off, and then once more, or a start follows: what
comes of it is what would have come without the interruption, and no document is lost on the way.
"""

import contextlib
import errno
import functools
import io
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from supervisor import cli
from supervisor.core.commands import LoadInventory, Withdraw
from supervisor.core.events import Published
from supervisor.core.records import SuccessDoubted
from supervisor.errors import UserError
from supervisor.shell import login_memory, sweep
from supervisor.shell.evidence_limits import EvidenceLimits
from supervisor.shell.inbox import Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.reconcile import Trouble, reconcile
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.store import Store as RealStore
from supervisor.shell.verify import repair, verify
from supervisor.views.report import write_report
from supervisor.views.status import read_status, write_status
from supervisor.views.tracking import write_tracking
from tests.fuzz import directories
from tests.shell.power import Disk, Kind
from tests.shell.stores import WALL, Store, pdf
from tests.shell.system_calls import Call, carry_out, needs_tracing
from tests.views.snapshots import busy
from worker.protocol import Kind as Failure

pytestmark = needs_tracing
LATER = WALL + 10 * directories.DAY


def recovery(path: Path) -> None:
    """What every start does before its first attempt."""
    store = Store(path, wall=LATER)
    reconcile(store.run, store.ledger, LATER)
    store.ledger.backlog(LATER)
    store.ledger.begin_run(4_000_000, 2, LATER)
    store.close()


class _Silent:
    """In place of a journal, which has a thread of its own."""

    def note(self, text: str, level: str = "INFO") -> None:
        pass


def refreshing(path: Path) -> None:
    """An export comes, with a reference that is new, and others that are done once more."""
    store = Store(path, wall=LATER)
    inbox, limits = Inbox(), EvidenceLimits(store.run, 9, 10**9)
    real = RealStore(store.run, store.ledger, inbox, cast("Journal", _Silent()), limits, done_before=LATER)
    folder = store.run.errand_staging(1)
    folder.mkdir(exist_ok=True)
    (folder / "export.csv").write_text("Stock No\n" + "\n".join((*directories.REFS, "new one")))
    real._load_inventory(LoadInventory(1, "export.csv", "Stock No", delimiter=",", encoding="utf-8"))
    inbox.close()
    store.close()


def retrying(path: Path) -> None:
    """The operator wants all failed references tried again."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = cli.main(["retry", str(path), "--failed"])
    assert "error of the program" not in said.getvalue()
    if code == 5:
        raise UserError("refused")


def repairing(path: Path) -> None:
    """A repair, of everything that can be repaired."""
    repair(RunDirectory(path), LATER)


def doubting(path: Path) -> None:
    """The last success does not count: first in the ledger, then its documents go; a reference is given up."""
    store = Store(path, wall=LATER)
    with LedgerReader(store.run.ledger) as reader:
        rows = {row.ref: row for row in reader.references()}
    if rows["W"].state == "completed":
        store.ledger.apply([SuccessDoubted(rows["W"].attempt or 0, rows["W"].id)], LATER)
    store.publisher.withdraw(Withdraw(rows["W"].attempt or 0, rows["W"].id, "W"), LATER)
    (entry,) = (one for one in store.ledger.backlog(LATER).entries if one.ref == "W")
    store.start(entry, 99)
    store.run.evidence(99).mkdir(parents=True)
    (store.run.evidence(99) / "page.html").write_text("<html>")
    store.fail(entry, 99, retry_in=None, kind=Failure.NOT_FOUND)
    store.discard(entry, 99, kind="not_found")
    EvidenceLimits(store.run, 1, 10**9).added(store.run.failures / "W" / "attempt-1")
    store.close()


def publishing(path: Path) -> None:
    """Documents come: for a reference that had none, others for one that had some, the same for a third."""
    store = Store(path, wall=LATER)
    store.ledger.import_references(["C", "A-1", "P"], done_before=LATER)
    backlog = store.ledger.backlog(LATER)
    news = {"P": directories.TRUTH["P"], "C": {"invoice.pdf": pdf("invoice of C, newest")}}
    for attempt, entry in enumerate(backlog.entries, backlog.next_attempt):
        store.start(entry, attempt, number=entry.attempts + 1)
        documents = store.stage(attempt, {**directories.TRUTH, **news}[entry.ref])
        if isinstance(store.publish(entry, attempt, documents), Published):
            store.succeed(entry, attempt, documents)
        else:
            store.fail(entry, attempt, kind=Failure.DISK_FULL)
            store.discard(entry, attempt, kind="disk_full")
    store.close()


def telling(path: Path) -> None:
    """Everything that tells of a run is written anew."""
    run = RunDirectory(path)
    write_tracking(path)
    write_status(run.status, busy())
    write_report(path)
    login_memory.remember(run, login_memory.credentials(run, "lot", (), {}))
    sweep.record(run.processes, [], None)


class Work(NamedTuple):
    """Something that is cut short."""

    base: str
    do: Callable[[Path], None]
    damage: Callable[[Path], None] = lambda _: None
    again: bool = True
    """It is simply done once more; otherwise a start follows, which does not do the same."""


def spoil(path: Path) -> None:
    """Do what a careless hand does."""
    documents = path / "documents"
    (documents / "A-1" / "title.pdf").write_bytes(b"%PDF-1.7 something else")
    (documents / "W" / "more.pdf").write_bytes(pdf("more"))
    (documents / "nobody").mkdir()
    (documents / "nobody" / "x.pdf").write_bytes(pdf("x"))
    (documents / "C" / "manifest.json").unlink()
    (path / "tracking.json").write_bytes(b"{")


WORKS = {
    "recovery": Work("cut off", recovery),
    "refreshing": Work("finished", refreshing),
    "retrying": Work("finished", retrying),
    "repairing": Work("finished", repairing, spoil),
    "repairing what was cut off": Work("cut off", repairing),
    "doubting": Work("finished", doubting, again=False),
    "publishing": Work("finished", publishing, again=False),
    "telling": Work("finished", telling),
}


class Bench(NamedTuple):
    """A place for one work."""

    root: Path
    work: Work
    one_in: int
    """How many of the places are left out: all but one in so many."""

    def fresh(self) -> Path:
        """Return a fresh copy of the night, as the work finds it."""
        path = self.root / "work" / "night"
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir()
        shutil.copytree(self.root / self.work.base, path, symlinks=True)
        self.work.damage(path)
        return path

    def calls(self) -> list[Call]:
        """Return the calls of the whole work."""
        path, calls = self.fresh(), list[Call]()
        ending = carry_out(lambda: self.work.do(path), path.parent, lambda _, call: calls.append(call))
        assert ending.code == 0, ending
        return calls

    def undisturbed(self) -> tuple[set[bytes], object]:
        """Return the documents that the work finds, and what comes of it when nobody disturbs it."""
        path = self.fresh()
        documents = contents(path)
        self.work.do(path)
        return documents, outcome(path)

    def places(self, calls: list[Call]) -> list[int]:
        """Return numbers of calls: the first of each sort at each file, and few of those that repeat themselves."""
        seen: set[tuple[str, Path]] = set()
        chosen = []
        for number, call in enumerate(calls, 1):
            key = (call.name, call.path)
            if number % 23 == 0 or (key not in seen and not call.path.name.endswith("-shm")):
                chosen.append(number)
            seen.add(key)
        return chosen[:: self.one_in]

    def judge(self, path: Path, documents: set[bytes], expected: object) -> None:
        """Go on after the interruption, and compare."""
        if self.work.again:
            self.work.do(path)
            assert outcome(path) == expected
        else:
            recovery(path)
            assert {finding.kind for finding in verify(RunDirectory(path)).findings} <= {Trouble.TRACKING}
        assert documents <= contents(path), "no document is lost"


@pytest.fixture(
    params=[
        *(pytest.param((name, 6), id=name, marks=pytest.mark.excerpt) for name in WORKS if name != "telling"),
        *(pytest.param((name, 1), id=f"{name} at every place", marks=pytest.mark.long) for name in WORKS),
    ]
)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Give the work a place in memory where there is one: it is flushed thousands of times."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else tmp_path) as folder:
        name, one_in = request.param
        work = WORKS[name]
        (directories.finished if work.base == "finished" else directories.cut_off)(Path(folder) / work.base)
        yield Bench(Path(folder), work, one_in)


def contents(path: Path) -> set[bytes]:
    """Return the content of every document that there is, wherever it is."""
    return {file.read_bytes() for file in path.rglob("*.pdf") if ".nightfleet/staging" not in str(file)}


def outcome(path: Path) -> tuple[object, ...]:
    """Return what a run directory says and holds, without the times and places at which something was put aside."""
    with LedgerReader(path / "ledger.db") as reader:
        assert reader.totals() == reader.counted()
        rows = [
            (row.ref, row.state, row.attempts, [(one.name, one.sha256) for one in documents])
            for row, documents in reader.with_documents()
        ]
    places = ("documents", "failures", ".nightfleet/staging", ".nightfleet/replaced")
    files = {
        str(file.relative_to(path)): file.read_bytes()
        for place in places
        for file in (path / place).rglob("*")
        if file.is_file() and "_export" not in file.parts  # of each failed export there is evidence
    }
    findings = {finding.kind for finding in verify(RunDirectory(path)).findings} - {Trouble.TRACKING}
    aside = {file.read_bytes() for file in (path / ".nightfleet" / "quarantine").rglob("*.pdf")}
    status = read_status(path / "status.json")
    return rows, files, findings, aside, status, (path / "report.html").stat().st_size > 1000


def test_whatever_is_killed_goes_on_as_if_nothing_had_been(bench: Bench) -> None:
    """Before a call, or when half of it is done."""
    calls = bench.calls()
    documents, expected = bench.undisturbed()
    for deadly in bench.places(calls):
        how = "tear" if len(calls[deadly - 1].data) > 1 and deadly % 2 else "kill"
        path = bench.fresh()

        def fate(number: int, _: Call, deadly: int = deadly, how: str = how) -> str | None:
            return how if number == deadly else None

        ending = carry_out(functools.partial(bench.work.do, path), path.parent, fate)
        assert ending.code == -signal.SIGKILL, ending
        bench.judge(path, documents, expected)


@pytest.mark.parametrize("kind", ["strict", "journalling"])
def test_whatever_loses_power_goes_on_as_if_nothing_had_been(bench: Bench, kind: Kind) -> None:
    """What is left is what was flushed."""
    calls = bench.calls()
    documents, expected = bench.undisturbed()
    path = bench.fresh()
    disk, places = Disk(path.parent), bench.places(calls)
    for number, call in enumerate(calls, 1):
        if number in places:
            shutil.rmtree(path)
            disk.remains(path.parent, kind)
            bench.judge(path, documents, expected)
        disk.apply([call])


@pytest.mark.parametrize("forever", [False, True], ids=["once", "for good"])
def test_a_disk_that_refuses_is_told_and_what_was_there_is_there(bench: Bench, *, forever: bool) -> None:
    """No space, or an error: the work ends in a sentence or is done, and goes on when the disk is well again."""
    calls = bench.calls()
    documents, expected = bench.undisturbed()
    for first in bench.places(calls):
        path = bench.fresh()

        def fate(number: int, call: Call, first: int = first) -> int | None:
            if number < first or (number > first and not forever) or call.name in {"unlink", "rmdir"}:
                return None
            return errno.EIO if call.name in {"fsync", "fdatasync", "rename"} else errno.ENOSPC

        def work(path: Path = path) -> None:
            try:
                bench.work.do(path)
            except OSError as error:  # whoever calls a view or the sweep is ready for it
                raise UserError(str(error)) from error

        assert carry_out(work, path.parent, fate).code in {0, 3}
        bench.judge(path, documents, expected)
