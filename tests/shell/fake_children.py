"""Children that misbehave in one way each, targets for `Processes`, and what a test needs to wait for them."""

import ctypes
import faulthandler
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from supervisor.shell import linux
from supervisor.shell.processes import WorkerProcess
from supervisor.shell.trees import MARKER, Tree
from worker.settings import WorkerSettings

CHROMIUM = "/usr/bin/chromium-headless-shell"
MARK = os.environ.setdefault(f"TEST_MARKER_{os.environ.get('PYTEST_XDIST_WORKER', '')}", f"test-marker-{os.getpid()}")
"""In the environment of every tree that this process of the tests starts; another beside it has one of its own."""
PATIENCE = 60.0
"""Seconds after which a test no longer believes that something will happen; much more than it ever takes."""


def settings(temp_dir: Path | str, *, slot: int = 1, marker: str = MARK) -> WorkerSettings:
    """Return settings as a supervisor would make them, everything within `temp_dir`."""
    return WorkerSettings(
        slot=slot,
        incarnation=1,
        site="demo",
        temp_dir=str(temp_dir),
        log_file=str(Path(temp_dir) / "worker.log"),
        stack_file=str(Path(temp_dir) / "stack.txt"),
        supervisor_pid=os.getpid(),
        marker=marker,
    )


def tree_of(child: WorkerProcess, marker: str = MARK, temp_dir: str = "") -> Tree:
    """Return the tree of a child."""
    return Tree(marker, child.pid, child.start_time, temp_dir)


def eventually(condition: Callable[[], Any], what: str) -> None:
    """Wait until something outside this process holds; fails the test when that takes longer than `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for: {what}"
        time.sleep(0.01)


def state(pid: int) -> str:
    """Return the state letter of a process, empty when it is gone."""
    found = linux.stat(pid)
    return found.state if found else ""


def gone(pid: int) -> bool:
    """Tell whether a process has ended; nobody may have reaped it yet."""
    found = linux.stat(pid)
    return found is None or found.dead


def hear(child: WorkerProcess, size: int = 1) -> bytes:
    """Return what a child sends, at least `size` bytes unless it ends before that."""
    data = bytearray()
    while len(data) < size and not child.ended:
        assert select.select([child], [], [], PATIENCE)[0], "the child says nothing"
        data += child.read()
    return bytes(data)


def hear_json(child: WorkerProcess) -> dict[str, Any]:
    """Return the JSON object that a child sends in one line."""
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = hear(child)
        assert piece, "the child ended instead of telling its processes"
        data += piece
    told = json.loads(data)
    assert isinstance(told, dict)
    return told


def exit_code(child: WorkerProcess) -> int:
    """Wait for the end of a child and return its exit code."""
    assert select.select([child.sentinel], [], [], PATIENCE)[0], "the child does not end"
    code = child.exit_code()
    assert code is not None
    return code


def send_all(connection: Connection, data: bytes) -> None:
    """Write bytes without a length before them, as the worker does."""
    with socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        pipe.sendall(data)


def tell(connection: Connection, **values: object) -> None:
    """Send one JSON line."""
    send_all(connection, json.dumps(values).encode() + b"\n")


def forever() -> None:
    """Wait until something kills this process."""
    while True:
        signal.pause()


def fork(run: Callable[[], object]) -> int:
    """Fork a grandchild that calls `run` and ends; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    return pid


# ------------------------------------------------------------------------------------------------------- targets
def echo(connection: Connection, _: WorkerSettings) -> None:
    """Send back what comes, until the pipe ends."""
    while data := os.read(connection.fileno(), 65_536):
        send_all(connection, data)


def count(connection: Connection, _: WorkerSettings) -> None:
    """Say that it is there, then the number of bytes that came whenever that is a round number of MiB."""
    tell(connection, ready=True)
    total = 0
    while data := os.read(connection.fileno(), 65_536):
        total += len(data)
        if total % 1_048_576 == 0:
            tell(connection, total=total)


def end_with_seven(_: Connection, __: WorkerSettings) -> None:
    os._exit(7)


def fail(_: Connection, __: WorkerSettings) -> None:
    raise RuntimeError("it comes to nothing")


def segfault(_: Connection, __: WorkerSettings) -> None:
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def read_null(_: Connection, __: WorkerSettings) -> None:
    ctypes.string_at(0)


def kill_itself(_: Connection, __: WorkerSettings) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def send_and_die(connection: Connection, _: WorkerSettings) -> None:
    """Send a result and die before anybody can have read it."""
    send_all(connection, b"r" * 100_000)
    os._exit(3)


def speak_and_stop(connection: Connection, _: WorkerSettings) -> None:
    send_all(connection, b"said before")
    os.kill(os.getpid(), signal.SIGSTOP)


def half_a_frame(connection: Connection, _: WorkerSettings) -> None:
    """Die in the middle of a frame, while a grandchild holds a copy of every descriptor."""
    os.setsid()
    fork(forever)
    send_all(connection, b"half")
    os._exit(0)


