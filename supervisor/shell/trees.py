"""The whole tree of one incarnation of a worker: found, measured, killed and verified dead.

No single mark finds every process of a browser. The tree is what any of these finds:

- the child itself and everything it has started, by parent;
- the child's session (it leads one of its own) and the browser's (Chromium starts in another one);
- the marker in the environment: Playwright's driver, the browser and its crash handlers, wherever they were adopted;
- everything that was once found: a process whose parents have died is still the one that was seen before.

A process is never older than its tree, and a session is no longer ours once its number leads another one.
Standard library alone, because the guardian uses it without site-packages.
"""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterable
from typing import Any

from supervisor.shell import linux
from supervisor.shell.linux import Stat

MARKER = "NIGHTFLEET_MARK"
"""The environment variable by which strays are found."""

_MISSES = 2
"""Scans in a row that must find nothing, because a single one may miss a process that was just being forked."""

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # they pass, and a kill must not fail of them

_SAME = 0.05
"""The share by which a tree's resident size may change before its memory is added up again."""
_USES = 9
"""Times that a sum is used again, at most."""

_GENERATIONS = 16
"""How far up a process's parents are followed."""


class RecordError(ValueError):
    """A recorded tree cannot be used. The sentence says why."""


class Tree:
    """One child and all that it started. Safe to use from several threads; only `kill` waits.

    Args:
        marker: value of `MARKER` in the environment of the tree, never used for another one.
        pid: the child's.
        start_time: the child's, in clock ticks since boot.
        temp_dir: its temporary folder, absolute; empty for none.
    """

    def __init__(self, marker: str, pid: int, start_time: int, temp_dir: str = "") -> None:
        self.marker = marker
        self.pid = pid
        self.start_time = start_time
        self.temp_dir = temp_dir
        self._lock = threading.Lock()
        # By session id: its leader's start time, and how many scans in a row found the session empty.
        self._sessions: dict[int, tuple[int, int]] = {pid: (start_time, 0)}
        self._seen: dict[int, int] = {}
        # The resident and the proportional size when they were added up, and for how many times that may do.
        self._weighed = (0, 0, 0)

    def __repr__(self) -> str:
        return f"Tree({self.marker!r}, {self.pid}, {self.start_time})"

    def add_session(self, pid: int) -> bool:
        """Remember the session that a browser leads, as its worker reported it. Never waits.

        The report is untrusted: a pid that is not a descendant of the child and leader of its session changes nothing.

        Returns:
            True when the session is remembered now and was not before.
        """
        leader = linux.stat(pid)
        if leader is None or leader.session != pid or not self._descends(leader):
            return False
        with self._lock:
            if self._sessions.get(pid, (None,))[0] == leader.start_time:
                return False  # a worker may say so a thousand times
            self._sessions[pid] = (leader.start_time, 0)
        return True

    def scan(self, running: Iterable[Stat] | None = None) -> tuple[Stat, ...]:
        """Return every process of the tree, oldest first, the dead that nobody has reaped yet included.

        `running` is what `linux.processes` has just yielded, for those who look for several trees.
        """
        everyone = {process.pid: process for process in (linux.processes() if running is None else running)}
        candidates = [process for process in everyone.values() if self._may_belong(process)]
        with self._lock:
            known, seen = dict(self._sessions), dict(self._seen)
        sessions = {sid for sid, (started, _) in known.items() if _is_same_session(sid, started, everyone)}
        ours = {
            process.pid: process
            for process in candidates
            if (process.pid, process.start_time) == (self.pid, self.start_time)
            or seen.get(process.pid) == process.start_time
            or process.session in sessions
        }
        _add_descendants(ours, candidates)
        # Reading an environment costs more than all the rest, so it is asked last, of those that nothing else claims.
        for process in candidates:
            if process.pid not in ours and linux.environment_has(process.pid, MARKER, self.marker):
                ours[process.pid] = process
        _add_descendants(ours, candidates)
        self._remember(ours, {process.session for process in everyone.values()}, known, sessions)
        return tuple(sorted(ours.values(), key=lambda process: (process.start_time, process.pid)))

    def members(self) -> tuple[Stat, ...]:
        """Return every process of the tree that is not dead, oldest first. Zombies count as dead."""
        return tuple(process for process in self.scan() if not process.dead)

    def memory(self, running: Iterable[Stat] | None = None) -> int:
        """Return the bytes that the whole tree holds: proportional set size, resident size where that is unknown.

        The kernel adds the proportional size up page by page, milliseconds for each process of a browser. So it is
        asked again only when the resident size, which costs nothing, is another one, and now and then.

        Args:
            running: as for `scan`.
        """
        members = [process for process in self.scan(running) if not process.dead]
        resident = sum(process.rss for process in members)
        then, held, uses = self._weighed
        if uses and abs(resident - then) <= then * _SAME:
            self._weighed = then, held, uses - 1
        else:
            held = sum(linux.memory(process) for process in members)
            self._weighed = resident, held, _USES
        return held

    def kill(self, seconds: float) -> bool:
        """Kill every process of the tree and wait until two scans in a row find none alive. To be called in a thread.

        Members that this process has adopted are reaped; the child itself never is, because its exit code
        belongs to whoever started it.

        Args:
            seconds: after which it gives up; it may be called again.

        Returns:
            True when the tree is verified dead.
        """
        deadline = time.monotonic() + seconds
        pause, empty = 0.005, 0
        while True:
            try:
                empty = 0 if self._strike() else empty + 1
            except OSError as error:
                if error.errno not in _SHORTAGES:
                    raise
                empty = 0  # nothing could be seen, so nothing is verified
            if empty == _MISSES:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)  # members are no children of ours, and new ones may be forked meanwhile
            pause = min(pause * 1.5, 0.1)

    def as_record(self) -> dict[str, Any]:
        """Return all that is needed to find the tree again in another process, for JSON."""
        with self._lock:
            return {
                "marker": self.marker,
                "pid": self.pid,
                "start_time": self.start_time,
                "temp_dir": self.temp_dir,
                "sessions": [[sid, start_time] for sid, (start_time, _) in self._sessions.items()],
                "seen": [[pid, start_time] for pid, start_time in self._seen.items()],
            }

    @classmethod
    def from_record(cls, record: object) -> "Tree":
        """Return the tree that `as_record` described.

        Raises:
            RecordError: it is not such a description.
        """
        match record:
            case {
                "marker": str(marker),
                "pid": int(pid),
                "start_time": int(start_time),
                "temp_dir": str(temp_dir),
                "sessions": list(sessions),
                "seen": list(seen),
            } if marker and pid > 1 and start_time > 0:
                tree = cls(marker, pid, start_time, temp_dir)
                tree._sessions = {sid: (started, 0) for sid, started in _pairs(sessions)}
                tree._seen = dict(_pairs(seen))
                return tree
            case _:
                raise RecordError(f"not the record of a process tree: {str(record)[:200]}")

    def _strike(self) -> bool:
        """Kill what is alive and reap what was adopted; True when anything was alive."""
        found = self.scan()
        for process in found:
            if not process.dead:
                linux.send_signal(process.pid, process.start_time, signal.SIGKILL)
            elif process.parent == os.getpid() and process.pid != self.pid:
                linux.reap(process.pid)
        return not all(process.dead for process in found)

    def _may_belong(self, process: Stat) -> bool:
        return process.start_time >= self.start_time and process.pid not in (1, os.getpid())

    def _descends(self, process: Stat) -> bool:
        """Tell whether the child is among the parents of a process."""
        for _ in range(_GENERATIONS):
            if not self._may_belong(process):
                return False
            if process.pid == self.pid:
                return process.start_time == self.start_time
            parent = linux.stat(process.parent)
            if parent is None or parent.start_time > process.start_time:
                return False
            process = parent
        return False

    def _remember(
        self, ours: dict[int, Stat], populated: set[int], known: dict[int, tuple[int, int]], sessions: set[int]
    ) -> None:
        """Keep what a scan found: the members, the sessions they lead. Let go of sessions that are empty for good.

        Args:
            ours: the members by pid.
            populated: every session id that any process has.
            known: the sessions as they were before the scan; one that was added meanwhile is not touched.
            sessions: those of them that are still ours.
        """
        with self._lock:
            for sid, (started, misses) in known.items():
                # The child counts as well as its session, which it has not made yet when it has only just started.
                missed = 0 if sid in populated or sid in ours else misses + 1
                if sid not in sessions or missed == _MISSES:
                    self._sessions.pop(sid, None)
                else:
                    self._sessions[sid] = (started, missed)
            for process in ours.values():
                if process.session == process.pid:
                    self._sessions[process.pid] = (process.start_time, 0)
            self._seen = {pid: process.start_time for pid, process in ours.items() if not process.dead}


