import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from supervisor.shell import guardian_main, linux
from supervisor.shell.guardian import Guardian
from supervisor.shell.processes import Processes, WorkerProcess
from supervisor.shell.trees import Tree
from tests.shell import fake_children as fake
from tests.shell.fake_supervisor import FakeSupervisor


@pytest.fixture
def guardian(tmp_path: Path) -> Iterator[Guardian]:
    """A guardian of this process, ended when the test is over."""
    with closing(Guardian(tmp_path / "guardian.log")) as made:
        made.start()
        yield made
        made._watched.clear()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[WorkerProcess]:
    """A child that waits."""
    made = Processes(fake.sleeper).spawn(1, 1, fake.settings(tmp_path))
    fake.hear_json(made)
    yield made
    assert fake.tree_of(made).kill(fake.PATIENCE)
    fake.exit_code(made)
    made.close()


def supervisor(target: str, directory: Path, request: pytest.FixtureRequest) -> FakeSupervisor:
    made = FakeSupervisor(target, directory)
    request.addfinalizer(made.clean_up)
    return made


def pid_of(guardian: Guardian) -> int:
    assert guardian.identity is not None
    return guardian.identity[0]


def left_by(killed: FakeSupervisor) -> float:
    """Wait until the guardian has done its work and return how many seconds the processes outlived it."""
    before = time.monotonic()
    fake.eventually(lambda: not killed.alive(), "the end of all processes")
    passed = time.monotonic() - before
    fake.eventually(lambda: not linux.is_running(*killed.guardian), "the end of the guardian")
    return passed


def test_a_killed_supervisor_leaves_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """After SIGKILL of the supervisor its whole tree and its temporary folders are gone soon, the guardian too."""
    killed = supervisor("family", tmp_path, request)
    assert len(killed.alive()) == 7
    killed.kill()
    assert left_by(killed) < 30.0
    assert not killed.temp_dir.exists()
    assert not killed.temp_dir.parent.exists()
    assert f"{fake.MARK} is gone" in (tmp_path / "guardian.log").read_text()


def test_a_child_that_is_stopped_does_not_outlive_the_supervisor(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A child that can do nothing for itself, because it is stopped, is killed as well."""
    killed = supervisor("sleeper", tmp_path, request)
    os.kill(killed.child, signal.SIGSTOP)
    killed.kill()
    left_by(killed)
    assert not killed.temp_dir.exists()


@pytest.mark.browser
def test_a_frozen_browser_does_not_outlive_the_supervisor(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """With the browser frozen, everything is gone within 40 seconds of the supervisor's end."""
    killed = supervisor("with_browser", tmp_path, request)
    os.kill(killed.told["browser"], signal.SIGSTOP)
    killed.kill()
    assert left_by(killed) < 40.0
    assert not killed.temp_dir.exists()


def test_signals_to_the_guardian_change_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Ctrl-C, a hangup and a polite request to end do not take the guardian away from what it guards."""
    killed = supervisor("sleeper", tmp_path, request)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(killed.guardian[0], number)
    killed.kill()
    left_by(killed)


def test_an_orderly_end_ends_the_guardian(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """When nothing is watched any more the guardian ends at once, and touches no folder."""
    ended = supervisor("sleeper", tmp_path, request)
    assert ended.end() == {"guardian_ended": True}
    assert (ended.temp_dir / "left").exists()
    assert (tmp_path / "guardian.log").read_text() == ""


def test_a_dead_guardian_is_replaced(guardian: Guardian, child: WorkerProcess) -> None:
    """When the guardian itself is killed, another one is started and told everything."""
    tree = fake.tree_of(child)
    guardian.watch(tree)
    first = pid_of(guardian)
    assert guardian.keep() == ""
    os.kill(first, signal.SIGKILL)
    fake.eventually(lambda: not guardian.alive(), "the guardian's end")
    assert guardian.identity is None
    assert guardian.keep() == "the guardian had ended: another one was started"
    assert pid_of(guardian) != first
    assert guardian.keep() == ""
    guardian.close()
    assert fake.exit_code(child) == -signal.SIGKILL


def test_a_stopped_guardian_blocks_nobody_and_is_replaced(guardian: Guardian, child: WorkerProcess) -> None:
    """A guardian that does not read keeps the supervisor from nothing, and is replaced without killing anything."""
    first = pid_of(guardian)
    os.kill(first, signal.SIGSTOP)
    tree = fake.tree_of(child)
    longest = 0.0
    while len(guardian._out) < 1_048_576:
        before = time.monotonic()
        guardian.watch(tree)
        guardian.forget(tree)
        longest = max(longest, time.monotonic() - before)
    assert longest < 1.0
    guardian.watch(tree)
    assert guardian.keep() == "the guardian did not listen: another one was started"
    assert not linux.is_running(first, 0)
    assert fake.gone(first)
    assert not fake.gone(child.pid)


def test_what_is_forgotten_is_not_killed(guardian: Guardian, child: WorkerProcess) -> None:
    """A tree that the guardian was told to forget is left alone when the pipe ends."""
    tree = fake.tree_of(child)
    guardian.watch(tree)
    guardian.forget(tree)
    guardian.close()
    assert not fake.gone(child.pid)


def test_no_guardian_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no guardian can be started, the supervisor is told in a sentence and goes on."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    made = Guardian(tmp_path / "guardian.log")
    assert made.keep() == "the guardian had ended, and no other could be started: No such file or directory"
    made.close()


def test_lines_in_pieces_and_nonsense(capfd: pytest.CaptureFixture[str]) -> None:
    """The guardian takes its lines in any pieces, and reports one that makes no sense without losing the next."""
    watch = guardian_main.Watch()
    tree = Tree("m", 2**22, 5)
    line = b'{"watch": {"marker": "m", "pid": 4194304, "start_time": 5, "temp_dir": "", "sessions": [], "seen": []}}\n'
    for byte in b"nonsense\n[1]\n" + b'{"watch": {"pid": 1}}\n' + line:
        watch.feed(bytes([byte]))
    assert list(watch.trees) == ["m"]
    assert repr(watch.trees["m"]) == repr(tree)
    watch.feed(b'{"forget": "m"}\n{"forget": "never known"}\n')
    assert watch.trees == {}
    assert capfd.readouterr().err.count("not a message") == 3


def test_what_cannot_be_killed_is_named_and_keeps_its_folder(
    child: WorkerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A tree that survives every SIGKILL is named in the log, and its temporary folder stays for the next start."""
    temp_dir = tmp_path / "nightfleet-test" / "w1-1"
    temp_dir.mkdir(parents=True)
    tree = fake.tree_of(child, temp_dir=str(temp_dir))
    with monkeypatch.context() as patch:
        patch.setattr(linux, "send_signal", lambda *_: False)
        patch.setattr(guardian_main, "GIVE_UP_SECONDS", 0.1)
        guardian_main.clean_up([tree])
    assert f"gave {fake.MARK} up: python ({child.pid})" in capfd.readouterr().err
    assert temp_dir.exists()
    guardian_main.clean_up([tree])
    assert f"{fake.MARK} is gone" in capfd.readouterr().err
    assert not temp_dir.parent.exists()


def test_a_folder_that_is_not_a_workers_is_left_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The guardian removes temporary folders of workers and nothing else, and says when it does not."""
    guardian_main.clean_up([Tree("m", 2**22, 5, str(tmp_path))])
    assert "its temporary folder could not be removed" in capfd.readouterr().err
    assert tmp_path.is_dir()
