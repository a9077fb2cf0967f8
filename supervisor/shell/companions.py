"""Processes that a run keeps beside it: the clerk, and the status page where one is wanted.

They read files and never the run, and end at the end of their standard input: with the supervisor, however that ends.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from supervisor.errors import MachineError
from supervisor.shell.journal import Journal
from supervisor.shell.run_directory import RunDirectory

_PROGRAM = Path(__file__).resolve().parents[2] / "run.py"
CLERK_SECONDS = 120.0
"""How long the last tracking.json may take; that of a million references takes about a quarter of it."""
_PAGE_SECONDS = 5.0
_NICENESS = 5
"""Of these processes, beyond our own, from their first moment on: what they do can wait for a browser."""


class _Companion(msgspec.Struct, frozen=True):
    """A process to keep beside the run."""

    words: list[str]
    """Its command and what belongs to it."""
    purpose: str
    log: Path
    """Where its complaints go."""
    patience: float
    """Seconds that it gets to end."""
    descriptors: tuple[int, ...] = ()
    """What it inherits."""


@contextlib.contextmanager
def clerk(directory: RunDirectory, show: str, metrics_file: str, journal: Journal) -> Iterator[None]:
    """Have tracking.json written and the progress shown until the block ends, and the report then.

    Args:
        directory: of the run.
        show: ``live``, ``plain`` or ``quiet``.
        metrics_file: where to keep the metrics; empty for nowhere.
        journal: told when the clerk does not end.

    Raises:
        MachineError: it cannot be started.
    """
    words = ["_clerk", str(directory.path), "--show", show]
    if metrics_file:
        words += ["--metrics-file", metrics_file]
    one = _Companion(words, "writes tracking.json", directory.logs / "clerk.log", CLERK_SECONDS)
    with _beside(one, journal):
        yield


@contextlib.contextmanager
def page(directory: RunDirectory, listener: socket.socket, journal: Journal) -> Iterator[None]:
    """Have the status page served on `listener`, which is closed here, until the block ends.

    Raises:
        MachineError: the process that serves it cannot be started.
    """
    directory.pages.mkdir(mode=0o700, exist_ok=True)
    number = listener.fileno()
    words = ["_page", str(directory.path), "--listener", str(number)]
    one = _Companion(words, "serves the status page", directory.logs / "page.log", _PAGE_SECONDS, (number,))
    try:
        with _beside(one, journal):
            listener.close()
            yield
    finally:
        forget_pages(directory)


def forget_pages(directory: RunDirectory) -> None:
    """Remove the pictures of the workers' pages: they show what only the site's users may see."""
    shutil.rmtree(directory.pages, ignore_errors=True)


@contextlib.contextmanager
def _beside(one: _Companion, journal: Journal) -> Iterator[None]:
    try:
        with one.log.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, str(_PROGRAM), *one.words],
                stdin=subprocess.PIPE,
                stderr=errors,
                pass_fds=one.descriptors,
            )
    except OSError as error:
        raise MachineError(f"the process that {one.purpose} cannot be started: {error.strerror or error}") from error
    _give_way(process.pid, _NICENESS)
    try:
        yield
    finally:
        _give_way(process.pid, 0)
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(one.patience)
        except subprocess.TimeoutExpired:
            journal.note(f"the process that {one.purpose} did not end, and was killed", "WARNING")
            process.kill()
            process.wait()


def _give_way(pid: int, niceness: int) -> None:
    """Let all threads of a process give way by so much more than we do.

    A sandbox may forbid it, and only root may take niceness back. Neither matters: it is a courtesy to the browsers,
    and at the end, when they are gone, one to whoever waits for the end.
    """
    niceness += os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), niceness)
