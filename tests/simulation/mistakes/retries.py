"""Mistakes about who pays for a failure, and who is tried again."""

from typing import Any

import msgspec

from supervisor.core import (
    breaker,
    outcomes,
    queue,
    watchdog,
)
from supervisor.core.state import RunState
from tests.simulation.mistakes.made import Patch, change_rule, mistake, mistake_in
from tests.simulation.trouble import Trouble
from worker.protocol import Failed, Kind


@mistake
def retries_for_ever(patch: Patch) -> None:
    change_rule(patch, Kind.DOCUMENT_INVALID, counted=False, bounded=False)


@mistake
def gives_up_one_attempt_early(patch: Patch) -> None:
    settle = outcomes.settle_failure

    def impatient(run: RunState, attempt: Any, failure: Failed) -> None:
        policy, run.policy = (
            run.policy,
            msgspec.structs.replace(run.policy, max_retries=max(0, run.policy.max_retries - 1)),
        )
        settle(run, attempt, failure)
        run.policy = policy

    for module in (outcomes, watchdog):
        patch.setattr(module, "settle_failure", impatient)


@mistake_in(Trouble.DISK)
def charges_for_a_full_disk(patch: Patch) -> None:
    change_rule(patch, Kind.DISK_FULL, counted=True)


@mistake
def charges_what_the_operator_interrupted(patch: Patch) -> None:
    change_rule(patch, Kind.INTERRUPTED, counted=True)


@mistake
def charges_during_an_outage(patch: Patch) -> None:
    patch.setattr(
        outcomes, "_suspect_site", lambda run, suspect: run.breaker.suspect(suspect, run.live_slots()) and False
    )


@mistake
def charges_the_probes_of_an_outage(patch: Patch) -> None:
    suspect_site = outcomes._suspect_site

    def stingy(run: RunState, suspect: Any) -> bool:
        probing = run.breaker.state is breaker.BreakerState.PROBING
        return suspect_site(run, suspect) and not probing

    patch.setattr(outcomes, "_suspect_site", stingy)


@mistake
def sets_no_poison_aside(patch: Patch) -> None:
    take = queue.Queue.take
    patch.setattr(queue.Queue, "take", lambda queue, poison: take(queue, 1_000))


@mistake_in(Trouble.POISON, Trouble.RETRY, Trouble.BAD)
def tries_poison_beside_others(patch: Patch) -> None:
    take = queue.Queue.take

    def careless(queue: queue.Queue, poison: int) -> Any:
        queue._alone = False
        return take(queue, poison)

    patch.setattr(queue.Queue, "take", careless)


@mistake
def hands_one_reference_to_two_workers(patch: Patch) -> None:
    start = queue.Queue._start

    def twice(queue: queue.Queue, reference: queue.Reference) -> queue.Reference:
        if reference.ref_id % 20 == 7 and reference.attempts == 0:
            queue._ready.append(reference)
            queue._known += 1
        return start(queue, reference)

    patch.setattr(queue.Queue, "_start", twice)


@mistake_in(Trouble.RETRY, Trouble.BAD)
def reopens_twice(patch: Patch) -> None:
    def credulous(queue: queue.Queue, entries: Any) -> Any:
        for entry in entries:
            queue.failed -= 1
            queue._ready.append(type(queue).__dict__["_reference"](entry))
        return list(entries)

    patch.setattr(queue.Queue, "_reference", queue.Reference, raising=False)
    patch.setattr(queue.Queue, "reopen_entries", credulous)


@mistake_in(Trouble.OUTAGE, Trouble.RETRY, Trouble.FLAKY)
def forgives_what_was_reopened_since(patch: Patch) -> None:
    patch.setattr(breaker.Breaker, "forget", lambda breaker, ref_ids: None)
