"""Runs a short foreign command that may hang, flood its output or not be what it seems."""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from supervisor.shell.trees import MARKER

_OUTPUT_LIMIT = 65_536


class Outcome(msgspec.Struct, frozen=True):
    """What became of a command."""

    code: int | None
    """Exit code, negative for a signal; None when it was killed by us."""
    output: str
    """The last 64 KiB of both its outputs, as text."""

    @property
    def last_line(self) -> str:
        """The last line that says something, for a message; at most 200 characters."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it said nothing"


class Running:
    """A command that was started. Made by `started`."""

    def __init__(self, process: "subprocess.Popen[bytes]", end: float, silence: float | None) -> None:
        self._process = process
        self._end = end
        self._silence = silence

    def outcome(self) -> Outcome:
        """Wait for its end, at most until its deadline, and leave nothing of its session behind."""
        process = self._process
        assert process.stdout is not None  # noqa: S101 - it was asked for below; for the type checker
        output = bytearray()
        finished = False
        while (left := self._end - time.monotonic()) > 0:
            wait = left if self._silence is None else min(left, self._silence)
            if not select.select([process.stdout], [], [], wait)[0]:
                break
            chunk = os.read(process.stdout.fileno(), _OUTPUT_LIMIT)
            if not chunk:
                finished = True
                break
            output += chunk
            del output[:-_OUTPUT_LIMIT]
        if finished:
            # A pidfd tells of the end without reaping: until it is reaped, the group's number stays this one's.
            pidfd = os.pidfd_open(process.pid)
            finished = bool(select.select([pidfd], [], [], max(self._end - time.monotonic(), 0.1))[0])
            os.close(pidfd)
        self.end()
        return Outcome(process.returncode if finished else None, output.decode(errors="replace"))

    def end(self) -> None:
        """Kill what is left of it."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextlib.contextmanager
def started(
    command: Sequence[str],
    *,
    deadline: float,
    silence: float | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Iterator[Running]:
    """Start a command in a session of its own, of which nothing is left when the block ends.

    Args:
        command: program and arguments; nothing of it goes through a shell.
        deadline: seconds after which it is killed.
        silence: seconds without any output after which it is killed as well.
        environ: its environment, ours when None.
        stdin: what it can read from its standard input.

    Raises:
        OSError: it cannot be started.
    """
    end = time.monotonic() + deadline
    ours = dict(os.environ if environ is None else environ)
    ours.pop(MARKER, None)  # in this moment a worker may be starting, and it belongs to no worker's tree
    # A file, because a pipe would have us wait for a command that does not read.
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            list(command),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ours,
            start_new_session=True,
        )
    with process:
        running = Running(process, end, silence)
        try:
            yield running
        finally:
            running.end()


def run(
    command: Sequence[str],
    *,
    deadline: float,
    silence: float | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Outcome:
    """Run a command to its end. Arguments and errors are those of `started`."""
    with started(command, deadline=deadline, silence=silence, environ=environ, stdin=stdin) as running:
        return running.outcome()
