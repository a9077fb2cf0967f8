"""The worker's end of the pipe: whole messages in and out, and no call that can block."""

import asyncio
import os
from collections.abc import Callable
from multiprocessing.connection import Connection

from loguru import logger

from worker.exits import Exit
from worker.protocol import FromWorker, Inbound, ProtocolError, encode, to_worker

_READ = 256 * 1024
PATIENCE = 30.0
"""Seconds for which a supervisor may leave the pipe unread. It always reads, so longer means that it is stuck."""


class Wire:
    """Frames on a non-blocking pipe, on the event loop that made it."""

    def __init__(
        self, connection: Connection, receive: Callable[[Inbound], None], broken: Callable[[Exit], None]
    ) -> None:
        """Call `receive` with each message and `broken` when the pipe is of no more use."""
        self._connection = connection
        self._fd = connection.fileno()
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._broken = broken
        self._decoder = to_worker()
        self._unsent = bytearray()
        self._deaf: asyncio.TimerHandle | None = None
        os.set_blocking(self._fd, False)
        self._loop.add_reader(self._fd, self._readable)

    def send(self, message: FromWorker) -> None:
        """Send a message; what the pipe does not take now follows as soon as it can."""
        self._unsent += encode(message)
        self._flush()

    def close(self) -> None:
        """Leave the pipe."""
        self._stop_waiting()
        self._loop.remove_reader(self._fd)
        self._connection.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._broken(Exit.SUPERVISOR_LOST)
            return
        try:
            for message in self._decoder.feed(data):
                self._receive(message)
        except ProtocolError as error:
            logger.error("the supervisor sent {}", error)
            self._broken(Exit.PROTOCOL)

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._fd, self._unsent)]
        except BlockingIOError:
            if self._deaf is None:
                self._deaf = self._loop.call_later(PATIENCE, self._broken, Exit.SUPERVISOR_DEAF)
                self._loop.add_writer(self._fd, self._flush)
            return
        except ConnectionError:
            self._broken(Exit.SUPERVISOR_LOST)
            return
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._deaf is not None:
            self._deaf.cancel()
            self._deaf = None
            self._loop.remove_writer(self._fd)
