"""One child of a command that is no run: it speaks lines of JSON, and ends with all that it started, whatever happens.

The end of the command's process is the child's, too: the guardian kills its tree and removes its temporary folder.
"""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from supervisor.errors import MachineError
from supervisor.shell import linux, sweep
from supervisor.shell.guardian import Guardian
from supervisor.shell.interrupts import ends_orderly
from supervisor.shell.trees import MARKER, Tree
from supervisor.views.text import clean

_KILL_SECONDS = 5.0
_END_SECONDS = 5.0
_KILL_ROUNDS = 8
_LINE_LIMIT = 4_194_304
_ROOT = Path(__file__).resolve().parents[2]


class SilentError(MachineError):
    """The child has not said anything for too long; one sentence says for how long."""


class Helper:
    """The child while it lives. Made by `started`."""

    def __init__(self, process: "subprocess.Popen[bytes]", tree: Tree, guardian: Guardian, output: Path) -> None:
        self._process = process
        self._output = output
        self._tree = tree
        self._guardian = guardian

    def add_session(self, pid: int) -> None:
        """Take a browser that the child has started for part of it."""
        if self._tree.add_session(pid):
            self._guardian.watch(self._tree)

    def say(self, line: bytes) -> None:
        """Write one line to its standard input; a child that is gone is no failure."""
        assert self._process.stdin is not None  # noqa: S101 - asked for in `started`; for the type checker
        with contextlib.suppress(BrokenPipeError):  # `lines` ends, and tells so
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()

    def lines(self, silence: float) -> Iterator[bytes]:
        """Yield what it writes, line by line, until it closes its standard output.

        Args:
            silence: seconds without a line after which it is given up.

        Raises:
            SilentError: it was silent for that long, or wrote a line without an end.
        """
        assert self._process.stdout is not None  # noqa: S101 - as above
        rest = b""
        deadline = time.monotonic() + silence
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._process.stdout], [], [], left)[0]:
                break
            data = os.read(self._process.stdout.fileno(), 65_536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
            if lines:
                deadline = time.monotonic() + silence
            if len(rest) > _LINE_LIMIT:
                raise SilentError("the process wrote a line without an end")
        raise SilentError(f"the process said nothing for {silence:.0f} s")

    def epitaph(self) -> str:
        """Return in a few words how it ended, once `lines` has, with the last thing that it said beside its lines."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its output and went on"
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        try:
            said = self._output.read_text("utf-8", errors="replace").strip().splitlines()
        except OSError:
            said = []
        return f"{how}: {clean(said[-1])}" if said else how


@contextlib.contextmanager
def started(module: str, order: Callable[[Path, str], bytes], environ: Mapping[str, str]) -> Iterator[Helper]:
    """Run ``python -m module`` until the block ends; then nothing of it is left: no process, no temporary folder.

    A signal that asks this process to end is answered when all that is gone.

    Args:
        module: what to run.
        order: is given its temporary folder and its marker, and returns the first line of its standard input.
        environ: its environment.

    Raises:
        MachineError: it cannot be started.
    """
    name = f"{sweep.TEMP_PREFIX}{uuid.uuid4().hex[:12]}"
    temp_dir, marker = Path(tempfile.gettempdir()) / name, f"{name}.{os.getpid()}-{linux.start_time(os.getpid())}"
    guardian = Guardian(Path(os.devnull))
    with contextlib.ExitStack() as stack:
        stack.enter_context(ends_orderly())
        try:
            temp_dir.mkdir(mode=0o700)
            stack.callback(_remove, temp_dir)
            stack.callback(guardian.close)
            guardian.start()
            output = temp_dir / "output.txt"
            process = stack.enter_context(_process(module, temp_dir, marker, environ, output))
        except OSError as error:
            raise MachineError(f"a process could not be started: {error.strerror or error}") from error
        tree = Tree(marker, process.pid, linux.start_time(process.pid) or 0, str(temp_dir))
        stack.callback(_kill, tree, guardian)
        guardian.watch(tree)
        helper = Helper(process, tree, guardian, output)
        helper.say(order(temp_dir, marker))
        yield helper


@contextlib.contextmanager
def _process(
    module: str, temp_dir: Path, marker: str, environ: Mapping[str, str], output: Path
) -> "Iterator[subprocess.Popen[bytes]]":
    with output.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=_ROOT,
            env={**environ, "TMPDIR": str(temp_dir), MARKER: marker},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # it did not read all that was said
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # what even SIGKILL does not end is left to the guardian
            process.wait(_KILL_SECONDS)


def _kill(tree: Tree, guardian: Guardian) -> None:
    """Kill what is left of the tree; what even then lives is the guardian's, which goes on trying."""
    for _ in range(_KILL_ROUNDS):
        if tree.kill(_KILL_SECONDS):
            guardian.forget(tree)
            return


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError, ValueError):  # a process that survives SIGKILL still writes there
        sweep.remove_temp_dir(folder)
