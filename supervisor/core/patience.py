"""How long a step may take before an attempt is ended early: learned from this run's own durations.

A page that hangs costs the whole TASK_TIMEOUT, although every other vehicle's was open in a fraction of a second. So an
attempt that is not the last one gets a limit for each step that is known by now: a multiple of its 99th percentile, and
never less than a floor. The last attempt has none, so that a vehicle that is slow but honest is never lost. When
everything gets slower at once, the limit of a step doubles with each attempt that it ends, until one succeeds again.
"""

from collections import deque

from worker.protocol import Step

_SAMPLES = 200
_FEWEST = 10
"""Successes before a step has a limit."""
_MOST_STEPS = 32
"""Steps that are learned: a recipe that names its steps after the reference never repeats one."""
_MOST_DOUBLINGS = 10
_FRESH = 10
"""Successes after which the percentile is taken anew."""


class _Known:
    """The durations of one step."""

    __slots__ = ("doublings", "percentile", "seconds", "since")

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=_SAMPLES)
        self.percentile = 0.0
        self.since = 0
        """Successes since it was taken."""
        self.doublings = 0

    def add(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.doublings = 0
        self.since += 1
        if self.since >= _FRESH or seconds > self.percentile:
            ordered = sorted(self.seconds)
            self.percentile = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
            self.since = 0


class Patience:
    """The limits of all steps.

    Args:
        multiple: of the 99th percentile; 0 for no limits at all.
        floor: seconds that every step gets.
    """

    def __init__(self, multiple: float, floor: float) -> None:
        self._multiple = multiple
        self._floor = floor
        self._known: dict[str, _Known] = {}

    def learn(self, steps: tuple[Step, ...]) -> None:
        """An attempt succeeded in these steps."""
        if not self._multiple:
            return
        for step in steps:
            known = self._known.get(step.name)
            if known is None:
                if len(self._known) >= _MOST_STEPS and not self._forget_a_rare_one():
                    continue
                known = self._known[step.name] = _Known()
            known.add(step.seconds)

    def _forget_a_rare_one(self) -> bool:
        """Make room: the step that was seen least has to go, unless it is about to be known."""
        name = min(self._known, key=lambda name: len(self._known[name].seconds))
        if len(self._known[name].seconds) >= _FEWEST:
            return False
        del self._known[name]
        return True

    def ended_early(self, steps: tuple[Step, ...]) -> None:
        """An attempt was ended in the last of these steps, perhaps by its limit: the next one gets more."""
        known = self._known.get(steps[-1].name) if steps else None
        if known is not None and steps[-1].seconds >= self._floor:
            known.doublings = min(known.doublings + 1, _MOST_DOUBLINGS)

    def limits(self) -> dict[str, float]:
        """Return the seconds that each known step may take."""
        return {
            name: round(max(self._floor, self._multiple * known.percentile) * 2.0**known.doublings, 3)
            for name, known in self._known.items()
            if len(known.seconds) >= _FEWEST
        }
