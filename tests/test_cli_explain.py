"""``explain`` and ``retry``: why a reference failed is one command away, and so is another chance."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.records import AttemptFailed, AttemptStarted, Incident
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.kinds import MEANINGS, meaning
from supervisor.views.status import write_status
from tests.views.snapshots import busy, run_view
from worker.protocol import Kind, Step

ROOT = Path(__file__).resolve().parents[1]


def ask(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *words], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.fixture
def night(tmp_path: Path) -> RunDirectory:
    """A run that is over: A-1 failed for good, B-1 was never tried."""
    directory = RunDirectory(tmp_path / "night")
    directory.create()
    with Ledger.create(directory.ledger, site="x", wall=0.0) as ledger:
        ledger.import_references(["A-1", "B-1"])
        steps = (Step("open the vehicle", 1.5), Step("fetch the documents", 0.5))
        ledger.apply([AttemptStarted(1, 1, 1, 2, 3)], 1.0)
        ledger.apply([Incident("killed", "stuck: no answer", 2, 1, 1)], 2.0)
        ledger.apply([_failed(1, Kind.TIMEOUT, "it took longer than 180 s", counted=False, steps=steps)], 3.0)
        ledger.apply([AttemptStarted(2, 1, 1, 2, 4)], 4.0)
        gone = "the site answered 404 (Not Found)"
        ledger.apply([_failed(2, Kind.NOT_FOUND, gone, url="https://lot.example/A-1", status=404)], 4.5)
    for name, attempt, other in ("attempt-1", 1, "stack.txt"), ("attempt-1.2", 2, "screenshot.png"):
        evidence = directory.failures / "A-1" / name
        evidence.mkdir(parents=True)
        (evidence / "error.txt").write_text(f"attempt {attempt} (number 1): told\n")
        (evidence / other).write_bytes(b"seen")
    return directory


def _failed(attempt: int, kind: Kind, message: str, *, counted: bool = True, **more: Any) -> AttemptFailed:
    retry_in = None if counted else 0.0
    return AttemptFailed(attempt, 1, kind, message, counted=counted, crashed=False, retry_in=retry_in, **more)


def test_one_command_tells_which_references_failed_and_why(night: RunDirectory) -> None:
    """Failures come by cause, each with its sentence and the folder of its evidence, and what to do next."""
    told = ask("explain", str(night.path))
    assert told.returncode == 0
    assert "1 of 2 references failed for good, by 1 cause" in told.stdout
    assert "not_found, 1 reference: the site has no such page" in told.stdout
    assert "A-1  1 attempt  failures/A-1/attempt-1.2  the site answered 404 (Not Found)" in told.stdout
    assert f"run.py explain {night.path} A-1\n" in told.stdout
    assert f"run.py retry {night.path} --failed" in told.stdout
    assert ask("explain", str(night.path), "--kind", "not_found").stdout == told.stdout
    (night.failures / "_login" / "errand-1").mkdir(parents=True)
    assert "evidence of a failed login is in failures/_login\n" in ask("explain", str(night.path)).stdout
    assert "no reference has failed for good by timeout" in ask("explain", str(night.path), "--kind", "timeout").stdout
    assert "did you mean not_found?" in ask("explain", str(night.path), "--kind", "notfound").stderr


def test_the_next_command_can_be_typed_as_it_is_told(tmp_path: Path) -> None:
    """A run directory below this folder is named as from here; blanks and quotes stand for themselves in a shell."""
    directory = RunDirectory(tmp_path / "the night's run")
    directory.create()
    with Ledger.create(directory.ledger, site="x", wall=0.0) as ledger:
        ledger.import_references(["LOT 7 12"])
        ledger.apply([AttemptStarted(1, 1, 1, 1, 1), _failed(1, Kind.NOT_FOUND, "gone")], 1.0)
    command = [sys.executable, str(ROOT / "run.py"), "explain", directory.path.name]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    (line,) = [line for line in told.splitlines() if line.startswith("one of them in detail")]
    assert shlex.split(line)[-4:] == ["run.py", "explain", directory.path.name, "LOT 7 12"]


def test_the_story_of_a_reference_has_attempts_evidence_and_what_comes_next(night: RunDirectory) -> None:
    """Worker, times, steps with their durations, outcome, address, status and evidence of every attempt, in order."""
    write_status(night.status, busy(run=run_view(max_attempts=3)))
    told = ask("explain", str(night.path), "A-1").stdout
    parts = [
        "A-1: failed for good at 1970-01-01T00:00:04.500Z, 1 counted attempt: not_found: the site answered 404",
        "attempt 1 of 3 (id 1), worker 2: failed, not counted: timeout: it took longer than 180 s",
        "    1970-01-01T00:00:01.000Z to 1970-01-01T00:00:03.000Z, 2.0 s",
        "         0.0 s  open the vehicle, 1.5 s",
        "         1.5 s  fetch the documents, 0.5 s",
        "    1970-01-01T00:00:02.000Z killed: stuck: no answer",
        "    evidence in failures/A-1/attempt-1: error.txt, stack.txt",
        "attempt 1 of 3 (id 2), worker 2: failed: not_found",
        "    at https://lot.example/A-1, status 404",
        "    evidence in failures/A-1/attempt-1.2: error.txt, screenshot.png",
        "next: nothing by itself; run.py retry queues it again",
        "not_found means: the site has no such page",
    ]
    places = [told.index(part) for part in parts]
    assert places == sorted(places)
    waiting = ask("explain", str(night.path), "B-1").stdout
    assert "next: nothing while no run is active; the start command goes on with it" in waiting
    with night.lock():
        assert "next: an attempt, when its turn comes" in ask("explain", str(night.path), "B-1").stdout


def test_every_kind_of_failure_is_told_in_words() -> None:
    """Somebody who has never seen the project reads what a kind means and what helps; later kinds are no trouble."""
    assert set(MEANINGS) == set(Kind)
    assert all(one.means and one.helps and not (one.means + one.helps).endswith(".") for one in MEANINGS.values())
    assert "does not know" in meaning("of_a_later_version").means


def test_an_unknown_reference_is_answered_with_the_nearest(night: RunDirectory) -> None:
    """A slip of the finger costs one look, not a search."""
    told = ask("explain", str(night.path), "A-2")
    assert told.returncode == 2
    assert "the nearest are A-1" in told.stderr


def test_scripts_get_the_same_as_json(night: RunDirectory) -> None:
    """One object a failed reference, or the whole story of one."""
    (line,) = ask("explain", str(night.path), "--json").stdout.splitlines()
    assert json.loads(line)["error_kind"] == "not_found"
    told = json.loads(ask("explain", str(night.path), "A-1", "--json").stdout)
    assert [attempt["status"] for attempt in told["attempts"]] == [None, 404]


@pytest.mark.parametrize("which", [("--failed",), ("--kind", "not_found"), ("A-1",)])
def test_a_failed_reference_gets_another_chance(night: RunDirectory, which: tuple[str, ...]) -> None:
    """By all, by cause or by name: it is pending again with no attempt counted."""
    told = ask("retry", str(night.path), *which)
    assert (told.returncode, told.stdout) == (0, "1 reference queued again; start goes on with them\n")
    with Ledger.open(night.ledger) as ledger:
        backlog = ledger.backlog(2.0)
    assert [(entry.ref, entry.attempts) for entry in backlog.entries] == [("A-1", 0), ("B-1", 0)]
    assert backlog.failed == 0


@pytest.mark.parametrize("which", [(), ("B-1",), ("Z-9",), ("--failed", "A-1")])
def test_what_cannot_be_retried_is_said_and_nothing_changes(night: RunDirectory, which: tuple[str, ...]) -> None:
    """No choice, two choices, a reference that has not failed, one that is not there: one sentence, exit 2."""
    told = ask("retry", str(night.path), *which)
    assert told.returncode == 2
    assert len(told.stderr.splitlines()) == 1
    with Ledger.open(night.ledger) as ledger:
        assert ledger.backlog(2.0).failed == 1


def test_the_report_is_written_on_demand(night: RunDirectory) -> None:
    """The command names both files; a run directory of nothing to compare with is refused."""
    told = ask("report", str(night.path))
    assert told.stdout.splitlines() == [str(night.report), str(night.failures_csv)]
    assert "not_found" in night.report.read_text()
    assert ask("report", str(night.path), "--against", str(night.failures)).returncode == 2
