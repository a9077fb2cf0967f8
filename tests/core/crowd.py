"""A website of known capacity and a fleet at work on it, for the policy that looks for the best number of workers."""

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from supervisor.core.scaling import Change, Scaling, Surroundings

FREE = Surroundings(free=True, there=True, room=100)


class Crowd:
    """Workers that take references one after the other; how long one takes, `seconds`, depends on how many there are.

    It varies by 70 % to both sides, and a reference has one to four documents. Above `refuses_above` workers one answer
    in five is a 429, which costs `pause` seconds of everybody's time.
    """

    def __init__(
        self, seconds: Callable[[int], float], seed: int, refuses_above: int = 1000, pause: float = 10.0
    ) -> None:
        self.seconds = seconds
        self.refuses_above = refuses_above
        self.pause = pause
        self.now = 0.0
        self.done = 0
        self.changes: list[Change] = []
        self.history: list[tuple[float, int]] = []
        """When how many workers began to be wanted."""
        self._rng = Random(seed)  # noqa: S311 - repeatable, not secret
        self._under_way: list[tuple[float, float]] = []
        """When each ends, and when it began."""
        self._paused_until = 0.0

    def work(self, scaling: Scaling, seconds: float, around: Surroundings = FREE) -> None:
        """Let so many seconds pass."""
        end = self.now + seconds
        while self.now < end:
            while len(self._under_way) < scaling.wanted:
                self._begin(scaling.wanted)
            happens = self._under_way[0][0]
            self.now = min(happens, scaling.next_look, end)
            if self.now == happens:
                self._end(scaling)
            if self.now >= scaling.next_look:
                free = around.free and self.now >= self._paused_until
                there = len(self._under_way) <= scaling.wanted
                seen = Surroundings(free, there, around.room, around.processor_busy)
                change = scaling.look(self.now, seen)
                if change is not None:
                    assert change.workers == scaling.wanted
                    self.changes.append(change)
                    self.history.append((self.now, change.workers))

    def _begin(self, workers: int) -> None:
        begun = max(self.now, self._paused_until)
        heappush(self._under_way, (begun + self.seconds(workers) * self._rng.uniform(0.3, 1.7), begun))

    def _end(self, scaling: Scaling) -> None:
        workers = len(self._under_way)
        _, begun = heappop(self._under_way)
        if workers > self.refuses_above and self._rng.random() < 0.2:
            self._paused_until = self.now + self.pause
            scaling.limited(begun, self.now)
            return
        self.done += 1
        scaling.completed(begun, self.now, self._rng.randint(1, 4))
