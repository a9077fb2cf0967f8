"""Times in which nothing went on, because the supervisor stood still or the machine slept: nobody pays for them.

Whatever was under way when it happened may run into a time-out or find its connections dead, which says nothing of the
site or of a reference. After a long one the session may have ended: it is looked at before anything is handed out.
"""

from supervisor.core.state import RunState

_LONG = 60.0
"""Seconds."""


def stood_still(run: RunState, seconds: float) -> None:
    """The clock went on for so long and the supervisor did not: no deadline counts it."""
    run.breaker.postpone(seconds)
    run.sessions.postpone(seconds)
    run.pace.postpone(seconds)
    for slot in run.slots.values():
        slot.postpone(seconds)
    _disturbed(run, seconds)
    run.incident("stalled", f"the supervisor stood still for {seconds:.1f} s, which no deadline counts")


def slept(run: RunState, seconds: float) -> None:
    """The machine was suspended for so long, and our clock stood still as well: no deadline came closer."""
    _disturbed(run, seconds)
    run.incident("stalled", f"the machine slept for {seconds:.0f} s, which no deadline counts")


def _disturbed(run: RunState, seconds: float) -> None:
    if run.scaling is not None:
        run.scaling.disturbed()
    for attempt in run.attempts.values():
        attempt.disturbed = True
    if seconds >= _LONG:
        for session in run.sessions.all:
            session.unsure = session.valid