def flood_through_grandchild(connection: Connection, _: WorkerSettings) -> None:
    """Die, while a grandchild goes on writing into the pipe for ever."""

    def flood() -> None:
        while True:
            send_all(connection, b"x" * 65_536)

    os.setsid()
    fork(flood)
    os._exit(0)


def flood(connection: Connection, _: WorkerSettings) -> None:
    while True:
        send_all(connection, b"x" * 65_536)


def sleeper(connection: Connection, _: WorkerSettings) -> None:
    """Lead a session and wait."""
    os.setsid()
    tell(connection, pid=os.getpid())
    forever()


def family(connection: Connection, given: WorkerSettings) -> None:
    """Lead a session and have grandchildren of every kind that a plain kill misses."""
    os.setsid()
    reader, writer = os.pipe()

    def in_own_session() -> None:
        os.setsid()
        forever()

    def deaf() -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.write(writer, b".")
        forever()

    def spinning() -> None:
        while True:
            pass

    def renamed() -> None:
        Path("/proc/self/comm").write_text(") Z 1 (", encoding="ascii")
        forever()

    pids = [fork(in_own_session), fork(deaf), fork(spinning), fork(renamed), fork(forever)]
    os.read(reader, 1)
    os.kill(pids[-1], signal.SIGSTOP)
    # An orphan in a session of its own that only its environment gives away, like a browser's crash handler.
    script = "import os; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); os.read(0, 1)"
    stray = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script],
        stdin=reader,
        stdout=subprocess.PIPE,
        env={MARKER: given.marker},
    )
    assert stray.stdout is not None
    orphan = int(stray.stdout.readline())
    stray.wait()
    tell(connection, pids=[os.getpid(), *pids, orphan], own_session=pids[0], deaf=pids[1], orphan=orphan)
    forever()


def browser_like(connection: Connection, _: WorkerSettings) -> None:
    """Have a grandchild that leads a session with a member, as a browser does, and let the leader die when told.

    Nor does the member show its environment, as a browser's helpers do not.
    """
    os.setsid()
    reader, writer = os.pipe()

    def leader() -> None:
        os.setsid()
        os.write(writer, b"%d\n" % fork(lambda: os.execve("/bin/sleep", ["sleep", "1000"], {})))  # noqa: S606 - no shell
        forever()

    leading = fork(leader)
    member = int(os.read(reader, 32))
    tell(connection, leader=leading, member=member)
    os.read(connection.fileno(), 1)
    os.kill(leading, signal.SIGKILL)
    os.waitpid(leading, 0)
    tell(connection, leader_died=True)
    forever()


def headless_leader(connection: Connection, _: WorkerSettings) -> None:
    """End the main thread alone: the process is shown as a zombie while another thread still runs."""
    os.setsid()
    threading.Thread(target=forever_in_a_thread, daemon=True).start()
    tell(connection, pid=os.getpid())
    ctypes.CDLL(None).syscall(60, 0)  # exit(2) on x86-64


def forever_in_a_thread() -> None:
    threading.Event().wait()


def with_fault_handler(connection: Connection, given: WorkerSettings) -> None:
    """Write its stacks on SIGUSR1, and hang with the interpreter's lock held."""
    os.setsid()
    with Path(given.stack_file).open("a") as file:
        file.write("stacks of an earlier request\n")
        file.flush()
        faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)
        hang_in_c(connection)


def hang_in_c(connection: Connection) -> None:
    pause = ctypes.PyDLL(None).pause  # PyDLL keeps the lock of the interpreter
    tell(connection, pid=os.getpid())
    pause()
    forever()


def with_browser(connection: Connection, given: WorkerSettings) -> None:
    """Run a real browser through Playwright, as a worker does."""
    # Playwright takes half a second to import, which only this child shall pay.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    os.setsid()
    os.environ[MARKER] = given.marker
    os.environ["TMPDIR"] = given.temp_dir
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        page = browser.new_page()
        page.set_content("<h1>here</h1>")
        mine = Tree(given.marker, os.getpid(), linux.start_time(os.getpid()) or 0)
        members = [process for process in linux.processes() if _belongs(process, mine)]
        leaders = [process.pid for process in members if process.session == process.pid and process.pid != os.getpid()]
        drivers = [process.pid for process in members if process.name == "node" or process.parent == os.getpid()]
        tell(connection, browser=min(leaders), driver=drivers[0], pids=[process.pid for process in members])
        forever()


def _belongs(process: linux.Stat, tree: Tree) -> bool:
    """Tell by parents alone whether a process is a descendant of this one."""
    return any(ancestor.pid == tree.pid for ancestor in ancestors(process))


def ancestors(process: linux.Stat) -> Iterator[linux.Stat]:
    """Yield a process and its parents."""
    current: linux.Stat | None = process
    while current is not None:
        yield current
        current = linux.stat(current.parent) if current.parent else None
