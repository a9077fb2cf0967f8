"""The steps of one visit: what the recipe does now, how long each step took, and whether one takes too long."""

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType

from worker.protocol import Step

NO_LIMITS: Mapping[str, float] = MappingProxyType({})

_MOST = 1_000
_LONGEST_NAME = 200


class Steps:
    """Belongs to one visit. `limits` are the seconds that steps may take, by name; most have none."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        self._limits = limits
        self._done: list[Step] = []
        self._name = ""
        self._since = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self.overdue = asyncio.Event()
        """Set when a step takes longer than its limit."""

    def begin(self, name: str) -> None:
        """Begin a step; the one before it ends."""
        self._close()
        if self._over:
            return
        plain = name[:_LONGEST_NAME].encode("utf-8", "replace").decode()  # of a page's text that may be no text
        self._name, self._since = plain, time.monotonic()
        if (limit := self._limits.get(self._name)) is not None:
            self._timer = asyncio.get_running_loop().call_later(limit, self.overdue.set)

    def end(self) -> tuple[Step, ...]:
        """End the last step and return them all; nothing that begins now counts any more."""
        self._close()
        self._over = True
        return tuple(self._done)

    @property
    def present(self) -> tuple[str, float]:
        """Name of the present step ("" between steps), and for how many seconds it has been going on."""
        return self._name, max(0.0, time.monotonic() - self._since)

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._name and len(self._done) < _MOST:
            self._done.append(Step(self._name, round(time.monotonic() - self._since, 3)))
        self._name = ""
