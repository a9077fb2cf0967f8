"""The time by which a run is to be done: an alert when the estimate passes it, and a stop when it comes.

It is wall time, because that is what a person means by 06:00; it reaches the core only as events. A time of day means
its next occurrence on this machine's clock, tomorrow's when it is over for today, and is found anew at every start.
"""

from datetime import UTC, datetime

import msgspec

from supervisor.core.events import Alerted, Event, StopRequested
from supervisor.forms import moment
from supervisor.views.status import Snapshot
from supervisor.views.text import duration

_BACK_IN_TIME = 600.0
"""Seconds for which the estimate must be in time again before another alert may follow."""
_HOLD, _HOLD_SHARE, _SHORTEST_HOLD = 60.0, 0.02, 1.0
"""For so long, and at most this share of the time left, an estimate must be late before it is believed."""


class FinishBy:
    """Looks at the estimate now and then. Without a time it never says anything."""

    def __init__(self, text: str, now: float) -> None:
        """`text` as the setting has it, empty for none."""
        self.at = moment(text, now) if text else None
        self._late = False
        self._since: float | None = None
        """Since when the estimate says the opposite of `_late`."""
        self._over = False

    def mark(self, seen: Snapshot) -> Snapshot:
        """Return the snapshot with what is known of the time."""
        if self.at is None:
            return seen
        at = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return msgspec.structs.replace(seen, run=msgspec.structs.replace(seen.run, finish_by=at, late=self._late))

    def look(self, wall: float, seen: Snapshot) -> list[Event]:
        """Return what follows from the wall time and the estimate; to be called every second or so."""
        if self.at is None or self._over or seen.run.state in {"draining", "finished"}:
            return []
        name = f"{datetime.fromtimestamp(self.at).astimezone():%H:%M}"
        if wall >= self.at:
            self._over = True
            return [StopRequested(at_once=False, reason=f"it is {name}, the time by which to be done")]
        left, needed = self.at - wall, seen.metrics.eta_seconds
        if needed is None or (needed > left) is self._late:
            self._since = None
            return []
        self._since = wall if self._since is None else self._since
        hold = _BACK_IN_TIME if self._late else max(_SHORTEST_HOLD, min(_HOLD, left * _HOLD_SHARE))
        if wall - self._since < hold:
            return []
        self._late, self._since = not self._late, None
        if not self._late:
            return [Alerted("in_time", f"the run is expected to be done by {name} after all", "INFO")]
        sentence = f"about {duration(needed)} are needed, but {duration(left)} are left until {name}"
        return [Alerted("late", f"the run will not be done by {name}: {sentence}", "WARNING")]
