"""Worker processes: started with *spawn*, spoken to without ever blocking, seen ending by their pidfd.

Each incarnation has one private socket pair that is thrown away at its death. Nothing else is shared with it, so that
a child may die or freeze at any byte. Its end is told by a pidfd: the sentinel of `multiprocessing` is a descriptor
that a forked grandchild may hold open.
"""

import contextlib
import errno
import importlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from supervisor.shell import linux
from supervisor.shell.trees import MARKER
from worker.protocol import FRAME_LIMIT
from worker.settings import WorkerSettings

READ_SIZE = 65_536
"""The most bytes that one `WorkerProcess.read` returns. Room for more would be mapped and unmapped for each message."""

BUFFER_LIMIT = 2 * FRAME_LIMIT
"""The most bytes that may wait for a child that does not read."""

_SETTINGS_LIMIT = 32_768  # with the rest that is pickled they must fit into a pipe, or start() waits for the child

Target = Callable[[Connection, WorkerSettings], None]


class SpawnError(Exception):
    """A child could not be started. The sentence says why."""


class BacklogError(Exception):
    """A child has not read for so long that nothing more can be kept for it. The sentence says how much waits."""


class WorkerProcess:
    """One incarnation of a slot's worker, as the loop holds it. No method waits. Made by `Processes.spawn`."""

    def __init__(self, slot: int, incarnation: int, process: SpawnProcess, connection: Connection) -> None:
        if process.pid is None:
            raise ValueError("the process has not been started")
        started = linux.start_time(process.pid)
        if started is None:
            raise ValueError(f"process {process.pid} has been reaped already")
        self.slot = slot
        """Of the fleet; these two change when a spare steps into a slot."""
        self.incarnation = incarnation
        self.pid = process.pid
        self.start_time = started
        """Clock ticks since boot."""
        self.ended = False
        """True once the pipe was read to its end; it may stay False after death, when a grandchild holds a copy."""
        self._process = process
        self._connection = connection
        self._pidfd = os.pidfd_open(self.pid)
        self._out = bytearray()
        self._deaf = False
        self._exit_code: int | None = None
        os.set_blocking(connection.fileno(), False)

    def __repr__(self) -> str:
        return f"WorkerProcess(slot={self.slot}, incarnation={self.incarnation}, pid={self.pid})"

    def fileno(self) -> int:
        """Return the descriptor of the pipe."""
        return self._connection.fileno()

    @property
    def sentinel(self) -> int:
        """A descriptor that becomes readable when the child has ended."""
        return self._pidfd

    def read(self) -> bytes:
        """Return what has come, at most `READ_SIZE` bytes; nothing when there is none now or `ended` is True."""
        if self.ended:
            return b""
        try:
            data = os.read(self.fileno(), READ_SIZE)
        except BlockingIOError:
            return b""
        except ConnectionResetError:  # it ended with bytes from us unread; what it had sent was delivered before
            data = b""
        self.ended = not data
        return data

    def read_to_end(self) -> bytes:
        """Return all that is in the pipe of a dead child, about `FRAME_LIMIT` bytes at most.

        There is a limit, because a grandchild that holds a copy of the pipe could go on writing for ever.
        """
        data = bytearray()
        while len(data) < FRAME_LIMIT and (piece := self.read()):
            data += piece
        return bytes(data)

    @property
    def wants_write(self) -> bool:
        """Tell whether bytes wait for the child to read; `flush` when the pipe is writable."""
        return bool(self._out)

    def send(self, frame: bytes) -> None:
        """Send a frame, or keep what the pipe does not take. A child that is gone is no failure: its end is told apart.

        Raises:
            BacklogError: more than `BUFFER_LIMIT` bytes would wait. Nothing of the frame was sent.
        """
        if self._deaf:
            return
        if len(self._out) + len(frame) > BUFFER_LIMIT:
            raise BacklogError(f"{len(self._out)} bytes wait already for worker {self.slot}, which does not read")
        self._out += frame
        self.flush()

    def flush(self) -> None:
        """Write as much of what waits as the pipe takes now."""
        try:
            while self._out:
                del self._out[: os.write(self.fileno(), self._out[:READ_SIZE])]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._deaf = True
            self._out.clear()

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal; None while the child runs. Reaps it."""
        if self._exit_code is None:
            self._exit_code = self._process.exitcode
        return self._exit_code

    def close(self) -> None:
        """Throw the pipe and the descriptors of a dead child away.

        Raises:
            ValueError: it still runs.
        """
        if self.exit_code() is None:
            raise ValueError(f"worker {self.slot} (pid {self.pid}) still runs")
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
            self._connection.close()
            self._process.close()


class Processes:
    """Starts children and knows those that are not yet closed. To be made in the main thread.

    Args:
        target: what runs in the child; must be picklable. The worker, when not given.
    """

    def __init__(self, target: Target | None = None) -> None:
        self._target = target or _run_worker
        self._context = multiprocessing.get_context("spawn")
        self._live: list[WorkerProcess] = []
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # Inherited from whoever started us; the kernel would throw every exit code away.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def spawn(self, slot: int, incarnation: int, settings: WorkerSettings) -> WorkerProcess:
        """Start a child. To be called in the main thread: a child's parent-death signal is tied to its parent thread.

        Raises:
            SpawnError: the machine or the settings do not allow it.
            RuntimeError: called in another thread.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children are started in the main thread only")
        if (size := len(pickle.dumps(settings))) > _SETTINGS_LIMIT:
            raise SpawnError(
                f"the settings of worker {slot} take {size} bytes, at most {_SETTINGS_LIMIT} are allowed:"
                " shorten the environment that is handed to the children"
            )
        try:
            process, ours = self._start(settings, f"worker-{slot}")
        except OSError as error:
            raise _refused(slot, error) from error
        try:
            child = WorkerProcess(slot, incarnation, process, ours)
        except OSError as error:
            ours.close()
            _abort(process)
            raise _refused(slot, error) from error
        self._live.append(child)
        return child

    def _start(self, settings: WorkerSettings, name: str) -> tuple[SpawnProcess, Connection]:
        """Start a process on one end of a new pipe; return it and our end.

        Raises:
            OSError: the machine does not allow it.
        """
        ours, theirs = multiprocessing.Pipe(duplex=True)
        # A daemon, so that the interpreter's end terminates a child that was left, instead of waiting for it.
        process = self._context.Process(target=self._target, args=(theirs, settings), name=name, daemon=True)
        resource_tracker.ensure_running()  # it would be started with the first child, and belongs to no tree
        try:
            with _marked(settings.marker), _complaints_in(settings.log_file):
                process.start()
        except OSError:
            ours.close()
            if process.pid is not None:
                _abort(process)
            raise
        finally:
            theirs.close()
        return process, ours

    def pids(self) -> frozenset[int]:
        """Return the pids of the children that were not yet closed: nobody else may reap these."""
        self._live = [child for child in self._live if child.sentinel >= 0]
        return frozenset(child.pid for child in self._live)

    def abandon(self) -> None:
        """Kill every child that was not yet closed: the last resort, before the interpreter ends and waits for them.

        Only the children themselves; their trees are the guardian's.
        """
        for child in self._live:
            if child.sentinel >= 0:
                linux.send_signal(child.pid, child.start_time, signal.SIGKILL)


