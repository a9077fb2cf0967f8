"""Recipes that go wrong on purpose, each on one reference or in one method. The reference is T-1042/B."""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from worker.protocol import (
    BrowserStarted,
    Document,
    ErrandFailed,
    Failed,
    FromWorker,
    Heartbeat,
    Hello,
    InventoryExported,
    Kind,
    LoggedIn,
    Ready,
    Served,
    SessionProven,
    Succeeded,
    encode,
)
from worker.site import Inventory, SiteFailure
from worker.sites.demo.recipe import Demo
from worker.work import Worker

if TYPE_CHECKING:
    from worker.visit import Visit

BAD = "T-1042/B"


class _Once(Demo):
    """Goes wrong at the first attempt of each worker's file at `BAD`: the attempt's number is not for a recipe."""

    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD and not _was_here():
            await self.go_wrong(visit)
        await super().process(visit, reference)

    async def go_wrong(self, visit: "Visit") -> None:
        raise NotImplementedError


def _was_here() -> bool:
    """Say whether any worker of this run has asked before; a file beside the recipe's run tells."""
    mark = Path(os.environ["FIRST_TIME_MARK"])
    with contextlib.suppress(FileExistsError):
        mark.touch(exist_ok=False)
        return False
    return True


def _pipe() -> int:
    """Return the worker's end of its pipe."""
    (connection,) = (found for found in gc.get_objects() if isinstance(found, Connection) and not found.closed)
    return connection.fileno()


class Spins(_Once):
    """Never gives the event loop back."""

    async def go_wrong(self, visit: "Visit") -> None:
        while True:
            pass


class Blocks(_Once):
    """Waits in a blocking call for ever."""

    async def go_wrong(self, visit: "Visit") -> None:
        threading.Event().wait()


class HoldsTheLock(_Once):
    """Waits in C, with the interpreter's lock held: nothing else runs in this process, no thread either."""

    async def go_wrong(self, visit: "Visit") -> None:
        ctypes.PyDLL(None).pause()


class Ends(_Once):
    """Ends the process."""

    async def go_wrong(self, visit: "Visit") -> None:
        os._exit(9)


class Segfaults(_Once):
    """Reads at address 0."""

    async def go_wrong(self, visit: "Visit") -> None:
        ctypes.string_at(0)


class Grows(_Once):
    """Takes memory and keeps it, until somebody ends it; within bounds, should nobody do so."""

    async def go_wrong(self, visit: "Visit") -> None:
        held = []
        for number in range(60):
            held.append(bytes([number]) * 50_000_000)
            await asyncio.sleep(0.02)
        await asyncio.Event().wait()


class Garbles(_Once):
    """Writes into the supervisor's pipe what is no message, and goes on."""

    async def go_wrong(self, visit: "Visit") -> None:
        os.write(_pipe(), b"\xc1 and more")
        await asyncio.Event().wait()


class Floods(_Once):
    """Says, as fast as the pipe takes it, what are messages all right: of other attempts, errands and browsers."""

    async def go_wrong(self, visit: "Visit") -> None:
        pipe = _pipe()
        os.set_blocking(pipe, True)
        document = Document("a.pdf", "x" * 60_000, 5, "0" * 64, 1)
        flood = (
            *(Heartbeat(7, f"step {number} " + "x" * 900, 5.0, {f"host-{number}": 9}) for number in range(200)),
            *(Succeeded(attempt, (document,)) for attempt in (0, 2**53)),
            *(Failed(attempt, kind, "y" * 60_000, ready=False) for attempt in (0, 2**53) for kind in Kind),
            *(ErrandFailed(2**40, kind, "z" * 60_000, ready=False) for kind in (Kind.LOGIN_REFUSED, Kind.NETWORK)),
            *(LoggedIn(2**40, bytes(100_000)), InventoryExported(2**40, "../../etc/passwd", "a", ",", "utf-8")),
            *(SessionProven(2**40), Served(2**40), Ready(), BrowserStarted(1, os.getpid(), "1"), Hello(1, 1)),
        )
        frames = b"".join(encode(message) for message in flood)
        while True:
            os.write(pipe, frames)


class Trickles(_Once):
    """Says what is a message all right, a byte each twentieth of a second, and nothing else meanwhile."""

    async def go_wrong(self, visit: "Visit") -> None:
        pipe, frame = _pipe(), encode(Heartbeat(7, "step " + "x" * 900, 5.0))
        for place in range(len(frame)):
            os.write(pipe, frame[place : place + 1])
            time.sleep(0.05)  # noqa: ASYNC251 - nothing else runs in this process: that is the trouble


