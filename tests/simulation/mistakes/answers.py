"""Mistakes about what a worker says, and about its death."""

from typing import Any

from supervisor.core import (
    commands,
    dispatch,
    machine,
    outcomes,
    watchdog,
)
from supervisor.core.attempts import Phase
from supervisor.core.fleet import Slot, SlotState
from supervisor.core.state import RunState
from supervisor.shell.conductor import Conductor
from tests.simulation.mistakes.made import Patch, change_rule, mistake, mistake_in
from tests.simulation.trouble import Trouble
from worker.protocol import Assign, Failed, Kind, Succeeded


@mistake
def hurries_the_last_attempt_too(patch: Patch) -> None:
    def hurried(**values: Any) -> Assign:
        return Assign(**(values | {"limits": {"fetch the documents": 10.0}}))

    patch.setattr(dispatch, "Assign", hurried)


@mistake
def accepts_an_answer_of_a_dead_attempt(patch: Patch) -> None:
    def any_answer(run: RunState, slot: Slot, number: int, *, ready: bool) -> bool:
        if slot.state is not SlotState.BUSY or number not in run.attempts:
            return False
        slot.attempt = 0
        machine._freed(run, slot, ready=ready)
        return True

    patch.setattr(machine, "_answered", any_answer)


@mistake
def hears_a_condemned_worker(patch: Patch) -> None:
    take = machine._take

    def credulous(run: RunState, event: Any) -> None:
        message = getattr(event, "message", None)
        slot = run.slots.get(getattr(event, "slot", 0))
        if isinstance(message, Succeeded) and slot is not None and message.attempt in run.attempts:
            run.attempts[message.attempt].phase = Phase.PUBLISHING
            reference = run.attempts[message.attempt].reference
            if slot.attempt == message.attempt:
                slot.attempt = 0
                if slot.state is SlotState.BUSY:
                    machine._freed(run, slot, ready=True)
            run.do(commands.Publish(message.attempt, reference.ref_id, reference.ref, 1, message.documents))
        else:
            take(run, event)

    patch.setattr(machine, "_take", credulous)


@mistake
def queues_again_before_the_kill_is_confirmed(patch: Patch) -> None:
    condemn = watchdog.condemn

    def hasty(run: RunState, slot: Slot, kind: Kind, message: str, *, evidence: bool = True) -> None:
        attempt = run.attempts.get(slot.attempt)
        condemn(run, slot, kind, message, evidence=evidence)
        if attempt is not None:
            slot.attempt = 0
            outcomes.settle_failure(run, attempt, Failed(attempt.attempt, kind, message, ready=False))

    patch.setattr(watchdog, "condemn", hasty)


@mistake
def starts_a_child_before_the_kill_is_confirmed(patch: Patch) -> None:
    kill = watchdog._kill

    def hasty(run: RunState, slot: Slot, *args: Any, **named: Any) -> None:
        kill(run, slot, *args, **named)
        watchdog.tree_gone(run, slot)

    patch.setattr(watchdog, "_kill", hasty)


@mistake
def forgets_to_count_when_the_child_dies(patch: Patch) -> None:
    change_rule(patch, Kind.WORKER_DIED, counted=False, bounded=False)


@mistake
def loses_the_reference_when_its_worker_dies(patch: Patch) -> None:
    gone = watchdog.tree_gone

    def careless(run: RunState, slot: Slot) -> None:
        attempt = run.attempts.pop(slot.attempt, None)
        if attempt is not None:
            run.queue.in_progress -= 1
        gone(run, slot)

    patch.setattr(watchdog, "tree_gone", careless)


@mistake
def loses_the_reference_when_its_worker_dies_and_hides_it(patch: Patch) -> None:
    gone = watchdog.tree_gone

    def careless(run: RunState, slot: Slot) -> None:
        attempt = run.attempts.pop(slot.attempt, None)
        if attempt is not None:
            run.queue.in_progress -= 1
            run.queue._known -= 1
        gone(run, slot)

    patch.setattr(watchdog, "tree_gone", careless)


@mistake
def does_not_notice_silence(patch: Patch) -> None:
    def deaf(slot: Slot, now: float, heartbeat_timeout: float) -> str | None:
        return "deadline" if slot.deadline is not None and now >= slot.deadline else None

    patch.setattr(Slot, "overdue", deaf)
    patch.setattr(Slot, "next_deadline", lambda slot, heartbeat_timeout: slot.deadline)


@mistake
def ignores_heartbeats(patch: Patch) -> None:
    of_worker = machine._of_worker

    def deaf(run: RunState, slot: Slot, event: Any) -> None:
        heard = slot.last_heard
        of_worker(run, slot, event)
        slot.last_heard = heard

    patch.setattr(machine, "_of_worker", deaf)


@mistake
def has_no_stuck_threshold(patch: Patch) -> None:
    move = Slot.move

    def patient(slot: Slot, state: SlotState, now: float, deadline: float | None = None) -> None:
        move(slot, state, now, None if state is SlotState.BUSY else deadline)

    patch.setattr(Slot, "move", patient)


@mistake
def blames_workers_for_a_suspended_machine(patch: Patch) -> None:
    patch.setattr(Slot, "postpone", lambda slot, seconds: None)


@mistake_in(Trouble.LEDGER, references=60)
def blames_workers_for_a_slow_ledger(patch: Patch) -> None:
    patch.setattr(Conductor, "_excuse", lambda conductor, held: None)


@mistake
def takes_a_second_answer(patch: Patch) -> None:
    patch.setattr(machine, "_publishing", lambda run, number: run.attempts.get(number))
    hear = machine._hear

    def twice(run: RunState, slot: Slot, message: Any) -> None:
        hear(run, slot, message)
        attempt = run.attempts.get(getattr(message, "attempt", 0))
        if isinstance(message, Succeeded) and attempt is not None and attempt.phase is Phase.PUBLISHING:
            run.do(
                commands.Publish(attempt.attempt, attempt.reference.ref_id, attempt.reference.ref, 1, message.documents)
            )

    patch.setattr(machine, "_hear", twice)