@contextlib.contextmanager
def _marked(marker: str) -> Iterator[None]:
    """Have the mark in the environment that a child is executed with.

    A child that set it itself would show it to nobody: the kernel keeps the environment of the last exec, and whatever
    the child forks has that one too.
    """
    former = os.environ.get(MARKER)
    os.environ[MARKER] = marker
    try:
        yield
    finally:
        if former is None:
            del os.environ[MARKER]
        else:
            os.environ[MARKER] = former


@contextlib.contextmanager
def _complaints_in(log_file: str) -> Iterator[None]:
    """Have a child say to its log what it has to say before it sends its output elsewhere, and not to our terminal.

    When we are killed in this moment, Python itself tells with a traceback that there is nothing to read for it. What
    we say ourselves meanwhile, which is nothing but the fault handler's, goes there as well.
    """
    with contextlib.ExitStack() as stack:
        try:
            ours = os.dup(2)
            stack.callback(os.close, ours)
            log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, log)
            os.dup2(log, 2)
            stack.callback(os.dup2, ours, 2)
        except OSError:
            pass  # a full disk, no descriptor left, a standard error that was closed: it is said where it was before
        yield


def _run_worker(connection: Connection, settings: WorkerSettings) -> None:
    """Run the worker, in the child: the supervisor itself never imports it."""
    importlib.import_module("worker.main").run(connection, settings)


def _abort(process: SpawnProcess) -> None:
    """Kill a child that was just started and cannot be kept; as it is ours and not reaped, its pid is its own."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        process.kill()
    process.join()
    process.close()


def _refused(slot: int, error: OSError) -> SpawnError:
    hints = {
        errno.EAGAIN: "the limit on processes is reached (ulimit -u, or the container's pids limit)",
        errno.EMFILE: "the limit on open files is reached (ulimit -n)",
        errno.ENFILE: "the machine's limit on open files is reached",
        errno.ENOMEM: "the memory is used up",
        errno.EPIPE: "it ended at once",
    }
    reason = hints.get(error.errno or 0, error.strerror or str(error))
    return SpawnError(f"no process could be started for worker {slot}: {reason}")
