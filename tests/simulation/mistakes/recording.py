"""Mistakes about what is written down, and when."""

from typing import Any

import msgspec

from supervisor.core import (
    machine,
    outcomes,
    queue,
)
from supervisor.core.fleet import Slot
from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded, ReferenceReopened
from supervisor.core.state import RunState
from supervisor.shell.conductor import Conductor
from tests.simulation.mistakes.made import Patch, mistake, mistake_in, without_records
from tests.simulation.trouble import Trouble
from worker.protocol import Succeeded


@mistake
def records_completed_before_publishing(patch: Patch) -> None:
    hear = machine._hear

    def hasty(run: RunState, slot: Slot, message: Any) -> None:
        hear(run, slot, message)
        if isinstance(message, Succeeded) and message.attempt in run.attempts:
            outcomes.settle_success(run, run.attempts[message.attempt], message.documents)

    patch.setattr(machine, "_hear", hasty)


@mistake
def publishes_without_recording(patch: Patch) -> None:
    without_records(patch, AttemptSucceeded)


@mistake
def starts_without_recording(patch: Patch) -> None:
    without_records(patch, AttemptStarted)


@mistake
def forgets_to_record_a_failure(patch: Patch) -> None:
    without_records(patch, AttemptFailed)


@mistake
def forgets_to_record_that_a_reference_was_reopened(patch: Patch) -> None:
    without_records(patch, ReferenceReopened)


@mistake
def sends_before_the_record_is_durable(patch: Patch) -> None:
    take = Conductor.take

    def hasty(conductor: Conductor, event: Any, now: float) -> None:
        take(conductor, event, now)
        hurried, conductor._dependent = conductor._dependent, []
        for command in hurried:
            conductor._carry_out(command)

    patch.setattr(Conductor, "take", hasty)


@mistake
def forgets_what_was_held_back(patch: Patch) -> None:
    def careless(conductor: Conductor, batch: int, now: float) -> None:
        while conductor._held and conductor._held[0].batch <= batch:
            for command in conductor._held.popleft().commands[:1]:
                conductor._carry_out(command)

    patch.setattr(Conductor, "durable", careless)


@mistake
def double_counts_on_resume(patch: Patch) -> None:
    init = queue.Reference.__init__

    def twice(reference: queue.Reference, entry: Any) -> None:
        init(reference, entry)
        reference.attempts += entry.attempts > 0

    patch.setattr(queue.Reference, "__init__", twice)


@mistake
def forgets_attempts_on_resume(patch: Patch) -> None:
    init = queue.Reference.__init__

    def forgetful(reference: queue.Reference, entry: Any) -> None:
        init(reference, entry)
        reference.attempts = 0

    patch.setattr(queue.Reference, "__init__", forgetful)


@mistake
def uses_attempt_numbers_again_on_resume(patch: Patch) -> None:
    init = RunState.__init__

    def again(run: RunState, policy: Any, workers: int, backlog: Any, now: float) -> None:
        init(run, policy, workers, msgspec.structs.replace(backlog, next_attempt=1), now)

    patch.setattr(RunState, "__init__", again)


@mistake
def does_not_give_up_at_the_start(patch: Patch) -> None:
    patch.setattr(queue.Queue, "give_up", lambda queue, limit: [])


@mistake_in(Trouble.CRASH, Trouble.SETTINGS, Trouble.FLAKY)
def retries_at_the_start_what_waits_without_attempts(patch: Patch) -> None:
    give_up = queue.Queue.give_up

    def ready_only(queue: queue.Queue, limit: int) -> Any:
        waiting, queue._waiting = queue._waiting, []
        spent = give_up(queue, limit)
        queue._waiting = waiting
        return spent

    patch.setattr(queue.Queue, "give_up", ready_only)
