"""The simulated machine's memory: something else takes it for a while, and the kernel kills when there is none left."""

from typing import TYPE_CHECKING

from supervisor.core.events import MachineMeasured, MemoryMeasured
from tests.simulation.oracle import demand
from tests.simulation.trouble import Trouble

if TYPE_CHECKING:
    from tests.simulation.world import World

_EVERY = 10.0
_WORKER = 250_000_000
_SPARE = 1_000_000_000
"""Bytes that are left when everybody is at work and nothing else happens."""
_A_SECOND = 5_000_000
_BACK = 600.0
"""Seconds after which everybody must be at work again."""
_ALONE = frozenset({Trouble.SHORTAGE, Trouble.SLOW, Trouble.FLAKY})


class Memory:
    """Looks at itself every few seconds, as the shell does."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.total = world.night.workers * _WORKER + _SPARE
        self._hungry = Trouble.SHORTAGE in world.night.troubles
        begin = world.now + world.rng.uniform(0, world.horizon / 2) if self._hungry else 0.0
        self._rise, self._fall = begin, begin + world.rng.choice((300.0, 900.0))
        self._most = self.total - world.rng.choice((150_000_000, 500_000_000, 900_000_000))
        self._alone = world.night.troubles <= _ALONE

    def begin(self) -> None:
        """A supervisor has started."""
        if self._hungry:
            self.world.later(_EVERY, self._look)

    @property
    def left(self) -> int:
        """What is left now."""
        now, here = self.world.now, len(self.world.children.here)
        other = min(max(0.0, now - self._rise) * _A_SECOND, self._most) if now < self._fall else 0.0
        return int(self.total - other - here * _WORKER)

    def _look(self) -> None:
        world = self.world
        children = [child for child in world.children.here.values() if child.process]
        if self.left < 0 and children:
            demand(not self._alone or len(children) == 1, "the kernel kills one of {} workers", len(children))
            world.children.die(children[0], -9)
        for child in children:
            if child.weighed:
                continue
            child.weighed = True
            world.post(MemoryMeasured(child.slot, child.incarnation, _WORKER))
        world.post(MachineMeasured({"memory": max(0, self.left), "processes": 10_000, "descriptors": 5_000}))
        machine = world.machine
        if self._alone and machine is not None and world.now > self._fall + _BACK and machine.run.ending is None:
            wanted = min(world.night.workers, machine.run.queue.unfinished)
            demand(len(world.children.here) >= wanted, "{} are at work, {} could be", children, wanted)
        world.later(_EVERY, self._look)
