"""Drives a worker's process as the supervisor would: spawned, over a pipe, with deadlines."""

import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections import deque
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeVar

import psutil

from tests.worker.lot_site import PASSWORD, USER
from worker.main import run
from worker.protocol import BrowserStarted, FromWorker, Heartbeat, LoggedIn, LogIn, Ready, ToWorker, encode, from_worker
from worker.settings import WorkerSettings

BROWSER = "/usr/bin/chromium-headless-shell"
RECIPE = f"{Path(__file__).with_name('lot_recipe.py')}:Lot"
DEADLINE = 40.0

M = TypeVar("M", bound=FromWorker)

_NUMBERS = itertools.count(1)


class Child:
    """One incarnation of a worker."""

    def __init__(self, folder: Path, site_url: str, *, site: str = RECIPE, **changes: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.temp = tempfile.mkdtemp(prefix="nf-test-")  # short, because Chromium puts sockets there
        self.log = folder / "worker-1.log"
        self.stacks = folder / "stack.txt"
        environment = {"LOT_URL": site_url, "LOT_USER": USER, "LOT_PASSWORD": PASSWORD}
        fields: dict[str, object] = {
            "slot": 1,
            "incarnation": 1,
            "site": site,
            "temp_dir": self.temp,
            "log_file": str(self.log),
            "stack_file": str(self.stacks),
            "supervisor_pid": os.getpid(),
            "marker": f"test-{os.getpid()}-{next(_NUMBERS)}",
            "browser": BROWSER if Path(BROWSER).exists() else "",
            "heartbeat_interval": 0.2,
            "recover_timeout": 20.0,
            "environment": environment,
        }
        settings = WorkerSettings(**(fields | changes))  # type: ignore[arg-type] # the tests change what they like
        self.connection, theirs = multiprocessing.Pipe(duplex=True)
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=run, args=(theirs, settings), daemon=True)
        self.process.start()
        theirs.close()
        self._decoder = from_worker()
        self._waiting: deque[FromWorker] = deque()
        self.heartbeats: list[Heartbeat] = []
        self.browsers: list[BrowserStarted] = []
        self.eof = False

    def send(self, message: ToWorker) -> None:
        os.write(self.connection.fileno(), encode(message))

    def next(self, seconds: float = DEADLINE) -> FromWorker:
        """Return the next message that is no heartbeat and no launch."""
        deadline = time.monotonic() + seconds
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                if isinstance(message, BrowserStarted):
                    self.browsers.append(message)
                elif isinstance(message, Heartbeat):
                    self.heartbeats.append(message)
                else:
                    return message
            self._read(deadline)

    def beat(self, seconds: float = DEADLINE) -> Heartbeat:
        """Return the next heartbeat."""
        deadline = time.monotonic() + seconds
        known = len(self.heartbeats)
        while len(self.heartbeats) == known:
            self._read(deadline)
            beats = [message for message in self._waiting if isinstance(message, Heartbeat)]
            self.heartbeats += beats
            self._waiting = deque(message for message in self._waiting if not isinstance(message, Heartbeat))
        return self.heartbeats[-1]

    def expect(self, kind: type[M], seconds: float = DEADLINE) -> M:
        message = self.next(seconds)
        assert isinstance(message, kind), f"{message} came, expected {kind.__name__}\n{self.said()}"
        return message

    def launched(self, number: int, seconds: float = DEADLINE) -> BrowserStarted:
        """Return the report of the `number`-th launch, counted from 1."""
        deadline = time.monotonic() + seconds
        while True:
            starts = [m for m in self._waiting if isinstance(m, BrowserStarted)]
            self.browsers += starts
            self._waiting = deque(m for m in self._waiting if not isinstance(m, BrowserStarted))
            if len(self.browsers) >= number:
                return self.browsers[number - 1]
            self._read(deadline)

    def _read(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        ready = wait([self.connection], timeout=max(0.0, left))
        assert ready, f"nothing came in time\n{self.said()}"
        data = os.read(self.connection.fileno(), 65536)
        assert data, f"the pipe ended\n{self.said()}"
        self._waiting.extend(self._decoder.feed(data))

    def ready(self) -> None:
        hello = self.next()
        assert type(hello).__name__ == "Hello", self.said()
        self.expect(Ready)

    def log_in(self) -> bytes:
        self.send(LogIn(1, str(self.folder / "login"), 30))
        return self.expect(LoggedIn).session

    def exit_code(self, seconds: float = DEADLINE) -> int | None:
        self.process.join(seconds)
        return self.process.exitcode

    def tree(self) -> list[psutil.Process]:
        """Every process of the child, itself included; found while it lives."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def said(self) -> str:
        printed = Path(self.temp, "output.txt")
        parts = [path.read_text("utf-8", "replace") for path in (self.log, printed) if path.exists()]
        return "\n".join(parts)[-6000:]

    def end(self) -> None:
        """Kill it; assert that until now no exception of a call that was given up was left to nobody."""
        tree = []
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            tree = self.tree()
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):  # its parent took it along
                process.send_signal(signal.SIGKILL)
        self.process.join(10)
        gone(tree, 10)  # what still lives would write into the folder that is about to go
        self.process.close()
        self.connection.close()
        shutil.rmtree(self.temp, ignore_errors=True)
        said = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        assert "was never retrieved" not in said, said


def gone(processes: list[psutil.Process], seconds: float = DEADLINE) -> list[psutil.Process]:
    """Wait until the processes are dead and return those that are not; a zombie is dead."""
    deadline = time.monotonic() + seconds
    while True:
        alive = [process for process in processes if _alive(process)]
        if not alive or time.monotonic() > deadline:
            return alive
        psutil.wait_procs(alive, timeout=0.2)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