class Shouts(_Once):
    """Fails with a text of ten megabytes, in several lines."""

    async def go_wrong(self, visit: "Visit") -> None:
        raise ValueError("deliberate: " + "so much to say\n" * 700_000)


class Tears(_Once):
    """Writes half of a frame of 8 MB, leaves a copy of the pipe to a grandchild in a session of its own, and dies."""

    async def go_wrong(self, visit: "Visit") -> None:
        pipe = _pipe()
        os.set_blocking(pipe, True)
        os.write(pipe, b"\xc6" + (8 * 1024 * 1024 - 100).to_bytes(4, "big") + bytes(3_000_000))
        if os.fork() == 0:
            os.setsid()
            signal.pause()
        os._exit(9)


class AnswersAndDies(Demo):
    """Tells the supervisor that everything is there, and is dead in the same moment."""

    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD:
            (worker,) = (found for found in gc.get_objects() if isinstance(found, Worker))
            answer = worker._send

            def answer_and_die(message: FromWorker) -> None:
                answer(message)
                if isinstance(message, Succeeded):
                    os.kill(os.getpid(), signal.SIGKILL)

            worker._send = answer_and_die
        await super().process(visit, reference)


class AnswersAgain(Demo):
    """Each success is told twice, and a third time after the next one: late, and for an attempt that is over."""

    def __init__(self) -> None:
        super().__init__()
        self._former: list[FromWorker] = []

    async def process(self, visit: "Visit", reference: str) -> None:
        if not self._former:
            (worker,) = (found for found in gc.get_objects() if isinstance(found, Worker))
            answer = worker._send

            def answer_again(message: FromWorker) -> None:
                answer(message)
                if isinstance(message, Succeeded):
                    for one in (message, *self._former[-1:]):
                        answer(one)
                    self._former.append(message)

            worker._send = answer_again
        await super().process(visit, reference)


class KillsEveryWorker(Demo):
    """One reference ends whatever process works on it, each time."""

    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD:
            os._exit(9)
        await super().process(visit, reference)


class NeverAnswersDialogs(_Once):
    """Listens to dialogs and leaves them open: the page waits for ever."""

    async def go_wrong(self, visit: "Visit") -> None:
        visit.page.on("dialog", lambda _dialog: None)
        await visit.page.evaluate("alert('does anybody read this?')")


class RaisesInHandler(_Once):
    """Has a handler of the page's events that raises; Playwright lets it surface anywhere."""

    async def go_wrong(self, visit: "Visit") -> None:
        def broken(_request: object) -> None:
            raise ValueError("deliberate in a handler")

        visit.page.on("request", broken)


class Stubborn(_Once):
    """Ignores being cancelled."""

    async def go_wrong(self, visit: "Visit") -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)


class Sick(Demo):
    """The first worker that gets anything to do fails at everything, whatever its browser, as long as it lives.

    After the first time it goes on with that when a file says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sick: bool | None = None
        self._failed = False

    async def process(self, visit: "Visit", reference: str) -> None:
        if self._sick is None:
            self._sick = not _was_here()
        if self._sick:
            while self._failed and not Path(os.environ["SICK_MARK"]).exists():  # noqa: ASYNC110, ASYNC240 - made outside
                await asyncio.sleep(0.05)
            self._failed = True
            raise SiteFailure(Kind.RECIPE_ERROR, "deliberate: nothing comes of anything here")
        await super().process(visit, reference)


class RaisesInLogIn(Demo):
    async def log_in(self, visit: "Visit") -> None:
        raise ValueError("deliberate in log_in")


class RaisesInIsLoggedIn(Demo):
    async def is_logged_in(self, visit: "Visit") -> bool:
        raise ValueError("deliberate in is_logged_in")


class RaisesInExport(Demo):
    async def export_inventory(self, visit: "Visit") -> Inventory:
        raise ValueError("deliberate in export_inventory")


class RaisesInProcess(Demo):
    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD:
            raise ValueError("deliberate in process")
        await super().process(visit, reference)


class RaisesInRecover(Demo):
    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD:
            await asyncio.Event().wait()
        await super().process(visit, reference)

    async def recover(self, visit: "Visit") -> None:
        raise ValueError("deliberate in recover")


class ExportsHtml(Demo):
    async def export_inventory(self, visit: "Visit") -> Inventory:
        visit.folder.mkdir(parents=True, exist_ok=True)
        file = visit.folder / "inventory.csv"
        file.write_text("<!doctype html><html><body>Please try again later.</body></html>")
        return Inventory(file, column="Stock No")


class OwnLogins(Demo):
    """Each worker logs in for itself."""

    session = "own"


class Elsewhere(Demo):
    """The same under the name of another site."""

    name = "elsewhere"
