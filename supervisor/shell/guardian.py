"""The supervisor's end of the guardian: tells it which trees to kill when the supervisor is gone, however it went."""

import json
import os
import subprocess
import sys
from pathlib import Path

from supervisor.shell import linux
from supervisor.shell.trees import Tree

_PROGRAM = Path(__file__).resolve().with_name("guardian_main.py")
_BACKLOG_LIMIT = 1_048_576  # bytes; a guardian that has left so much unread is replaced
_END_SECONDS = 5.0


class Guardian:
    """A small process in a session of its own. No method but `close` waits for it.

    Call `keep` every second or so: it replaces a guardian that has died, and writes what its pipe did not take.

    Args:
        log_file: to which it appends what it did.
    """

    def __init__(self, log_file: Path) -> None:
        self._log_file = log_file
        self._watched: dict[str, bytes] = {}
        self._out = bytearray()
        self._process: subprocess.Popen[bytes] | None = None
        self._start_time = 0

    @property
    def identity(self) -> tuple[int, int] | None:
        """Its pid and start time, None when it does not run: for `sweep.record`; the pid also for the reaper."""
        return (self._process.pid, self._start_time) if self._process is not None and self.alive() else None

    def alive(self) -> bool:
        """Tell whether the guardian runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, with all that is watched already.

        Raises:
            OSError: it could not be started; `keep` tries again.
        """
        self._kill()
        with self._log_file.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROGRAM), str(os.getpid()), str(linux.start_time(os.getpid()))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                bufsize=0,
                cwd="/",
                start_new_session=True,
            )
        self._process = process
        self._start_time = linux.start_time(process.pid) or 0
        os.set_blocking(self._pipe(), False)
        self._out = bytearray().join(self._watched.values())
        self._flush()

    def watch(self, tree: Tree) -> None:
        """Have this tree killed when the supervisor is gone. To be called again when more of it is known."""
        line = json.dumps({"watch": tree.as_record()}).encode() + b"\n"
        if self._watched.get(tree.marker) != line:
            self._watched[tree.marker] = line
            self._say(line)

    def forget(self, tree: Tree) -> None:
        """Let this tree go: it is verified dead, and its temporary folder is no longer the guardian's affair."""
        if self._watched.pop(tree.marker, None) is not None:
            self._say(json.dumps({"forget": tree.marker}).encode() + b"\n")

    def keep(self) -> str:
        """See that a guardian runs and listens; return a sentence when it did not, otherwise nothing."""
        if self.alive() and len(self._out) < _BACKLOG_LIMIT:
            self._flush()
            return ""
        end = "had ended" if not self.alive() else "did not listen"
        try:
            self.start()
        except OSError as error:
            return f"the guardian {end}, and no other could be started: {error.strerror}"
        return f"the guardian {end}: another one was started"

    def close(self) -> None:
        """Let it end, and wait for that when nothing is watched any more; otherwise it kills what is, alone."""
        if self._process is None:
            return
        self._flush()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not self._watched:
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._kill()

    def _pipe(self) -> int:
        if self._process is None or self._process.stdin is None or self._process.stdin.closed:
            return -1
        return self._process.stdin.fileno()

    def _say(self, line: bytes) -> None:
        self._out += line
        self._flush()

    def _flush(self) -> None:
        """Write what its pipe takes now. When it is gone, `keep` finds that out and tells the next one everything."""
        try:
            while self._out and self._pipe() >= 0:
                del self._out[: os.write(self._pipe(), self._out[:4096])]
        except (BlockingIOError, BrokenPipeError):
            return

    def _kill(self) -> None:
        """End the present guardian before its pipe: at the end of its pipe it would kill what is watched."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None
