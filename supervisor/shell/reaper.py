"""Reaps what the supervisor has adopted: orphans of killed browsers become its children and stay zombies otherwise."""

import os
from collections.abc import Callable, Collection

from supervisor.shell import linux


class Reaper:
    """Takes the exit status of adopted orphans, never of a child that somebody here has started and waits for.

    An orphan is a zombie among our children that leads or belongs to another session than ours, is no direct child,
    and was a zombie at the last round too: a child that has just been started is not yet known as a direct one.

    Args:
        direct: returns the pids of the children in sessions of their own whose exit codes belong to somebody.
    """

    def __init__(self, direct: Callable[[], Collection[int]]) -> None:
        self._direct = direct
        self._suspects: set[tuple[int, int]] = set()

    def reap(self) -> int:
        """Reap the adopted zombies that were there at the last round already; return how many. Takes milliseconds."""
        me, our_session = os.getpid(), os.getsid(0)
        zombies = [
            process
            for process in linux.processes()
            if process.parent == me and process.dead and process.session != our_session
        ]
        direct = self._direct()
        orphans = {(process.pid, process.start_time) for process in zombies if process.pid not in direct}
        reaped = {orphan for orphan in orphans & self._suspects if linux.reap(orphan[0])}
        self._suspects = orphans - reaped
        return len(reaped)
