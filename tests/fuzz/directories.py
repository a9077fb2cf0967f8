"""Run directories by the real store, as a night leaves them: one that has ended, and one that was cut off."""

import shutil
from pathlib import Path

import msgspec

from supervisor.core.records import Entry, Incident
from supervisor.shell import login_memory, sweep
from supervisor.shell.ledger_schema import write_ahead_log
from supervisor.shell.trees import Tree
from supervisor.views.report import write_report
from supervisor.views.status import write_status
from supervisor.views.tracking import write_tracking
from tests.shell.stores import WALL, Store, pdf
from tests.views.snapshots import busy, run_view
from worker.protocol import Kind

REFS = ("A-1", "b/2", "C", "F", "W", "P")
TRUTH = {
    "A-1": {"invoice.pdf": pdf("invoice of A"), "title.pdf": pdf("title of A", 5_000)},
    "b/2": {"inspection.pdf": pdf("inspection of b")},
    "C": {"invoice.pdf": pdf("invoice of C, new")},
    "W": {"invoice.pdf": pdf("invoice of W")},
    "P": {"invoice.pdf": pdf("invoice of P")},
}
"""The documents of each reference that the runs complete, sooner or later."""
FORMER = pdf("invoice of C, old")
DAY = 86_400.0


class Base(msgspec.Struct, frozen=True):
    """A run directory to copy and damage."""

    path: Path
    places: tuple[str, ...]
    """Everything in it, files and folders, relative to it."""

    def copy(self, target: Path) -> Path:
        """Return a copy of it, links and times as they are."""
        shutil.copytree(self.path, target, symlinks=True)
        return target


def finished(path: Path) -> Base:
    """Make a night that has ended: four references completed, one of them with former documents, and one failed."""
    store = _night(path)
    entries = {entry.ref: entry for entry in store.ledger.backlog(WALL).entries}
    store.complete(entries["W"], 20, TRUTH["W"])
    store.start(entries["P"], 21)
    store.fail(entries["P"], 21, retry_in=None, kind=Kind.NOT_FOUND)
    store.discard(entries["P"], 21, kind="not_found")
    store.ledger.end_run(1, "2 references failed for good", WALL + 60)
    store.close()
    _views(path)
    return _base(path)


def cut_off(path: Path) -> Base:
    """Make a night whose supervisor was killed: W waits, b/2 is being done again, P has documents without a row.

    The write-ahead log holds what was written last, as after a power cut.
    """
    beginning = path.with_name(f"{path.name}-before")
    store = _night(beginning)
    _views(beginning)
    entries = {entry.ref: entry for entry in store.ledger.backlog(WALL).entries}
    store.start(entries["W"], 20)
    store.fail(entries["W"], 20, retry_in=30.0, kind=Kind.NETWORK)
    store.discard(entries["W"], 20, kind="network")
    store.start(entries["P"], 21)
    store.publish(entries["P"], 21, store.stage(21, TRUTH["P"]))
    (again,) = store.ledger.import_references(["b/2"], done_before=WALL + DAY).entries
    store.start(again, 22)
    store.stage(22, {"inspection.pdf": b"%PDF-1.7 half"})
    store.run.evidence(22).mkdir()
    (store.run.evidence(22) / "error.txt").write_text("step: open the vehicle")
    store.stage(19, {"of-nobody.pdf": b"%PDF-"})
    aside = store.run.replaced / "22-C"
    aside.parent.mkdir(exist_ok=True)
    (store.run.documents / "C").rename(aside)
    assert write_ahead_log(store.run.ledger).stat().st_size > 0
    shutil.copytree(beginning, path)  # while the ledger is open: nobody had the time to close it
    store.close()
    shutil.rmtree(beginning)
    return _base(path)


def _night(path: Path) -> Store:
    store = Store(path)
    store.ledger.begin_run(4_000_000, 2, WALL)
    first: dict[str, Entry] = {entry.ref: entry for entry in store.ledger.import_references(REFS).entries}
    store.ledger.apply([Incident("logged_in", "worker 1 has logged in", slot=1)], WALL)
    store.complete(first["C"], 1, {"invoice.pdf": FORMER})
    (again,) = store.ledger.import_references(["C"], done_before=WALL + DAY).entries
    store.complete(again, 2, TRUTH["C"])
    store.complete(first["A-1"], 3, TRUTH["A-1"])
    store.complete(first["b/2"], 4, TRUTH["b/2"])
    for number, attempt in enumerate((5, 6), start=1):
        store.start(first["F"], attempt, number=number)
        store.run.evidence(attempt).mkdir(parents=True)
        (store.run.evidence(attempt) / "screenshot.png").write_bytes(b"png")
        (store.run.evidence(attempt) / "page.html").write_text("<html>no such page</html>")
        store.fail(first["F"], attempt, retry_in=0.0 if number == 1 else None, kind=Kind.SERVER_ERROR)
        store.discard(first["F"], attempt, number=number, kind="server_error")
    store.ledger.apply([Incident("killed", "it was stuck", slot=1, ref_id=first["F"].ref_id, attempt=6)], WALL)
    (store.run.failures / "_login" / "attempt-1").mkdir(parents=True)
    (store.run.failures / "_login" / "attempt-1" / "error.txt").write_text("attempt 1 (number 1): network: no answer\n")
    (path / "inventory.csv").write_text("Stock No\n" + "\n".join(REFS))
    _logs(store)
    login_memory.remember(store.run, login_memory.credentials(store.run, "lot", (), {}))
    sweep.record(store.run.processes, [Tree(f"{store.ledger.run_id}.1-2.w1.1", 2**30, 7)], (2**30 + 1, 7))
    store.run.lock().release()
    return store


def _logs(store: Store) -> None:
    head = "2026-11-24T22:10:59.123Z INFO"
    (store.run.logs / "supervisor.log").write_text(
        f"{head} supervisor worker=1 ref=A-1 attempt=3 handed out\n"
        f'{{"time": "2026-11-24T22:11:00.000Z", "level": "ERROR", "worker": 1, "ref": "F", "message": "stuck"}}\n'
    )
    (store.run.logs / "worker-1.log").write_text(
        f"{head} worker=1 ref=A-1 attempt=3 open the vehicle\nTraceback\n  x\n"
    )


def _views(path: Path) -> None:
    write_tracking(path)
    write_report(path)
    write_status(path / "status.json", msgspec.structs.replace(busy(), run=run_view(state="finished", exit_code=1)))


def _base(path: Path) -> Base:
    return Base(path, tuple(sorted(str(place.relative_to(path)) for place in path.rglob("*"))))
