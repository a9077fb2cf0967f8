"""How threads and signals reach the one loop: a queue of events, and a descriptor that becomes readable."""

import contextlib
import os
import signal
import socket
from queue import Empty, SimpleQueue
from types import FrameType

import msgspec

from supervisor.core.events import Event


class Durable(msgspec.Struct, frozen=True):
    """The ledger has every batch up to this one on disk."""

    batch: int


class Broken(msgspec.Struct, frozen=True):
    """A part of the shell met a bug of ours; the run cannot go on."""

    error: Exception


Item = Event | Durable | Broken


class Inbox:
    """Filled by threads with `put`, emptied by the loop with `take` whenever its descriptor is readable."""

    def __init__(self) -> None:
        self._items: SimpleQueue[Item] = SimpleQueue()
        self._woken = False
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def put(self, item: Item) -> None:
        """Leave something for the loop and wake it. From any thread; never waits."""
        self._items.put(item)
        if not self._woken:  # else somebody has just woken the loop, or is about to
            self._woken = True
            os.eventfd_write(self._descriptor, 1)

    @property
    def waits(self) -> bool:
        """Something waits for `take`: asked without a system call, between two looks at the descriptor."""
        return self._woken

    def take(self) -> list[Item]:
        """Return everything that has come, in its order."""
        with contextlib.suppress(BlockingIOError):  # whoever says that we are woken has not written yet, and still will
            os.eventfd_read(self._descriptor)
        self._woken = False  # before the items are taken: what comes after the last of them wakes the loop again
        items = []
        while True:
            try:
                items.append(self._items.get_nowait())
            except Empty:
                return items

    def close(self) -> None:
        """Give the descriptor back; what is put from now on wakes nobody."""
        self._woken = True
        os.close(self._descriptor)


class Signals:
    """Turns signals into bytes on a descriptor: nothing at all is done in a handler."""

    WANTED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        # What nohup has the kernel ignore stays ignored: such a run goes on without its terminal.
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
        self._former = {number: signal.signal(number, _woken) for number in self.WANTED if number not in ignored}

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._reader.fileno()

    def take(self) -> list[int]:
        """Return the numbers of the signals that have come, in their order."""
        return list(_drain(self._reader))

    def close(self) -> None:
        """Restore what was there before."""
        for number, former in self._former.items():
            signal.signal(number, former)
        signal.set_wakeup_fd(self._former_fd)
        self._reader.close()
        self._writer.close()


def _drain(reader: socket.socket) -> bytes:
    try:
        return reader.recv(65_536)
    except BlockingIOError:
        return b""


def _woken(_number: int, _frame: FrameType | None) -> None:
    """Take the place of the default action; the interpreter has written the signal's number already."""
