"""The operator and the machine's caretaker: pauses, scales, retries, stops, starts again; disk full; suspend."""

from typing import TYPE_CHECKING

from supervisor.core.events import (
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    RetryRequested,
    ScaleRequested,
    StopRequested,
)
from supervisor.core.records import Entry, ReferenceReopened
from tests.simulation.trouble import Trouble

if TYPE_CHECKING:
    from tests.simulation.world import World


class Operator:
    """What people do in a night, planned at its start."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._retries = 20
        self._reruns = 1
        rng, has, horizon = world.rng, world.night.troubles.__contains__, world.horizon
        begin = world.now

        def moments(most: int) -> list[float]:
            return [begin + rng.uniform(0, 1.3 * horizon) for _ in range(rng.randint(1, most))]

        site = world.site
        site.refuses_from += begin
        site.errands_fail_until += begin if site.errands_fail_until else 0.0
        site.windows = [window._replace(begin=window.begin + begin, end=window.end + begin) for window in site.windows]
        world.figures.outages += len(site.windows)
        if has(Trouble.EPIDEMIC):
            world.whatever_comes(moments(1)[0] if rng.random() < 0.7 else begin, self._epidemic)
        if has(Trouble.THEFT):
            world.whatever_comes(moments(1)[0], self._thieves)
        if has(Trouble.SESSION):
            for at in moments(6):
                world.whatever_comes(at, world.end_session)
        if has(Trouble.PAUSE):
            for at in moments(2):
                world.whatever_comes(at, world.post, PauseRequested("operator", "lunch"))
                world.whatever_comes(at + rng.choice((5.0, 300.0, 4000.0)), world.post, ResumeRequested("operator"))
        if has(Trouble.QUIET):
            for at in moments(2):
                world.whatever_comes(at, world.post, PauseRequested("quiet hours", "quiet hours until 06:00"))
                world.whatever_comes(at + rng.choice((60.0, 2000.0)), world.post, ResumeRequested("quiet hours"))
        if has(Trouble.SCALE):
            for at in moments(4):
                world.whatever_comes(at, self._scale, rng.randint(1, 6))
        if has(Trouble.RESTART):
            for at in moments(4):
                world.whatever_comes(at, world.post, RestartRequested(rng.randint(1, 6)))
        if has(Trouble.RETRY):
            for at in moments(6):
                world.whatever_comes(at, self._retry)
        if has(Trouble.STOP):
            for at in moments(3):
                world.whatever_comes(at, self._stop, False)
                if rng.random() < 0.5:
                    world.whatever_comes(at + rng.choice((0.0, 0.5, 10.0)), self._stop, True)
        if has(Trouble.DISK):
            for at in moments(2):
                world.whatever_comes(at, self.disk_fills)
                world.whatever_comes(at + rng.choice((10.0, 200.0)), self._disk_freed)
        if has(Trouble.STALL):
            for at in moments(3):
                world.whatever_comes(at, self._suspend, rng.choice((25.0, 150.0, 5000.0)))

    def wants_more(self) -> bool:
        """After a night that finished: reopen the failed ones in the ledger and start again, or be content."""
        world = self.world
        failed = [row for row in world.ledger.rows.values() if row.state == "failed"]
        if not failed or not self._reruns or Trouble.RETRY not in world.night.troubles or world.rng.random() < 0.5:
            return False
        self._reruns -= 1
        world.ledger.apply([ReferenceReopened(row.ref_id) for row in failed], world.now)
        return True

    def hears_of_a_failure(self) -> None:
        """A reference has failed for good: perhaps it is retried within seconds."""
        rng = self.world.rng
        if Trouble.RETRY in self.world.night.troubles and self._retries and rng.random() < 0.3:
            self._retries -= 1
            self.world.later(rng.choice((0.1, 1.0, 20.0)), self._retry)

    def _epidemic(self) -> None:
        self.world.epidemic_until = self.world.now + self.world.rng.choice((20.0, 400.0, 2000.0))

    def _thieves(self) -> None:
        self.world.thefts_until = self.world.now + self.world.rng.choice((60.0, 900.0))
        self.world.end_session()

    def _scale(self, workers: int) -> None:
        if self.world.conductor is not None and self.world.conductor.finished is None:
            self.world.scaled = workers
            self.world.post(ScaleRequested(workers))

    def _retry(self) -> None:
        """Retry what the ledger calls failed; what it says may be a moment old, and some are named twice."""
        failed = [row for row in self.world.ledger.rows.values() if row.state == "failed"]
        if failed:
            rng = self.world.rng
            chosen = failed if rng.random() < 0.5 else rng.sample(failed, rng.randint(1, len(failed)))
            event = RetryRequested(tuple(Entry(row.ref_id, row.ref) for row in chosen))
            self.world.post(event)
            if rng.random() < 0.5:
                self.world.post(event)

    def _stop(self, at_once: bool) -> None:  # noqa: FBT001 - a happening's arguments are positional
        self.world.post(StopRequested(at_once, "stopped by the operator"))

    def disk_fills(self) -> None:
        """Nothing can be written any more; the monitor pauses the run."""
        self.world.disk_full = True
        self.world.post(PauseRequested("disk", "3 MB are free"))

    def _disk_freed(self) -> None:
        self.world.disk_full = False
        self.world.post(ResumeRequested("disk"))

    def _suspend(self, seconds: float) -> None:
        if self.world.conductor is not None:
            self.world.suspend(seconds)
