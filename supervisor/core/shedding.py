"""When the machine runs short of something that workers take: fewer workers, before the kernel kills something.

    short    less than the reserve is left: nobody is started beside those at work, and one worker after the other is
             let go, the one that holds most memory first, each once it has finished what it holds; never the last one
    urgent   less than half of the reserve: the one that is to go does not finish, and its reference goes back uncounted
    well     half as much again as the reserve is left: after a calm time one more worker may be started, and so on

The next one is let go only when the last one is dead and its absence could be measured.
"""

from supervisor.core.fleet import ALIVE, Slot, SlotState
from supervisor.core.policy import Policy

_WELL = 1.5
_URGENT = 0.5
_SETTLE = 10.0
"""Seconds after a worker's death before what is left is believed to be what is left without it."""
_CALM = 60.0
"""Seconds between two steps back to the full fleet."""
_WORKER = 400_000_000
"""Bytes that a worker takes with its browser, where none could be measured yet."""


_BUSY = 0.05
"""Less than this share of the processor left means that it is busy."""
_IDLE = 0.15
_ALIKE = 3
"""Measurements in a row that change what is believed of the processor."""
_MANY = 1_000
"""Where nobody knows what is left, memory limits nothing."""


class Shedding:
    """Decides how many workers may live, by what is left of each resource."""

    def __init__(self, policy: Policy) -> None:
        self._reserves = {
            "memory": policy.memory_reserve,
            "processes": policy.process_reserve,
            "descriptors": policy.descriptor_reserve,
        }
        self._left: dict[str, int] = {}
        self.short: dict[str, str] = {}
        """By resource: what is short, as a sentence."""
        self.ceiling: int | None = None
        """How many workers may live; None for as many as there are slots."""
        self._victim: tuple[Slot, int] | None = None
        self._settled_at = 0.0
        self.processor_busy = False
        """Nothing was left of the processor lately."""
        self._contrary = 0

    def measured(self, left: dict[str, int]) -> list[str]:
        """Take what is left of the resources; return sentences about what has become short or well."""
        news = []
        for resource, amount in left.items():
            reserve = self._reserves.get(resource, 0)
            self._left[resource] = amount
            if amount < reserve:
                news += [] if resource in self.short else [f"the machine is short of {resource}"]
                self.short[resource] = f"{_said(resource, amount)} left, {_said(resource, reserve)} to be kept free"
            elif resource in self.short and amount >= reserve * _WELL:
                del self.short[resource]
                news.append(f"the machine has enough {resource} again: {_said(resource, amount)} left")
        return news

    def measured_processor(self, idle: float | None) -> None:
        """Take the share of the processor that nobody used. What is believed of it changes after several alike."""
        if idle is None:
            return
        contrary = idle >= _IDLE if self.processor_busy else idle < _BUSY
        self._contrary = self._contrary + 1 if contrary else 0
        if self._contrary >= _ALIKE:
            self.processor_busy = not self.processor_busy
            self._contrary = 0

    def room(self, slots: list[Slot]) -> int:
        """Return how many more workers there is memory for, with half as much again as the reserve to spare."""
        left = self._left.get("memory")
        if left is None:
            return _MANY
        spare = left - self._reserves["memory"] * _WELL
        return max(0, int(spare // _size(slots)))

    @property
    def urgent(self) -> bool:
        """Something is so short that nobody should wait for a worker to finish."""
        return any(self._left[resource] < self._reserves[resource] * _URGENT for resource in self.short)

    def victim(self, slots: list[Slot], now: float) -> Slot | None:
        """Return the worker that must go now: one that was told already and has to hurry, or another one; or None."""
        here = [slot for slot in slots if slot.state in ALIVE]
        if self.short:
            self.ceiling = max(1, min(len(here), len(slots) if self.ceiling is None else self.ceiling))
        if not self.short or self._waits(now):
            return self._hurried()
        if len(here) <= 1:
            return None
        slot = max(here, key=lambda slot: (slot.memory, slot.number))
        self.ceiling = len(here) - 1
        self._victim = (slot, slot.incarnation)
        return slot

    def _waits(self, now: float) -> bool:
        """The last one is still there, or has gone so lately that it cannot be seen yet."""
        if self._victim is not None:
            slot, incarnation = self._victim
            if slot.incarnation == incarnation and (slot.state in ALIVE or slot.state is SlotState.KILLING):
                return True
            self._victim = None
            self._settled_at = now + _SETTLE
        return now < self._settled_at

    def _hurried(self) -> Slot | None:
        if not self.urgent or self._victim is None:
            return None
        slot, incarnation = self._victim
        return slot if slot.incarnation == incarnation and slot.state is SlotState.BUSY else None

    def restore(self, slots: list[Slot], now: float) -> bool:
        """Say whether one more worker may live from now on."""
        if self.ceiling is None or self.short or self._waits(now) or now < self._settled_at + _CALM - _SETTLE:
            return False
        biggest = _size(slots)
        if self._left.get("memory", biggest) - biggest < self._reserves["memory"] * _WELL:
            return False
        if any(amount < 2 * self._reserves[name] for name, amount in self._left.items() if name != "memory"):
            return False
        self._settled_at = now + _SETTLE
        self.ceiling += 1
        if self.ceiling >= len(slots):
            self.ceiling = None
        return True


def _size(slots: list[Slot]) -> int:
    return max((slot.memory for slot in slots), default=0) or _WORKER


def _said(resource: str, amount: int) -> str:
    return f"{amount // 1_000_000} MB of memory" if resource == "memory" else f"{amount} {resource}"
