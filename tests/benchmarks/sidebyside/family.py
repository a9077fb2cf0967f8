"""Processor time and memory of a process and all that it started, and the killing of its browsers."""

import contextlib
import random
import threading
import time

import psutil

from supervisor.shell import linux

_LOOK_EVERY = 0.25
"""Seconds between two looks; what a process used after the last look before its death is not counted."""
_WEIGH_EVERY = 4.0
"""Seconds between two measurements of memory, which are not cheap."""
_BROWSERS = ("chromium", "headless_shell", "headless-shell", "chrome")


class Family:
    """Watches a tree of processes in a thread, from its start until `end`.

    Args:
        pid: the root; it is the first generation.
        kill_every: seconds between two SIGKILLs of a browser that is picked at random; None for none.
    """

    def __init__(self, pid: int, kill_every: float | None) -> None:
        self._members: dict[tuple[int, float], psutil.Process] = {}
        self._spent: dict[tuple[int, float], float] = {}
        self._kill_every = kill_every
        self._dice = random.Random(pid)  # noqa: S311 - picks a victim
        self._over = threading.Event()
        self.weights: list[int] = []
        """Proportional set size in bytes, at each measurement."""
        self.kills = 0
        self._add(psutil.Process(pid))
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def cpu(self) -> float:
        """Processor seconds of the whole family so far, the dead included."""
        return sum(self._spent.values())

    def end(self) -> None:
        """Kill whoever is left, and stop watching."""
        self._over.set()
        self._thread.join()
        for _ in range(20):
            self._look()
            living = [member for member in self._members.values() if _runs(member)]
            if not living:
                return
            for member in living:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(living, timeout=0.5)

    def _watch(self) -> None:
        weigh_at = time.monotonic() + _WEIGH_EVERY
        kill_at = time.monotonic() + (self._kill_every or 0)
        while not self._over.wait(_LOOK_EVERY):
            self._look()
            if time.monotonic() >= weigh_at:
                weigh_at += _WEIGH_EVERY
                self.weights.append(self._weigh())
            if self._kill_every and time.monotonic() >= kill_at:
                kill_at += self._kill_every
                self._kill_a_browser()

    def _add(self, process: psutil.Process) -> None:
        self._members.setdefault((process.pid, process.create_time()), process)

    def _look(self) -> None:
        everybody: dict[int, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess):
                everybody.setdefault(process.ppid(), []).append(process)
        ages = [member for member in self._members.values() if _runs(member)]
        while ages:
            for child in everybody.get(ages.pop().pid, ()):
                if (child.pid, child.create_time()) not in self._members:
                    self._add(child)
                    ages.append(child)
        for key, member in self._members.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                if _runs(member):
                    times = member.cpu_times()
                    self._spent[key] = times.user + times.system

    def _weigh(self) -> int:
        found = (linux.stat(member.pid) for member in self._members.values() if _runs(member))
        return sum(linux.memory(process) for process in found if process is not None)

    def _kill_a_browser(self) -> None:
        browsers = []
        for member in self._members.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                if _runs(member) and _is_browser(member.cmdline()):
                    browsers.append(member)
        if browsers:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._dice.choice(sorted(browsers, key=lambda member: member.pid)).kill()
                self.kills += 1


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _is_browser(arguments: list[str]) -> bool:
    """Tell the main process of a browser from its helpers, which all have a type, and from Playwright's driver."""
    if not arguments or any(argument.startswith("--type=") for argument in arguments):
        return False
    name = arguments[0].rpartition("/")[2]
    return name.startswith(_BROWSERS) and any("remote-debugging" in argument for argument in arguments)
