"""``explain`` and ``retry``: why a reference failed is one command away, and so is another chance."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.core.records import AttemptFailed, AttemptStarted
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from worker.protocol import Kind

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
        ledger.apply(
            [
                AttemptStarted(1, 1, 1, 2, 3),
                AttemptFailed(
                    attempt=1,
                    ref_id=1,
                    kind=Kind.NOT_FOUND,
                    message="the site answered 404 (Not Found)",
                    counted=True,
                    crashed=False,
                    retry_in=None,
                    url="https://lot.example/A-1",
                    status=404,
                ),
            ],
            1.0,
        )
    evidence = directory.failures / "A-1" / "attempt-1"
    evidence.mkdir(parents=True)
    (evidence / "screenshot.png").write_bytes(b"png")
    return directory


def test_one_command_tells_which_references_failed_and_why(night: RunDirectory) -> None:
    """Failures come by cause, with an example and the folder of the evidence."""
    told = ask("explain", str(night.path))
    assert told.returncode == 0
    assert "not_found: 1 reference, such as: the site answered 404 (Not Found)" in told.stdout
    assert "evidence in failures/A-1" in told.stdout


def test_the_story_of_a_reference_has_attempts_evidence_and_what_comes_next(night: RunDirectory) -> None:
    """Worker, times, outcome, address, status and evidence of every attempt."""
    told = ask("explain", str(night.path), "A-1").stdout
    assert "attempt 1 (id 1): worker 2" in told
    assert "https://lot.example/A-1, status 404" in told
    assert "failures/A-1/attempt-1/screenshot.png" in told
    assert "run.py retry queues it again" in told


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
    assert [attempt["status"] for attempt in told["attempts"]] == [404]


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
