import contextlib
import errno
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path

import msgspec
import pytest

from supervisor.shell import linux, processes
from supervisor.shell.processes import BUFFER_LIMIT, READ_SIZE, BacklogError, Processes, SpawnError, WorkerProcess
from tests.shell import fake_children as fake
from worker.protocol import FRAME_LIMIT

Spawn = Callable[[processes.Target], WorkerProcess]


@pytest.fixture
def spawn(tmp_path: Path, request: pytest.FixtureRequest) -> Spawn:
    """Start a child whose whole tree is dead when the test is over."""

    def start(target: processes.Target) -> WorkerProcess:
        child = Processes(target).spawn(1, 1, fake.settings(tmp_path))

        def end() -> None:
            assert fake.tree_of(child).kill(fake.PATIENCE)
            fake.exit_code(child)
            child.close()

        request.addfinalizer(end)
        return child

    return start


def waits(child: WorkerProcess) -> bool:
    return child.wants_write


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_child_hears_and_answers(spawn: Spawn) -> None:
    """What is sent arrives, what is answered is read, and nothing is read when nothing has come."""
    child = spawn(fake.echo)
    assert child.read() == b""
    assert not child.ended
    child.send(b"frame")
    assert fake.hear(child, 5) == b"frame"
    assert linux.is_running(child.pid, child.start_time)
    assert child.exit_code() is None


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (fake.end_with_seven, 7),
        (fake.kill_itself, -signal.SIGKILL),
        (fake.segfault, -signal.SIGSEGV),
        (fake.read_null, -signal.SIGSEGV),
    ],
)
def test_each_end_is_told_with_its_code(spawn: Spawn, target: processes.Target, code: int) -> None:
    """The sentinel tells an end of any kind, and the exit code says which: negative for a signal."""
    child = spawn(target)
    assert fake.exit_code(child) == code
    assert child.read_to_end() == b""
    assert child.ended


def test_a_result_sent_before_the_death_is_read(spawn: Spawn) -> None:
    """What a child had sent before it died is in the pipe, all of it."""
    child = spawn(fake.send_and_die)
    assert fake.exit_code(child) == 3
    assert child.read_to_end() == b"r" * 100_000
    assert child.ended


def test_what_python_says_of_a_child_is_in_its_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """The traceback of a child that comes to nothing before it has a log of its own: not on our terminal."""
    log = tmp_path / "worker-1.log"
    log.write_text("before\n")
    given = msgspec.structs.replace(fake.settings(tmp_path), log_file=str(log))
    child = Processes(fake.fail).spawn(1, 1, given)
    request.addfinalizer(child.close)
    assert fake.exit_code(child) == 1
    said = log.read_text()
    assert said.startswith("before\n")
    assert said.rstrip().endswith("RuntimeError: it comes to nothing")
    os.write(2, b"ours")
    assert capfd.readouterr() == ("", "ours")


def test_half_a_frame_and_a_held_descriptor_hide_no_death(spawn: Spawn) -> None:
    """A grandchild that holds a copy of everything hides neither the child's death nor the bytes before it."""
    child = spawn(fake.half_a_frame)
    assert fake.exit_code(child) == 0
    assert child.read_to_end() == b"half"
    assert not child.ended


def test_reading_a_flood_is_bounded(spawn: Spawn) -> None:
    """One read takes a bounded number of bytes, however much a child sends."""
    child = spawn(fake.flood)
    for _ in range(5):
        assert 0 < len(fake.hear(child)) <= READ_SIZE


def test_a_flood_after_the_death_is_bounded(spawn: Spawn) -> None:
    """Reading a dead child's pipe to its end ends, even when a grandchild writes into it for ever."""
    child = spawn(fake.flood_through_grandchild)
    assert fake.exit_code(child) == 0
    assert len(child.read_to_end()) < FRAME_LIMIT + READ_SIZE


def test_a_stopped_child_and_a_full_pipe_block_nobody(spawn: Spawn) -> None:
    """Sending to a child that does not read returns at once, loses nothing, and has a limit."""
    child = spawn(fake.count)
    fake.hear(child)
    os.kill(child.pid, signal.SIGSTOP)
    frame = b"f" * 1_048_576
    sent, slowest = 0, 0.0
    refusal = ""
    while not refusal:
        before = time.monotonic()
        try:
            child.send(frame)
        except BacklogError as error:
            refusal = str(error)
        else:
            sent += len(frame)
        slowest = max(slowest, time.monotonic() - before)
        assert sent < 2 * BUFFER_LIMIT
    assert "bytes wait already for worker 1" in refusal
    assert slowest < 1.0
    assert waits(child)
    os.kill(child.pid, signal.SIGCONT)
    heard = bytearray()
    while b'"total": %d}' % sent not in heard:
        readable, writable, _ = select.select([child], [child] if waits(child) else [], [], fake.PATIENCE)
        assert readable or writable
        if writable:
            child.flush()
        heard += child.read()
    assert not waits(child)


def test_what_it_said_survives_what_it_did_not_hear(spawn: Spawn) -> None:
    """A child that dies with our bytes unread resets the pipe; what it had sent before is read all the same."""
    child = spawn(fake.speak_and_stop)
    fake.eventually(lambda: fake.state(child.pid) == "T", "the stop")
    child.send(b"never read")
    os.kill(child.pid, signal.SIGKILL)
    assert fake.exit_code(child) == -signal.SIGKILL
    assert child.read_to_end() == b"said before"
    assert child.ended


