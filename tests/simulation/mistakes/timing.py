"""Mistakes about deadlines, and about the moves of slots."""

from supervisor.core import (
    machine,
    queue,
    watchdog,
)
from supervisor.core.fleet import MOVES, SlotState
from supervisor.core.state import Stage
from tests.simulation.mistakes.made import Patch, mistake, mistake_in
from tests.simulation.trouble import Trouble


@mistake
def spins_on_a_deadline_that_has_passed(patch: Patch) -> None:
    patch.setattr(watchdog, "_KILL_PATIENCE", 0.0)


@mistake
def sleeps_through_a_retry(patch: Patch) -> None:
    patch.setattr(queue.Queue, "promote", lambda queue, now: None)


@mistake_in(Trouble.LEDGER, Trouble.STOP, references=15, workers=1)
def spins_when_it_has_finished(patch: Patch) -> None:
    deadline = machine.Machine.next_deadline

    def late(one: machine.Machine) -> float:
        if one.run.stage is Stage.FINISHED:
            return one.run.statistics_at
        return deadline(one)

    patch.setattr(machine.Machine, "next_deadline", late)


@mistake
def moves_a_slot_where_the_table_forbids_it(patch: Patch) -> None:
    patch.setitem(MOVES, SlotState.IDLE, MOVES[SlotState.IDLE] - {SlotState.LEAVING})
