"""The two signs of life: the pulse that says the event loop turns, and the thread that watches the supervisor."""

import asyncio
import contextlib
import ctypes
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

import psutil

from worker.exits import Exit
from worker.protocol import Heartbeat

_LOOK_EVERY = 1.0  # seconds; the pidfd wakes the thread at once, this is for the cases that it cannot see
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Kin:
    """The processes that belong to this child but not to its process group, to be taken along when it dies."""

    def __init__(self) -> None:
        self._driver: psutil.Process | None = None
        self._browser: psutil.Process | None = None
        self.driver_watch: int | None = None
        """A pidfd by which the event loop notices the driver's death; None when nobody watches."""

    @property
    def browser_pid(self) -> int:
        """Pid of the browser's main process, 0 when none was started."""
        return self._browser.pid if self._browser else 0

    @property
    def driver_pid(self) -> int:
        """Pid of Playwright's driver, 0 when none was started."""
        return self._driver.pid if self._driver else 0

    def find_driver(self) -> int:
        """Remember Playwright's driver, the newest child of this process, and return its pid.

        Raises:
            ProcessLookupError: there is none.
        """
        self._driver = _newest_child(psutil.Process())
        if self._driver is None:
            raise ProcessLookupError("Playwright's driver is not among the children of the worker")
        return self._driver.pid

    def find_browser(self) -> int:
        """Remember the browser's main process, the driver's newest child, and return its pid.

        Raises:
            ProcessLookupError: there is none.
        """
        self._browser = _newest_child(self._driver) if self._driver else None
        if self._browser is None:
            raise ProcessLookupError("the browser is not among the children of Playwright's driver")
        return self._browser.pid

    def page_seconds(self) -> float:
        """Return the processor time in seconds of the browser's renderers that live now."""
        total = 0.0
        for process in self._renderers():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def kill_pages(self) -> None:
        """SIGKILL the browser's renderers, as if every page had crashed; the browser goes on without them."""
        for process in self._renderers():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
                process.kill()

    def _renderers(self) -> Iterator[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):  # the browser is gone, which its pipe tells
            for process in self._browser.children(recursive=True) if self._browser else ():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "--type=renderer" in process.cmdline():
                        yield process

    def kill_browser(self) -> None:
        """SIGKILL the browser's process group, which it leads itself; a browser that is gone is no failure."""
        browser, self._browser = self._browser, None
        if browser is not None and browser.is_running():  # compares the start time: the pid may be somebody else's
            with contextlib.suppress(ProcessLookupError):  # it died between the two calls
                os.killpg(browser.pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL browser and driver."""
        self.kill_browser()
        driver, self._driver = self._driver, None
        if driver is not None:
            with contextlib.suppress(psutil.NoSuchProcess):  # it is gone already
                driver.kill()


def _newest_child(parent: psutil.Process) -> psutil.Process | None:
    found: list[tuple[float, psutil.Process]] = []
    for child in parent.children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append((child.create_time(), child))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def die_with_supervisor(supervisor_pid: int) -> None:
    """Ask the kernel to SIGKILL this process when the supervisor dies (prctl(2), PR_SET_PDEATHSIG).

    Exits at once when the supervisor died before the request: then nobody would send the signal.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != supervisor_pid:
        os._exit(Exit.SUPERVISOR_LOST)


def end_at_once(kin: Kin, code: Exit) -> NoReturn:
    """Take browser and driver along and end without any clean-up that could hang."""
    kin.kill()
    os._exit(code)


def watch_supervisor(supervisor_pid: int, kin: Kin) -> threading.Thread:
    """Start the thread that ends this process and its browser when the supervisor is gone."""
    thread = threading.Thread(target=_watch, args=(supervisor_pid, kin), name="watch-supervisor", daemon=True)
    thread.start()
    return thread


def _watch(supervisor_pid: int, kin: Kin) -> None:
    poller = select.poll()
    with contextlib.suppress(OSError):  # no pidfd (old kernel, or the pid is gone): the parent's pid tells it as well
        poller.register(os.pidfd_open(supervisor_pid), select.POLLIN)
    while os.getppid() == supervisor_pid:
        if poller.poll(_LOOK_EVERY * 1000):
            break
    end_at_once(kin, Exit.SUPERVISOR_LOST)


async def pulse(interval: float, state: Callable[[], Heartbeat], send: Callable[[Heartbeat], None]) -> None:
    """Send the present state every `interval` seconds, for ever."""
    while True:
        send(state())
        await asyncio.sleep(interval)
