"""What is left of this machine for a run: memory, processes, descriptors, room for files, each within its own limits.

Sources: proc_meminfo(5), proc_pid_cgroup(5), cgroups(7), the kernel's admin-guide/cgroup-v2.rst and
admin-guide/cgroup-v1/memory.rst and pids.rst. A cgroup's limit holds for all below it, so the folders from our own up
to the root are read. A file that is not there, or not ours to read, limits nothing.
"""

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from supervisor.shell import linux

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60
"""Version 1 has no word for "no limit", but a number near the largest of 63 bits."""


class Room(NamedTuple):
    """What can still be put on a file system."""

    free: int
    """Bytes."""
    total: int
    inodes: int
    """Files that can still be made."""
    all_inodes: int
    """0 where the file system has as many as there is room for."""


def room(folder: Path) -> Room:
    """Return what an ordinary user can still put on the file system of a folder.

    Raises:
        OSError: the folder is gone, or its disk failed.
    """
    found = os.statvfs(folder)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, max(found.f_favail, 0), found.f_files)


class MachineWatch:
    """Reads the machine's files; the folders can be others, for tests."""

    def __init__(self, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> None:
        self._proc = proc
        self._cgroups = cgroups
        self._ticks: tuple[int, int] | None = None
        self._usage: dict[Path, tuple[float, float]] = {}

    def left(self) -> dict[str, int]:
        """Return what is left, as `MachineMeasured` wants it."""
        found = {"memory": self.memory(), "processes": self.processes(), "descriptors": self.descriptors()}
        return {name: amount for name, amount in found.items() if amount is not None}

    def memory(self) -> int | None:
        """Return the bytes that can still be taken: what the kernel says, or less where a cgroup allows less."""
        lines = _read(self._proc / "meminfo").splitlines()
        lefts = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        for folder in self._folders(""):
            lefts += _memory_left(folder, "memory.max", "memory.current", "inactive_file")
        for folder in self._folders("memory"):
            lefts += _memory_left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        return min(lefts, default=None)

    def processes(self) -> int | None:
        """Return how many processes and threads can still be started: by cgroup, by user, and on the whole machine."""
        lefts = []
        for folder in (*self._folders(""), *self._folders("pids")):
            limit, used = _number(folder / "pids.max"), _number(folder / "pids.current")
            if limit is not None and used is not None:
                lefts.append(max(limit - used, 0))
        running = _read(self._proc / "loadavg").split()
        everyone = int(running[3].partition("/")[2]) if len(running) > 3 else None  # noqa: PLR2004 - "1/234" is 4th
        for name in ("pid_max", "threads-max"):
            limit = _number(self._proc / "sys" / "kernel" / name)
            if limit is not None and everyone is not None:
                lefts.append(max(limit - everyone, 0))
        soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        if soft != resource.RLIM_INFINITY and os.geteuid() != 0:  # the kernel does not hold root to it
            lefts.append(max(soft - self._threads_of(os.getuid()), 0))
        return min(lefts, default=None)

    def descriptors(self) -> int | None:
        """Return how many files this process can still open."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return None
        try:
            used = len(list((self._proc / "self" / "fd").iterdir()))
        except OSError:  # not even one more for looking
            return 0
        return max(soft - used, 0)

    def idle(self) -> float | None:
        """Return the share of the processor that nobody used since the last call; None at the first one.

        It is the machine's own, proc_stat(5), or what a cgroup's ``cpu.max`` allows, whichever has less left.
        """
        shares = []
        words = _read(self._proc / "stat").partition("\n")[0].split()
        if words[:1] == ["cpu"] and len(words) > 5:  # noqa: PLR2004 - idle is the 4th number, iowait the 5th
            # What runs at a lower priority than ours gives way to it. Guests' time is part of user's.
            gives_way = int(words[2]) if os.getpriority(os.PRIO_PROCESS, 0) <= 0 else 0
            ticks = (int(words[4]) + int(words[5]) + gives_way, sum(map(int, words[1:9])))
            if self._ticks is not None and ticks[1] > self._ticks[1]:
                shares.append((ticks[0] - self._ticks[0]) / (ticks[1] - self._ticks[1]))
            self._ticks = ticks
        now = time.monotonic()
        for folder in self._folders(""):
            quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
            usage = [
                line.split()[1] for line in _read(folder / "cpu.stat").splitlines() if line.startswith("usage_usec ")
            ]
            if not quota.isdecimal() or not period.isdecimal() or not usage:
                continue
            used, before = int(usage[0]) / 1e6, self._usage.get(folder)
            self._usage[folder] = (now, used)
            if before is not None and now > before[0]:
                allowed = (now - before[0]) * int(quota) / int(period)
                shares.append(1 - (used - before[1]) / allowed)
        return min(max(min(shares), 0.0), 1.0) if shares else None

    def _threads_of(self, user: int) -> int:
        threads = 0
        for process in linux.processes():
            try:
                owner = os.stat(self._proc / str(process.pid)).st_uid  # noqa: PTH116 - as the rest of what reads /proc
            except OSError:
                continue  # it has ended
            threads += process.threads if owner == user else 0
        return threads

    def _folders(self, controller: str) -> Iterator[Path]:
        """Yield our cgroup's folders of a version 1 controller (``""`` for version 2), the innermost first."""
        for line in _read(self._proc / "self" / "cgroup").splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if (number == "0" and not controllers) if not controller else (controller in controllers.split(",")):
                root = self._cgroups / controllers if controller else self._cgroups
                if not controller and (root / "unified").is_dir():
                    root /= "unified"
                inner = root / path.lstrip("/")
                # In a container the path may be the host's, which cannot be seen here: then the root is our own.
                here = inner if inner.is_dir() else root
                yield from (here, *(parent for parent in here.parents if parent.is_relative_to(root)))


def _memory_left(folder: Path, limit_file: str, used_file: str, cache: str) -> list[int]:
    limit, used = _number(folder / limit_file), _number(folder / used_file)
    if limit is None or used is None or limit >= _UNLIMITED:
        return []
    # Files in the page cache count as used, but give way.
    words = (line.split() for line in _read(folder / "memory.stat").splitlines())
    return [max(limit - used + sum(int(pair[1]) for pair in words if pair[:1] == [cache]), 0)]


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is no such file, or it says ``max``."""
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
