import os
import signal
import time
from pathlib import Path

import pytest

from supervisor.shell import evidence
from supervisor.shell.processes import WorkerProcess
from tests.shell import fake_children as fake
from tests.shell.conftest import Spawn


def collect(child: WorkerProcess, tmp_path: Path, reason: str = "no heartbeat for 30 s") -> dict[str, str]:
    into = tmp_path / "evidence" / "attempt-1"
    tree = fake.tree_of(child)
    before = time.monotonic()
    assert evidence.collect(tree, tmp_path / "stack.txt", tmp_path / "worker.log", into, reason) == []
    assert time.monotonic() - before < 10.0
    return {entry.name: entry.read_text() for entry in into.iterdir()}


def test_the_stacks_of_a_child_that_holds_the_lock(spawn: Spawn, tmp_path: Path) -> None:
    """A child that hangs in C with the interpreter's lock held still shows where, and the child lives on."""
    child = spawn(fake.with_fault_handler)
    fake.hear_json(child)
    (tmp_path / "worker.log").write_text("".join(f"line {n}\n" for n in range(100)))
    saved = collect(child, tmp_path)
    assert "hang_in_c" in saved["stack.txt"]
    assert "earlier request" not in saved["stack.txt"]
    assert saved["log.txt"].splitlines() == [f"line {n}" for n in range(50, 100)]
    assert saved["error.txt"] == "no heartbeat for 30 s\n"
    assert str(child.pid) in saved["processes.txt"]
    assert not fake.gone(child.pid)


def test_a_child_without_a_handler_survives(spawn: Spawn, tmp_path: Path) -> None:
    """A child that has not got as far as its fault handler is not killed by the question, nor are its relatives."""
    child = spawn(fake.family)
    told = fake.hear_json(child)
    saved = collect(child, tmp_path)
    assert set(saved) == {"error.txt", "processes.txt"}
    assert len(saved["processes.txt"].splitlines()) == 1 + len(told["pids"])
    assert not any(fake.gone(pid) for pid in told["pids"])


def test_a_stopped_child_is_not_waited_for(spawn: Spawn, tmp_path: Path) -> None:
    """A stopped child cannot answer: the rest is saved, and its state is told."""
    child = spawn(fake.with_fault_handler)
    fake.hear_json(child)
    os.kill(child.pid, signal.SIGSTOP)
    fake.eventually(lambda: fake.state(child.pid) == "T", "the stop")
    saved = collect(child, tmp_path)
    assert "stack.txt" not in saved
    assert " T " in saved["processes.txt"]


def test_a_dead_child_is_no_failure(spawn: Spawn, tmp_path: Path) -> None:
    """Of a child that is dead already, reaped or not, the reason and the log remain."""
    child = spawn(fake.sleeper)
    fake.hear_json(child)
    os.kill(child.pid, signal.SIGKILL)
    fake.eventually(lambda: fake.gone(child.pid), "the death")
    assert " Z " in collect(child, tmp_path)["processes.txt"]
    fake.exit_code(child)
    assert collect(child, tmp_path)["error.txt"] == 2 * "no heartbeat for 30 s\n"


def test_the_reason_is_added_to_what_the_worker_wrote(spawn: Spawn, tmp_path: Path) -> None:
    """The worker's own account in error.txt stays, the reason of the kill comes after it."""
    into = tmp_path / "evidence" / "attempt-1"
    into.mkdir(parents=True)
    (into / "error.txt").write_text("timeout at step 3\n")
    saved = collect(spawn(fake.sleeper), tmp_path, "stuck for 300 s")
    assert saved["error.txt"] == "timeout at step 3\nstuck for 300 s\n"


@pytest.mark.browser
def test_command_lines_show_parts_but_no_arguments(spawn: Spawn, tmp_path: Path) -> None:
    """The process table names each program and which part of the browser it is, and no other argument."""
    child = spawn(fake.with_browser)
    fake.hear_json(child)
    table = collect(child, tmp_path)["processes.txt"]
    assert "--type=renderer" in table
    assert table.count("--") == table.count("--type=")
    assert "node" in table


def test_evidence_that_cannot_be_saved_is_said(spawn: Spawn, tmp_path: Path) -> None:
    """Whatever cannot be saved becomes a sentence, because the killing must go on."""
    child = spawn(fake.sleeper)
    (tmp_path / "file").write_text("")
    tree, log = fake.tree_of(child), tmp_path / "no.log"
    said = evidence.collect(tree, tmp_path / "stack.txt", log, tmp_path / "file" / "attempt-1", "stuck")
    assert len(said) == 1
    assert said[0].startswith("no evidence could be saved: ")
    into = tmp_path / "full"
    (into / "error.txt").mkdir(parents=True)
    log.mkdir()
    said = evidence.collect(tree, tmp_path / "stack.txt", log, into, "stuck")
    assert [sentence.split(" ")[0] for sentence in said] == ["error.txt", "log.txt"]
    assert (into / "processes.txt").exists()
