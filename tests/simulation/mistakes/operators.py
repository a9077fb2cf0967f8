"""Mistakes about what the operator wants, and about the end of a run."""

from supervisor.core import (
    dispatch,
    scaling,
    sizing,
    watchdog,
)
from supervisor.core.fleet import SlotState
from supervisor.core.state import RunState
from tests.simulation.mistakes.made import Patch, mistake, mistake_in
from tests.simulation.trouble import Trouble


@mistake
def ignores_a_pause(patch: Patch) -> None:
    patch.setattr(RunState, "pause", lambda run, cause, reason: None)


@mistake_in(Trouble.STOP)
def hands_out_after_a_stop(patch: Patch) -> None:
    end = RunState.end

    def deaf(run: RunState, code: int, reason: str, *, at_once: bool = False) -> None:
        if code != 3 or at_once or run.queue.unfinished < 5:
            end(run, code, reason, at_once=at_once)

    patch.setattr(RunState, "end", deaf)


@mistake_in(Trouble.SCALE)
def drops_one_on_scale_down(patch: Patch) -> None:
    scale = sizing._resize

    def careless(run: RunState, workers: int) -> None:
        scale(run, workers)
        for slot in run.slots.values():
            if slot.retiring and slot.attempt:
                attempt = run.attempts.pop(slot.attempt)
                run.queue.complete(attempt.reference)
                slot.attempt = 0
                slot.move(SlotState.IDLE, run.now)

    patch.setattr(sizing, "_resize", careless)


@mistake_in(Trouble.AUTO)
def scales_beyond_its_bounds(patch: Patch) -> None:
    change = scaling.Scaling._change

    def eager(one: scaling.Scaling, workers: int, now: float, why: str) -> scaling.Change | None:
        return change(one, workers if workers < one.most else workers + 1, now, why)

    patch.setattr(scaling.Scaling, "_change", eager)


@mistake
def never_scales_down(patch: Patch) -> None:
    scale = sizing._resize

    def generous(run: RunState, workers: int) -> None:
        scale(run, workers)
        for slot in run.slots.values():
            slot.retiring = False

    patch.setattr(sizing, "_resize", generous)


@mistake
def finishes_while_children_live(patch: Patch) -> None:
    finish = dispatch._finish_when_empty

    def hasty(run: RunState) -> None:
        kept = {slot: slot.state for slot in run.slots.values() if slot.state is SlotState.KILLING and not slot.attempt}
        for slot in kept:
            slot.state = SlotState.VACANT
        finish(run)
        for slot, state in kept.items():
            slot.state = state

    patch.setattr(dispatch, "_finish_when_empty", hasty)


@mistake
def says_that_all_is_well_when_some_failed(patch: Patch) -> None:
    patch.setattr(dispatch, "EXIT_SOME_FAILED", 0)


@mistake
def never_recycles(patch: Patch) -> None:
    patch.setattr(dispatch, "_worn_out", lambda run, slot: False)


@mistake
def goes_on_when_nothing_can_start(patch: Patch) -> None:
    patch.setattr(watchdog, "start_failed", lambda run, reason: run.end(5, "at the first"))