def _is_same_session(sid: int, started: int, everyone: dict[int, Stat]) -> bool:
    """Tell whether a session id still means the session whose leader started then.

    The kernel gives a number out again only when no process has it as its pid, group or session. So with its leader
    gone it is still ours, unless the number is another process's by now.
    """
    leader = everyone.get(sid)
    return leader is None or leader.start_time == started


def _add_descendants(ours: dict[int, Stat], candidates: Iterable[Stat]) -> None:
    """Add to `ours` everything among the candidates whose parents lead there."""
    children: dict[int, list[Stat]] = {}
    for process in candidates:
        children.setdefault(process.parent, []).append(process)
    waiting = list(ours.values())
    while waiting:
        parent = waiting.pop()
        for process in children.get(parent.pid, ()):
            if process.pid not in ours and process.start_time >= parent.start_time:
                ours[process.pid] = process
                waiting.append(process)


def _pairs(values: list[object]) -> list[tuple[int, int]]:
    """Return recorded pairs of pid and start time.

    Raises:
        RecordError: one of them is something else.
    """
    pairs = []
    for value in values:
        match value:
            case [int(pid), int(started)] if pid > 1 and started > 0:
                pairs.append((pid, started))
            case _:
                raise RecordError(f"not a pid and a start time: {str(value)[:100]}")
    return pairs
