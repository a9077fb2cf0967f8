"""When an operator's request is done, and in which words: read from the core's state, which nothing here changes."""

import os
from typing import assert_never

from supervisor.core.fleet import SlotState
from supervisor.core.state import RunState, Stage
from supervisor.shell.control_messages import Pause, Ping, Request, Restart, Resume, Retry, Scale, Stop
from supervisor.views.text import plural

_READY = frozenset({SlotState.IDLE, SlotState.BUSY, SlotState.ERRAND, SlotState.RECOVERING})
"""The slot has a worker that has got ready once."""


def missing(run: RunState, request: Request, incarnation: int) -> str:
    """Say what is not yet as the request wants it; nothing when all is.

    Args:
        run: the core's state.
        request: what was asked.
        incarnation: of the worker to be restarted, when it was asked.
    """
    match request:
        case Scale(workers=workers):
            leaving = [s for s in run.slots.values() if s.number > workers and s.state is not SlotState.RETIRED]
            ready = [s for s in run.slots.values() if s.number <= workers and s.state in _READY]
            wanted = min(workers, run.queue.unfinished) if run.inventory_known else workers
            if run.stage is Stage.RUNNING and len(ready) < wanted:
                return f"{len(ready)} of {wanted} workers are ready"
            if leaving:
                return f"{len(leaving)} workers have yet to finish what they hold"
        case Restart(slot=number):
            slot = run.slots[number]
            if run.stage is Stage.RUNNING and (slot.incarnation == incarnation or slot.state not in _READY):
                return f"worker {number} is {slot.state.value}"
        case _:
            pass
    return ""


def outcome(run: RunState, request: Request, chosen: int = 0) -> str:
    """Say what the request has brought about.

    Args:
        run: the core's state.
        request: what was asked.
        chosen: how many references it was about, where it was about some.
    """
    flying = len(run.attempts)
    match request:
        case Ping():
            said = f"running, pid {os.getpid()}"
        case Pause():
            said = f"paused: nothing more is handed out; what is in flight is finished ({flying})"
        case Resume():
            others = "; ".join(run.pauses.values())
            said = f"still paused: {others}" if others else "goes on"
        case Scale(workers=workers):
            few = run.inventory_known and run.queue.unfinished < workers
            said = plural(workers, "worker") + (", but no more are started than there is work for" if few else "")
        case Stop(now=at_once):
            rest = (
                "at once; what is in flight is not counted" if at_once else f"when what is in flight is done ({flying})"
            )
            said = f"told the supervisor (pid {os.getpid()}) to stop: it ends {rest}"
        case Restart(slot=number):
            said = f"worker {number} is a fresh one, incarnation {run.slots[number].incarnation}"
        case Retry():
            later = run.stage is not Stage.RUNNING
            said = f"{plural(chosen, 'reference')} queued again" + (
                "; the run is ending, so the next start takes them" if later else ""
            )
        case _:
            assert_never(request)
    return said
