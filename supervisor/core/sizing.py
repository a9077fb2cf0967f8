"""How many slots there are: as many as the operator wants, or as many as the policy of `scaling` finds best."""

from supervisor.core import errands
from supervisor.core.breaker import BreakerState
from supervisor.core.fleet import Slot, SlotState
from supervisor.core.scaling import Surroundings
from supervisor.core.state import RunState, Stage

_AT_WORK = frozenset({SlotState.IDLE, SlotState.BUSY, SlotState.RECOVERING})
_GONE = frozenset({SlotState.VACANT, SlotState.RETIRED, SlotState.KILLING, SlotState.LEAVING})


def wanted_by_operator(run: RunState, workers: int) -> None:
    """Have so many slots from now on; whoever says so knows better than the policy."""
    own = run.scaling is not None
    run.scaling = None
    _resize(run, workers)
    more = ", and they are no longer scaled automatically" if own else ""
    run.incident("scaled", f"the operator wants {workers} workers{more}")


def adjust(run: RunState) -> None:
    """Let the policy look, if it is time, and do what it says."""
    scaling = run.scaling
    if scaling is None or run.now < scaling.next_look or run.stage is not Stage.RUNNING:
        return
    change = scaling.look(run.now, _surroundings(run, scaling.wanted))
    if change is not None:
        _resize(run, change.workers)
        run.incident("scaled", change.sentence)


def _surroundings(run: RunState, wanted: int) -> Surroundings:
    shedding, slots = run.shedding, [slot for slot in run.slots.values() if not slot.retiring]
    closed = run.breaker.state is BreakerState.CLOSED and not run.pauses
    logged_in = run.sessions.established and not (errands.under_way(run) and not run.sessions.own)
    # What is left at the end of a run keeps only some of the workers busy, however many there are.
    enough = run.inventory_known and run.queue.ready >= wanted
    leaving = any(slot.retiring and slot.state not in _GONE for slot in run.slots.values())
    return Surroundings(
        free=closed and logged_in and enough and shedding.ceiling is None,
        there=not leaving and all(slot.state in _AT_WORK for slot in slots),
        room=shedding.room(slots),
        processor_busy=shedding.processor_busy,
    )


def _resize(run: RunState, workers: int) -> None:
    """Have so many slots: new ones at the end, or the last ones retire when they have finished what they hold."""
    for number in range(1, max(workers, *run.slots) + 1):
        slot = run.slots.setdefault(number, Slot(number, run.now))
        slot.retiring = number > workers
        if not slot.retiring and slot.state is SlotState.RETIRED:
            slot.move(SlotState.VACANT, run.now)
