"""The worker's end of the pipe never blocks, and an end that is of no more use is told."""

import asyncio
import multiprocessing
import os
from multiprocessing.connection import Connection

import pytest

from worker import wire
from worker.exits import Exit
from worker.protocol import FRAME_LIMIT, Assign, Inbound, LoggedIn, Outbound, Ready, ShutDown, encode, from_worker
from worker.wire import Wire

BIG = LoggedIn(1, b"x" * (FRAME_LIMIT // 2))


class End:
    """A wire with the supervisor's end beside it."""

    def __init__(self) -> None:
        ours, theirs = multiprocessing.Pipe(duplex=True)
        self.supervisor: Connection = ours
        self.received: asyncio.Queue[Inbound] = asyncio.Queue()
        self.broken: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.wire = Wire(
            theirs,
            self.received.put_nowait,
            self._break,
        )

    def _break(self, code: Exit) -> None:
        if not self.broken.done():
            self.broken.set_result(code)


def test_a_message_in_single_bytes_arrives_whole() -> None:
    """A frame may be torn anywhere."""

    async def scene() -> None:
        end = End()
        assert not os.get_blocking(end.wire._fd)
        message = Assign(1, "A 1/ä", 1, False, "/staging", 5.0)
        for byte in encode(message) + encode(ShutDown()):
            os.write(end.supervisor.fileno(), bytes([byte]))
        assert await asyncio.wait_for(end.received.get(), 10) == message
        assert await asyncio.wait_for(end.received.get(), 10) == ShutDown()
        end.wire.close()

    asyncio.run(scene())


def test_what_the_pipe_does_not_take_follows_later() -> None:
    """Sending returns at once although nobody reads, and the bytes keep their order."""

    async def scene() -> None:
        end = End()
        end.wire.send(BIG)
        end.wire.send(Ready())
        decoder = from_worker()
        messages: list[Outbound] = []
        while len(messages) < 2:
            data = await asyncio.to_thread(os.read, end.supervisor.fileno(), 1 << 20)
            messages += list(decoder.feed(data))
        assert messages == [BIG, Ready()]
        loop = asyncio.get_running_loop()
        assert end.wire._deaf is None, "nobody is taken for deaf who has heard everything"
        assert not loop.remove_writer(end.wire._fd), "an empty wire does not keep the loop busy"
        end.wire.close()

    asyncio.run(scene())


def test_a_supervisor_that_never_reads_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It always reads; when it does not, there is nobody to work for."""
    monkeypatch.setattr(wire, "PATIENCE", 0.05)

    async def scene() -> None:
        end = End()
        end.wire.send(BIG)
        assert await asyncio.wait_for(end.broken, 10) is Exit.SUPERVISOR_DEAF
        end.wire.close()

    asyncio.run(scene())


def test_a_supervisor_that_is_gone_is_told_by_the_next_message() -> None:
    """Even before its end of the pipe is noticed."""

    async def scene() -> None:
        end = End()
        end.supervisor.close()
        end.wire.send(Ready())
        assert end.broken.done()
        assert end.broken.result() is Exit.SUPERVISOR_LOST
        end.wire.close()

    asyncio.run(scene())


@pytest.mark.parametrize(("data", "code"), [(b"", Exit.SUPERVISOR_LOST), (b"\xc1", Exit.PROTOCOL)])
def test_the_end_of_the_pipe_and_garbage_are_told(data: bytes, code: Exit) -> None:
    """Each with its own exit code."""

    async def scene() -> None:
        end = End()
        if data:
            os.write(end.supervisor.fileno(), data)
        else:
            end.supervisor.close()
        assert await asyncio.wait_for(end.broken, 10) is code
        end.wire.close()

    asyncio.run(scene())
