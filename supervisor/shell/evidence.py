"""What can be learned from a stuck worker in two seconds, before it is killed: stacks, process tree, last log lines."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from supervisor.shell import linux
from supervisor.shell.linux import Stat
from supervisor.shell.trees import Tree

_STACK_SECONDS = 1.0  # at most, for the fault handler to write
_STEP_SECONDS = 0.02
_QUIET_STEPS = 4  # without growth: the stacks are complete
_STACK_LIMIT = 262_144  # bytes
_LOG_LINES = 50
_LOG_LIMIT = 65_536  # bytes


def collect(tree: Tree, stack_file: Path, log_file: Path, into: Path, reason: str) -> list[str]:
    """Save what can be seen of a worker that is about to be killed. Takes 2 s at most; to be called in a thread.

    Writes ``stack.txt`` (the Python stacks, when the child could still write them), ``processes.txt``, ``log.txt``
    (the last lines) into a folder, and appends the reason to ``error.txt``.

    Args:
        tree: the worker's.
        stack_file: where its fault handler writes on SIGUSR1.
        log_file: the log of its slot.
        into: the folder, made when it is missing.
        reason: one sentence.

    Returns:
        One sentence for each thing that could not be saved; the killing must go on all the same.
    """
    problems: list[str] = []

    def save(name: str, content: Callable[[], bytes], mode: str = "wb") -> None:
        try:
            if data := content():
                with (into / name).open(mode) as file:
                    file.write(data)
        except OSError as error:
            problems.append(f"{name} could not be saved: {error}")

    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"no evidence could be saved: {error}"]
    save("error.txt", f"{reason}\n".encode, "ab")
    save("processes.txt", lambda: _processes(tree))
    save("log.txt", lambda: _last_lines(log_file))
    save("stack.txt", lambda: _stacks(tree, stack_file))
    return problems


def _stacks(tree: Tree, stack_file: Path) -> bytes:
    """Return the Python stacks of the child as it writes them now; nothing when it cannot be asked.

    Only the child is asked, and only when it catches the signal: Playwright's driver and a child that has not got so
    far would die of it.
    """
    child = linux.stat(tree.pid)
    if child is None or child.start_time != tree.start_time or child.dead or child.stopped:
        return b""
    if not linux.catches(tree.pid, signal.SIGUSR1):
        return b""
    before = _size(stack_file)
    if not linux.send_signal(tree.pid, tree.start_time, signal.SIGUSR1):
        return b""
    deadline = time.monotonic() + _STACK_SECONDS
    size, quiet = before, 0
    while time.monotonic() < deadline and (size == before or quiet < _QUIET_STEPS):
        time.sleep(_STEP_SECONDS)  # the child says nothing when it has written; this is a thread that kills
        grown = _size(stack_file)
        quiet = 0 if grown != size else quiet + 1
        size = grown
    if size <= before:
        return b""
    with stack_file.open("rb") as file:
        file.seek(before)
        return file.read(_STACK_LIMIT)


def _processes(tree: Tree) -> bytes:
    """Return the tree as a table, the command lines cut down to what cannot hold a secret."""
    found = tree.scan()
    depth: dict[int, int] = {}
    for process in found:  # oldest first, so a parent comes before its children
        depth[process.pid] = depth.get(process.parent, -1) + 1
    lines = [f"{'pid':>8} {'parent':>8} {'state':5} {'rss MB':>7} process"]
    lines += [
        f"{process.pid:>8} {process.parent:>8} {process.state:5} {process.rss / 1e6:>7.1f} "
        f"{'  ' * depth[process.pid]}{_command(process)}"
        for process in found
    ]
    return "\n".join([*lines, ""]).encode()


def _command(process: Stat) -> str:
    """Return the program of a process and, for a browser's, which part it plays; every other argument is left out."""
    # Chromium rewrites the command lines of its children into one string with blanks.
    words = " ".join(linux.command_line(process.pid)[:64])[:4096].split()
    if not words:
        return f"[{process.name}]"
    parts = [word[:60] for word in words if word.startswith("--type=")]
    return " ".join([words[0][:200], *parts[:1]])


def _last_lines(log_file: Path) -> bytes:
    """Return the last lines of a log, nothing when there is none yet."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LOG_LIMIT))
            lines = file.read(_LOG_LIMIT).splitlines(keepends=True)
    except FileNotFoundError:
        return b""
    return b"".join(lines[-_LOG_LINES:])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
