"""How threads and signals reach the one loop: a queue of events, and a descriptor that becomes readable."""

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
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._reader.fileno()

    def put(self, item: Item) -> None:
        """Leave something for the loop and wake it. From any thread; never waits."""
        self._items.put(item)
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            return  # so many wake-ups wait already that one more changes nothing

    def take(self) -> list[Item]:
        """Return everything that has come, in its order."""
        _drain(self._reader)
        items = []
        while True:
            try:
                items.append(self._items.get_nowait())
            except Empty:
                return items

    def close(self) -> None:
        """Give the descriptors back."""
        self._reader.close()
        self._writer.close()


class Signals:
    """Turns signals into bytes on a descriptor: nothing at all is done in a handler."""

    WANTED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, _woken) for number in self.WANTED}

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
