"""Deliberate mistakes in the core. Each is one that somebody could make; the simulator must find every one of them."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from supervisor.core import (
    breaker,
    commands,
    dispatch,
    errands,
    likeness,
    machine,
    outcomes,
    pace,
    queue,
    scaling,
    session,
    shedding,
    sizing,
    watchdog,
)
from supervisor.core.attempts import Phase
from supervisor.core.failures import RULES
from supervisor.core.fleet import MOVES, Slot, SlotState
from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded, ReferenceReopened
from supervisor.core.state import RunState, Stage
from supervisor.shell.conductor import Conductor
from tests.simulation.trouble import Night, Trouble
from worker.protocol import Assign, Failed, Kind, Succeeded

Patch = pytest.MonkeyPatch
Apply = Callable[[Patch], None]
MISTAKES: dict[str, tuple[Apply, Night | None]] = {}
"""By name: how to make it, and the kind of night in which it matters; None for those that any seed gives."""


def mistake(apply: Apply, one: Night | None = None) -> Apply:
    """Add one to the list, under its name."""
    MISTAKES[apply.__name__] = (apply, one)
    return apply


def mistake_in(*troubles: Trouble, references: int = 40, workers: int = 3) -> Callable[[Apply], Apply]:
    """Add one that shows only in nights with just these troubles."""
    return lambda apply: mistake(apply, Night(0, references, workers, frozenset(troubles)))


def _without_records(patch: Patch, kind: type, unless: Callable[[Any], bool] = lambda _: False) -> None:
    write = RunState.write

    def forgetful(run: RunState, record: Any) -> None:
        if not isinstance(record, kind) or unless(record):
            write(run, record)

    patch.setattr(RunState, "write", forgetful)


def _rule(patch: Patch, kind: Kind, **changes: Any) -> None:
    patch.setitem(RULES, kind, msgspec.structs.replace(RULES[kind], **changes))


# ------------------------------------------------------------------------------------------------- answers and deaths
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
    _rule(patch, Kind.WORKER_DIED, counted=False, bounded=False)


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


# ------------------------------------------------------------------------------------------ records and durability
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
    _without_records(patch, AttemptSucceeded)


@mistake
def starts_without_recording(patch: Patch) -> None:
    _without_records(patch, AttemptStarted)


@mistake
def forgets_to_record_a_failure(patch: Patch) -> None:
    _without_records(patch, AttemptFailed)


@mistake
def forgets_to_record_that_a_reference_was_reopened(patch: Patch) -> None:
    _without_records(patch, ReferenceReopened)


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


# ------------------------------------------------------------------------------------------------- retries and fairness
@mistake
def retries_for_ever(patch: Patch) -> None:
    _rule(patch, Kind.DOCUMENT_INVALID, counted=False, bounded=False)


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
    _rule(patch, Kind.DISK_FULL, counted=True)


@mistake
def charges_what_the_operator_interrupted(patch: Patch) -> None:
    _rule(patch, Kind.INTERRUPTED, counted=True)


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


# ------------------------------------------------------------------------------------------------- the operator
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


# ------------------------------------------------------------------------------------------------- the site
@mistake
def logs_in_again_after_a_refusal(patch: Patch) -> None:
    failed = errands.failed

    def stubborn(run: RunState, slot: Slot, failure: Any) -> None:
        if failure.kind is Kind.LOGIN_REFUSED:
            failure = msgspec.structs.replace(failure, kind=Kind.LOGIN_FAILED)
        failed(run, slot, failure)

    patch.setattr(errands, "failed", stubborn)


@mistake
def two_workers_log_in_at_once(patch: Patch) -> None:
    patch.setattr(errands, "under_way", lambda run: False)


@mistake
def keeps_the_new_session_to_itself(patch: Patch) -> None:
    begin = Slot.begin

    def current(slot: Slot, incarnation: int, now: float, deadline: float) -> None:
        begin(slot, incarnation, now, deadline)
        slot.generation = 1

    patch.setattr(Slot, "begin", current)


@mistake_in(Trouble.ERRANDS)
def exports_without_the_session(patch: Patch) -> None:
    give = errands.give_session
    patch.setattr(errands, "give_session", lambda run, slot: give(run, slot) if run.inventory_known else None)


@mistake
def hands_out_during_an_open_breaker(patch: Patch) -> None:
    patch.setattr(breaker.Breaker, "allows", lambda breaker, in_flight, now: True)


@mistake_in(Trouble.OUTAGE)
def sends_many_probes(patch: Patch) -> None:
    allows = breaker.Breaker.allows
    patch.setattr(breaker.Breaker, "allows", lambda breaker, in_flight, now: allows(breaker, 0, now))


@mistake_in(Trouble.RATE, workers=5)
def goes_faster_than_allowed(patch: Patch) -> None:
    patch.setattr(pace.Pace, "wait", lambda pace, now: 0.0)


@mistake_in(Trouble.RATE, Trouble.CRASH, workers=5, references=100)
def forgets_at_a_restart_how_fast_it_went(patch: Patch) -> None:
    init = pace.Pace.__init__
    patch.setattr(pace.Pace, "__init__", lambda pace, policy, started, now: init(pace, policy, (), now))


@mistake_in(Trouble.RATE, Trouble.LEDGER, workers=6, references=100)
def counts_only_what_the_ledger_kept_back(patch: Patch) -> None:
    patch.setattr(pace.Pace, "delayed", lambda pace, now: None)


@mistake_in(Trouble.REQUESTS, workers=6, references=200)
def reserves_nothing_for_what_is_under_way(patch: Patch) -> None:
    wait = pace._Host.wait
    patch.setattr(pace._Host, "wait", lambda host, reserved, now: wait(host, 0.0, now))


@mistake_in(Trouble.REQUESTS, workers=6, references=100)
def counts_no_requests(patch: Patch) -> None:
    patch.setattr(pace.Pace, "asked", lambda pace, slot, requests, now: None)


@mistake_in(Trouble.OUTAGE, references=2)
def charges_the_last_references_for_an_outage(patch: Patch) -> None:
    patch.setattr(RunState, "in_doubt", property(lambda run: False))


@mistake_in(Trouble.SHORTAGE, workers=5, references=300)
def lets_nobody_go_when_memory_is_short(patch: Patch) -> None:
    patch.setattr(shedding.Shedding, "victim", lambda shedding, slots, now: None)


@mistake_in(Trouble.SHORTAGE, workers=5, references=300)
def starts_the_next_one_at_once_when_memory_is_short(patch: Patch) -> None:
    patch.setattr(shedding.Shedding, "ceiling", property(lambda _: None, lambda _, __: None), raising=False)


@mistake_in(Trouble.SHORTAGE, workers=5, references=900)
def never_takes_back_whom_it_let_go(patch: Patch) -> None:
    patch.setattr(shedding.Shedding, "restore", lambda shedding, slots, now: False)


@mistake_in(Trouble.STALL)
def charges_for_deadlines_that_passed_in_a_suspend(patch: Patch) -> None:
    patch.setattr(outcomes, "_OF_TIME", frozenset())


@mistake_in(Trouble.SICK, workers=4, references=80)
def charges_for_what_a_sick_worker_did(patch: Patch) -> None:
    patch.setattr(outcomes, "_suspect_worker", lambda run, attempt, kind: None)


@mistake
def does_not_obey_retry_after(patch: Patch) -> None:
    patch.setattr(outcomes, "throttle", lambda run, retry_after: run.breaker.open("asked", run.now, 0.5))


@mistake_in(Trouble.PAGES, references=100)
def asks_a_login_where_a_control_could_tell(patch: Patch) -> None:
    def credulous(run: RunState, slot: Slot) -> None:
        if not errands.under_way(run):
            outcomes.ask_again(run, slot.number)
            errands.next_errand(run, slot)

    patch.setattr(errands, "ask", credulous)
    answered = errands.logged_in

    def proves(run: RunState, slot: Slot, message: Any) -> None:
        answered(run, slot, message)
        outcomes.site_answered(run, proof=False)

    patch.setattr(errands, "logged_in", proves)


@mistake_in(Trouble.PAGES, references=100)
def takes_a_control_that_failed_for_one_that_was_served(patch: Patch) -> None:
    patch.setattr(errands, "control_failed", lambda run, reason: outcomes.control_served(run, "R1"))


@mistake_in(Trouble.PAGES, Trouble.ALIKE, references=200)
def charges_what_failed_before_the_control_did(patch: Patch) -> None:
    patch.setattr(errands, "control_failed", outcomes.site_unreachable)


@mistake_in(Trouble.ALIKE, references=400, workers=4)
def stops_for_bad_references_though_a_control_is_served(patch: Patch) -> None:
    patch.setattr(errands, "control_served", lambda run, ref: None)


@mistake_in(Trouble.ALIKE, references=400, workers=4)
def never_doubts_that_probes_tell_of_the_site(patch: Patch) -> None:
    patch.setattr(breaker.Breaker, "doubts", lambda breaker, reference: False)


@mistake_in(Trouble.OUTAGE, references=100)
def takes_every_time_out_for_one_of_a_kind(patch: Patch) -> None:
    patch.setattr(likeness, "_step", lambda name, ref: f"{name} {ref}")


@mistake_in(Trouble.INSTEAD, references=100)
def takes_a_page_that_everybody_gets_for_the_references_own(patch: Patch) -> None:
    alike = likeness.likeness
    patch.setattr(outcomes, "likeness", lambda failure, ref: alike(msgspec.structs.replace(failure, instead=""), ref))


@mistake_in(Trouble.BAD, Trouble.CRASH, references=40)
def stops_when_references_always_show_the_login_page(patch: Patch) -> None:
    lost = outcomes.session_lost

    def hasty(run: RunState, slot: int, generation: int, ref_id: int, begun: float) -> None:
        run.sessions.of(slot).in_question = True
        lost(run, slot, generation, ref_id, begun)

    patch.setattr(outcomes, "session_lost", hasty)


@mistake_in(Trouble.ERRANDS, Trouble.SLOW, references=200, workers=1)
def remembers_a_failed_export_for_ever(patch: Patch) -> None:
    patch.setattr(session.Session, "succeeded", lambda session: None)


@mistake_in(Trouble.SESSION, references=60)
def keeps_what_came_after_the_last_proof_of_a_session(patch: Patch) -> None:
    patch.setattr(outcomes, "_recall", lambda run, attempt, reference: None)


@mistake_in(Trouble.SESSION, references=60)
def publishes_what_came_while_the_session_was_found_gone(patch: Patch) -> None:
    patch.setattr(session.Session, "is_doubtful", lambda session, generation, fetched: False)


@mistake_in(Trouble.SESSION, references=60)
def takes_a_login_for_a_proof_of_the_session_before(patch: Patch) -> None:
    expired = session.Session.expired

    def forgetful(one: session.Session, generation: int, ref_id: int, *, young: bool) -> bool:
        one._unproven.clear()
        return expired(one, generation, ref_id, young=young)

    patch.setattr(session.Session, "expired", forgetful)


@mistake_in(Trouble.FORBIDDEN, Trouble.SESSION, references=12, workers=3)
def takes_a_forbidden_page_for_a_proof_of_the_session(patch: Patch) -> None:
    doubted = session.Session.doubted

    def credulous(one: session.Session, generation: int) -> bool:
        doubt = doubted(one, generation)
        if doubt:
            one._unproven.clear()
        return doubt

    patch.setattr(session.Session, "doubted", credulous)


@mistake_in(Trouble.SESSION, references=12, workers=2)
def does_not_prove_what_was_fetched_last(patch: Patch) -> None:
    patch.setattr(errands, "prove", lambda run, slot: False)
    patch.setattr(errands, "leave_unproven", lambda run: None)


@mistake_in(Trouble.OWN)
def gives_the_session_of_one_browser_to_another(patch: Patch) -> None:
    of = session.Sessions.of
    patch.setattr(session.Sessions, "of", lambda sessions, slot: of(sessions, 1))


@mistake_in(Trouble.SESSION, Trouble.BAD)
def takes_any_lost_session_for_a_stolen_one(patch: Patch) -> None:
    served = session.Thief.served

    def credulous(thief: session.Thief, ref_id: int) -> None:
        thief._suspects.add(ref_id)
        served(thief, ref_id)

    patch.setattr(session.Thief, "served", credulous)


@mistake_in(Trouble.OWN, Trouble.EXCLUSIVE, references=200)
def never_notices_that_logins_end_each_other(patch: Patch) -> None:
    patch.setattr(session.Thief, "at_work", False)


@mistake_in(Trouble.FORBIDDEN, workers=1)
def stops_for_forbidden_pages(patch: Patch) -> None:
    def credulous(run: RunState, attempt: Any) -> None:
        outcomes.session_lost(run, attempt.slot, attempt.generation, attempt.reference.ref_id, attempt.begun)

    patch.setattr(outcomes, "_forbidden", credulous)


@mistake
def goes_on_after_a_refused_login_in_mid_attempt(patch: Patch) -> None:
    end = RunState.end

    def deaf(run: RunState, code: int, reason: str, *, at_once: bool = False) -> None:
        if code != 4:
            end(run, code, reason, at_once=at_once)

    patch.setattr(RunState, "end", deaf)


# ------------------------------------------------------------------------------------------------- its own time
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