def test_sending_to_a_dead_child_is_no_failure(spawn: Spawn) -> None:
    """A frame for a child that is gone is thrown away: its end is told by the sentinel."""
    child = spawn(fake.end_with_seven)
    fake.exit_code(child)
    child.send(b"too late")
    child.send(b"much too late")
    assert not child.wants_write


def test_a_running_child_is_not_closed(spawn: Spawn) -> None:
    """Throwing away what belongs to a child that still runs is refused."""
    child = spawn(fake.echo)
    with pytest.raises(ValueError, match="still runs"):
        child.close()


def test_children_are_started_in_the_main_thread_only(tmp_path: Path) -> None:
    """A child whose parent thread ends would be killed by its parent-death signal, so no other thread may start one."""
    refused: list[BaseException] = []

    def start() -> None:
        try:
            Processes(fake.echo).spawn(1, 1, fake.settings(tmp_path))
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refused[0])


@pytest.fixture
def few_descriptors() -> Iterator[list[int]]:
    """Take every descriptor that a lowered limit allows; give some back by closing and removing them from the list."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 32, hard))
    taken: list[int] = []
    with contextlib.suppress(OSError):  # the limit is what is wanted
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    yield taken
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for descriptor in taken:
        os.close(descriptor)


@pytest.mark.parametrize("spare", range(8))
def test_no_descriptor_left_is_one_sentence(tmp_path: Path, few_descriptors: list[int], spare: int) -> None:
    """When descriptors run out at any step of a start, one sentence says why and nothing is leaked."""
    resource_tracker.ensure_running()
    children = Processes(fake.sleeper)
    for _ in range(spare):
        os.close(few_descriptors.pop())
    with pytest.raises(SpawnError, match=r"no process could be started for worker 3: .*ulimit -n"):
        children.spawn(3, 1, fake.settings(tmp_path))
    assert children.pids() == frozenset()
    few_descriptors.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(spare))
    with pytest.raises(OSError, match="Too many open files"):
        os.open(os.devnull, os.O_RDONLY)


def test_no_process_left_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on processes is named in one sentence."""

    def refuse(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.util.spawnv_passfds", refuse)
    before = descriptors()
    with pytest.raises(SpawnError, match="the limit on processes is reached"):
        Processes(fake.echo).spawn(1, 1, fake.settings(tmp_path))
    assert descriptors() == before


def test_a_child_that_cannot_be_watched_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child for which the kernel gives no pidfd is killed and reaped, and one sentence says why."""
    started: list[int] = []

    def refuse(pid: int) -> int:
        started.append(pid)
        raise OSError(errno.ENOSYS, "Function not implemented")

    before = descriptors()
    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(SpawnError, match="Function not implemented"):
        Processes(fake.sleeper).spawn(1, 1, fake.settings(tmp_path))
    assert linux.stat(started[0]) is None
    assert descriptors() == before


def test_settings_that_could_fill_the_start_up_pipe_are_refused(tmp_path: Path) -> None:
    """Settings larger than a pipe holds would make the start wait for the child."""
    given = msgspec.structs.replace(fake.settings(tmp_path), environment={"X": "x" * 40_000})
    with pytest.raises(SpawnError, match="at most 32768 are allowed"):
        Processes(fake.echo).spawn(1, 1, given)


def test_exit_codes_survive_an_ignored_sigchld(tmp_path: Path) -> None:
    """Whoever started us may have left SIGCHLD ignored; exit codes are told all the same."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        child = Processes(fake.end_with_seven).spawn(1, 1, fake.settings(tmp_path))
        assert fake.exit_code(child) == 7
        child.close()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_the_supervisor_stays_light() -> None:
    """The supervisor's side imports neither the worker's main module nor Playwright."""
    script = (
        "import sys, supervisor.shell.processes, supervisor.shell.guardian, supervisor.shell.evidence\n"
        "print(*sorted(m for m in sys.modules if m.startswith(('worker', 'playwright'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.split() == ["worker", "worker.protocol", "worker.settings"]


def test_an_abandoned_child_does_not_keep_the_interpreter(tmp_path: Path) -> None:
    """The interpreter ends at once though a stopped child was left, when the children are abandoned."""
    script = (
        "import os, signal\n"
        "from supervisor.shell.processes import Processes\n"
        "from tests.shell import fake_children as fake\n"
        "if __name__ == '__main__':\n"
        "    children = Processes(fake.sleeper)\n"
        f"    child = children.spawn(1, 1, fake.settings({str(tmp_path)!r}))\n"
        "    fake.hear_json(child)\n"
        "    os.kill(child.pid, signal.SIGSTOP)\n"
        "    children.abandon()\n"
    )
    (tmp_path / "abandon.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    subprocess.run([sys.executable, tmp_path / "abandon.py"], check=True, timeout=fake.PATIENCE, env=environment)


@pytest.mark.parametrize(
    "count", [pytest.param(200, marks=pytest.mark.excerpt), pytest.param(1000, marks=pytest.mark.long)]
)
def test_many_incarnations_leave_nothing(count: int, tmp_path: Path) -> None:
    """Children started and killed again and again leave no descriptor and no zombie."""
    children = Processes(fake.echo)
    before = 0
    for incarnation in range(1, count + 1):
        child = children.spawn(1, incarnation, fake.settings(tmp_path))
        if incarnation % 20 == 0:
            child.send(b"alive")
            assert fake.hear(child, 5) == b"alive"
        assert fake.tree_of(child).kill(fake.PATIENCE)
        assert fake.exit_code(child) == -signal.SIGKILL
        child.close()
        before = before or descriptors()
    assert descriptors() == before
    assert children.pids() == frozenset()
    mine = [process for process in linux.processes() if process.parent == os.getpid()]
    assert not [process for process in mine if process.dead]
