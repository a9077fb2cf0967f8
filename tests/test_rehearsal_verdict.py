"""The verdict of a rehearsal can be false in each of its points, and then names what it is about."""

import hashlib
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from supervisor import rehearsal
from supervisor.demo_site import Document, Truth, Vehicle
from supervisor.rehearsal_verdict import Chaos, Left, Sample, Verdict, judge
from supervisor.settings import Settings
from supervisor.shell import linux
from supervisor.views.tracking import write_tracking
from tests.end_to_end.harness import until
from tests.shell.stores import Store, pdf
from worker.protocol import Kind

REFS = ("A", "B", "C", "D")
DOCUMENTS = {"invoice.pdf": pdf("invoice"), "title.pdf": pdf("title")}


def _vehicle(*, permanent: bool = False) -> Vehicle:
    documents = [Document(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in DOCUMENTS.items()]
    return Vehicle(tuple(documents), permanent)


TRUTH = Truth({"A": _vehicle(), "B": _vehicle(), "C": _vehicle(), "D": _vehicle(permanent=True)})
CALM = tuple(Sample(life, 36_000_000, 25, 9_000_000) for life in (1, 2, 3) for _ in range(8))
CHAOS = Chaos(3, {"child killed": 4}, CALM, 60.0, ended=True)


class Run:
    """A finished run, in which D never came because the site never serves it, and what may be wrong with it."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.entries = {entry.ref: entry for entry in self.store.ledger.import_references(REFS).entries}
        self.places = {
            ref: self.store.complete(self.entries[ref], number, DOCUMENTS) for number, ref in enumerate("ABC", 1)
        }
        self.store.start(self.entries["D"], 4)
        self.store.fail(self.entries["D"], 4, kind=Kind.NOT_FOUND, retry_in=None)
        self.truth, self.chaos, self.left = TRUTH, CHAOS, Left()

    def sql(self, statement: str) -> None:
        """Change the ledger behind everybody's back."""
        with sqlite3.connect(self.store.run.ledger) as ledger:
            ledger.execute(statement)

    def judge(self, change: Callable[[bytes], bytes] = bytes) -> Verdict:
        write_tracking(self.store.run.path)
        tracking = self.store.run.tracking
        tracking.write_bytes(change(tracking.read_bytes()))
        return judge(self.store.run, self.truth, self.chaos, self.left)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run")


def test_a_clean_rehearsal_says_so_with_its_figures(run: Run) -> None:
    """What the site never serves may fail."""
    verdict = run.judge()
    assert verdict.clean, verdict.faults
    assert verdict.lines() == [
        "clean after 60 s",
        "  references      4: 3 completed, 1 failed for good, 0 of them though the site has the documents",
        "  lost 0, duplicated 0, wrong bytes 0",
        "  verify          0 findings",
        "  left behind     0 processes, 0 folders",
        "  flat            supervisor 36 MB, then 36 MB; descriptors 25, then 25; temporary files 9.0 MB, then 9.0 MB",
        "  supervisors     3",
        "  blows           child killed 4",
    ]


def _unfair(run: Run) -> Verdict:
    run.truth = Truth({**TRUTH.references, "D": _vehicle()})
    return run.judge()


def _lost(run: Run) -> Verdict:
    run.sql("UPDATE reference SET state = 'waiting' WHERE ref = 'D'")
    return run.judge()


def _not_there(run: Run) -> Verdict:
    run.truth = Truth({**TRUTH.references, "E": _vehicle()})
    return run.judge()


def _twice_in_tracking(run: Run) -> Verdict:
    def repeat(data: bytes) -> bytes:
        lines = data.splitlines()
        (own,) = [line for line in lines if line.startswith(b'{"ref":"B"')]
        return data.replace(own, own + b"\n" + own)

    return run.judge(repeat)


def _completed_twice(run: Run) -> Verdict:
    run.sql("UPDATE attempt SET reference_id = 2, outcome = 'succeeded', kind = NULL WHERE reference_id = 4")
    return run.judge()


def _other_bytes(run: Run) -> Verdict:
    (run.places["A"] / "title.pdf").write_bytes(DOCUMENTS["title.pdf"][:-1] + b"!")
    return run.judge()


def _half_of_them(run: Run) -> Verdict:
    (run.places["A"] / "title.pdf").unlink()
    return run.judge()


def _completed_though_never_served(run: Run) -> Verdict:
    run.sql("UPDATE reference SET state = 'completed', error_kind = NULL WHERE ref = 'D'")
    return run.judge()


def _invented(run: Run) -> Verdict:
    run.truth = Truth({ref: vehicle for ref, vehicle in TRUTH.references.items() if ref != "C"})
    return run.judge()


def _extra_folder(run: Run) -> Verdict:
    (run.store.run.documents / "nobody").mkdir()
    return run.judge()


def _no_ledger(run: Run) -> Verdict:
    verdict = run.judge()
    run.store.run.ledger.rename(run.store.run.path / "elsewhere")
    assert verdict.clean
    return judge(run.store.run, run.truth, run.chaos, run.left)


def _process(run: Run) -> Verdict:
    run.left = Left(processes=("browser 4711",))
    return run.judge()


def _folder(run: Run) -> Verdict:
    run.left = Left(folders=("playwright-artifacts-x",))
    return run.judge()


def _staged(run: Run) -> Verdict:
    (run.store.run.staging_root / "17").mkdir()
    return run.judge()


def _growing(**growth: int) -> Callable[[Run], Verdict]:
    """Return a rehearsal in which something grows with each sample, of each supervisor anew or all the time."""

    def grow(run: Run) -> Verdict:
        samples = []
        for number, sample in enumerate(CALM):
            steps = number if "temporary" in growth else number % 8
            changed = {name: getattr(sample, name) + steps * each for name, each in growth.items()}
            samples.append(msgspec.structs.replace(sample, **changed))
        run.chaos = msgspec.structs.replace(CHAOS, samples=tuple(samples))
        return run.judge()

    return grow


@pytest.mark.parametrize(
    ("spoil", "fault", "named"),
    [
        pytest.param(_unfair, "failed though the site has the documents", "D", id="unfair"),
        pytest.param(_lost, "lost", "D", id="lost"),
        pytest.param(_not_there, "lost", "E", id="never-listed"),
        pytest.param(_twice_in_tracking, "duplicated", "B", id="twice-in-tracking"),
        pytest.param(_completed_twice, "duplicated", "B", id="completed-twice"),
        pytest.param(_other_bytes, "wrong bytes", "A", id="other-bytes"),
        pytest.param(_half_of_them, "wrong bytes", "A", id="half-of-them"),
        pytest.param(_completed_though_never_served, "wrong bytes", "D", id="completed-though-never-served"),
        pytest.param(_invented, "wrong bytes", "C", id="invented"),
        pytest.param(_extra_folder, "unsound", "nobody", id="extra-folder"),
        pytest.param(_no_ledger, "unsound", "no ledger", id="no-ledger"),
        pytest.param(_process, "processes left", "browser 4711", id="process"),
        pytest.param(_folder, "folders left", "playwright-artifacts-x", id="folder"),
        pytest.param(_staged, "folders left", "17", id="staged"),
        pytest.param(_growing(memory=5_000_000), "grew", "memory", id="memory"),
        pytest.param(_growing(descriptors=3), "grew", "descriptors", id="descriptors"),
        pytest.param(_growing(temporary=1_000_000), "grew", "temporary files", id="temporary-files"),
    ],
)
def test_whatever_is_wrong_is_named_and_not_clean(
    spoil: Callable[[Run], Verdict], fault: str, named: str, run: Run
) -> None:
    """One thing is wrong at a time; it is among the faults, and on the terminal."""
    verdict = spoil(run)
    assert not verdict.clean
    assert any(named in name for name in verdict.faults[fault]), verdict.faults
    lines = verdict.lines()
    assert lines[0].startswith("NOT CLEAN")
    assert any(line.startswith(f"  {fault}: ") and named in line for line in lines), lines


_LITTERS = """
import os, subprocess, sys, tempfile
from pathlib import Path
Path(tempfile.mkdtemp(), "file").write_text("left")
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
os._exit(0)
"""


def test_what_outlives_the_last_supervisor_is_told_and_ended(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in a session of its own and a temporary folder, of a supervisor that ends as if all was well."""
    monkeypatch.setattr(rehearsal, "_GRACE_SECONDS", 0.5)
    write_tracking(run.store.run.path)
    made = rehearsal.Rehearsal(run.store.run.path, Settings(), os.environ, 1, print)
    made._command = [sys.executable, "-c", _LITTERS]
    verdict = made.run(run.truth, 30)
    assert not verdict.clean
    assert set(verdict.faults) == {"processes left", "folders left"}, verdict.faults
    assert verdict.left.processes[0].startswith("other ")
    pid = int(verdict.left.processes[0].rpartition(" ")[2])
    until(lambda: (found := linux.stat(pid)) is None or found.dead, "it is ended")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_a_rehearsal_ends_its_supervisor(
    number: signal.Signals, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, SIGTERM, or a terminal that is closed: the supervisor, in a session of its own, would not notice."""
    made = rehearsal.Rehearsal(run.store.run.path, Settings(), os.environ, 1, print)
    made._command = [sys.executable, "-c", "import signal; signal.pause()"]
    monkeypatch.setattr(made, "_measure", lambda _pid: signal.raise_signal(number))
    former = signal.getsignal(number)
    if former == signal.SIG_IGN:  # so nohup(1) starts the tests
        signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            made.run(run.truth, 30)
    finally:
        signal.signal(number, former)
    assert made.family.members() == []


def test_a_machine_that_gets_nothing_done_is_spared() -> None:
    """After so many blows in vain there are no more of them until a reference has come to its end."""
    pace = rehearsal.Pace()
    assert [pace.strikes(0) for _ in range(16)] == [True] * 15 + [False]
    assert not pace.strikes(0)
    assert [pace.strikes(1) for _ in range(16)] == [True] * 15 + [False]
    assert pace.strikes(2)


def test_a_rehearsal_that_was_given_up_is_not_clean(run: Run) -> None:
    """Even where nothing is wrong so far; what was still to be done is not lost, what nobody knows of is."""
    run.chaos = msgspec.structs.replace(CHAOS, ended=False)
    verdict = run.judge()
    assert (verdict.clean, verdict.faults) == (False, {})
    assert verdict.lines()[0] == "NOT CLEAN after 60 s, given up before its end"
    verdict = _lost(run)
    assert (verdict.clean, verdict.faults, verdict.unfinished) == (False, {}, 1)
    assert verdict.lines()[1].endswith("; 1 were still to be done")
    assert _not_there(run).faults == {"lost": ("E",)}


def test_a_short_rehearsal_claims_nothing_of_growth(run: Run) -> None:
    """Of a few samples nobody can say whether anything grows."""
    run.chaos = msgspec.structs.replace(CHAOS, samples=CALM[:5])
    verdict = run.judge()
    assert verdict.clean
    assert "  flat            too short to tell of memory, descriptors and temporary files" in verdict.lines()
