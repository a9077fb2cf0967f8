"""Steering a real run from another terminal."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.status import Snapshot, read_status

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 120.0


def ask(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "run.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)


def wait_for(directory: RunDirectory, condition: Callable[[Snapshot], bool]) -> None:
    """Look at status.json until it shows what is awaited."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        snapshot = read_status(directory.status)
        if snapshot is not None and condition(snapshot):
            return
        time.sleep(0.1)
    raise AssertionError(f"it did not come: {read_status(directory.status)}")


@pytest.mark.browser
def test_a_run_is_paused_scaled_retried_and_stopped_from_outside(tmp_path: Path) -> None:
    """Each command does what it says and answers; the run ends resumable, with everything accounted for."""
    directory = RunDirectory(tmp_path / "night")
    command = [sys.executable, str(ROOT / "run.py"), "demo", "--vehicles", "200", "--workers", "1", "--faults", "gone"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTFLEET_")}
    with subprocess.Popen([*command, "--run-dir", str(directory.path)], env=clean, stdout=subprocess.DEVNULL) as run:
        try:
            wait_for(directory, lambda now: now.totals.failed > 0)
            name = str(directory.path)
            assert ask("pause", name).stdout.startswith("paused")
            wait_for(directory, lambda now: now.run.state == "paused" and now.totals.in_progress == 0)
            assert ask("scale", name, "2").stdout == "2 workers\n"
            retried = ask("retry", name, "--failed")
            assert re.fullmatch(r"\d+ references? queued again\n", retried.stdout)
            with LedgerReader(directory.ledger) as reader:
                assert reader.totals().failed == 0
            assert ask("resume", name).stdout == "goes on\n"
            assert ask("restart", name, "1").stdout.startswith("worker 1 is a fresh one")
            stopped = ask("stop", name, "--now")
            assert stopped.returncode == 0
            assert "it has ended with exit code 3: stopped by the operator; " in stopped.stdout
            assert run.wait(DEADLINE) == 3
        finally:
            run.kill()
    assert not directory.control.exists()
    log = (directory.logs / "supervisor.log").read_text()
    for sentence in ('the operator asks: {"do":"scale","workers":2}', "the operator is told: 2 workers"):
        assert sentence in log
    with LedgerReader(directory.ledger) as reader:
        assert reader.totals() == reader.counted()
        assert {"paused", "scaled", "resumed", "reopened", "ending"} <= {row.what for row in reader.incidents()}


@pytest.mark.parametrize("words", [("pause",), ("resume",), ("scale", "3"), ("restart", "1")])
def test_without_a_run_there_is_nothing_to_steer(tmp_path: Path, words: tuple[str, ...]) -> None:
    """One sentence, exit code 2; but to stop what has ended is no mistake."""
    directory = RunDirectory(tmp_path / "night")
    directory.create()
    Ledger.create(directory.ledger, site="x", wall=0.0).close()
    told = ask(words[0], str(directory.path), *words[1:])
    assert told.returncode == 2
    assert told.stderr == f"nightfleet: no run is active in {directory.path}\n"
    stopped = ask("stop", str(directory.path))
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert stopped.stdout == f"no run is active in {directory.path}: there is nothing to stop\n"
