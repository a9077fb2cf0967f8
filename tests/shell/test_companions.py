"""The processes beside a run give way to it, and end with it."""

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from supervisor.errors import MachineError
from supervisor.shell import companions
from supervisor.shell.journal import Journal
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from tests.shell import fake_children as fake


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(tmp_path / "night")
    directory.create()
    with Ledger.create(directory.ledger, site="lot", wall=time.time()) as ledger:
        ledger.import_references(["A-1"])
    return directory


@pytest.fixture
def journal(directory: RunDirectory) -> Iterator[Journal]:
    journal = Journal(directory.logs / "supervisor.log", as_json=False, rotation=1_000_000, retention=2)
    yield journal
    journal.close()


def _niceness(pid: int) -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()}


def test_the_clerk_gives_way_while_the_run_goes_on_and_writes_at_its_end(
    directory: RunDirectory, journal: Journal
) -> None:
    """All its threads do; tracking.json and the report are there when the block has ended, and the clerk is gone."""
    with companions.clerk(directory, "quiet", "", journal):
        (clerk,) = [one for one in psutil.Process().children() if "_clerk" in one.cmdline()]
        fake.eventually(lambda: clerk.num_threads() > 1, "the clerk keeps its books")
        assert _niceness(clerk.pid) == {os.getpriority(os.PRIO_PROCESS, 0) + 5}
    assert not clerk.is_running()
    assert directory.tracking.exists()
    assert directory.report.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take niceness back")
def test_who_gave_way_gets_its_turn_at_the_end() -> None:
    """Nobody has to be left the way to any more, and somebody waits for the report."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        try:
            for more in (5, 0):
                companions._give_way(process.pid, more)
                assert _niceness(process.pid) == {os.getpriority(os.PRIO_PROCESS, 0) + more}
        finally:
            process.kill()


def test_who_has_ended_cannot_give_way_any_more() -> None:
    """That is no failure: the clerk may be gone before the run."""
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
        companions._give_way(process.pid, 5)


def test_a_machine_without_room_for_a_process_is_told(
    directory: RunDirectory, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence with the exit code for it, as no error of the program's own."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    sentence = "the process that writes tracking.json cannot be started: Resource temporarily unavailable"
    with pytest.raises(MachineError, match=sentence), companions.clerk(directory, "quiet", "", journal):
        pass
