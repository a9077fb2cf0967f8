"""Mistakes about logins, sessions, outages and limits."""

from typing import Any

import msgspec

from supervisor.core import (
    breaker,
    commands,
    errands,
    likeness,
    outcomes,
    pace,
    session,
    sessions,
    shedding,
    thefts,
)
from supervisor.core.fleet import Slot
from supervisor.core.state import RunState
from supervisor.shell.conductor import Conductor
from tests.simulation.mistakes.made import Patch, mistake, mistake_in
from tests.simulation.trouble import Trouble
from worker.protocol import Kind


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


@mistake_in(Trouble.ERRANDS)
def gives_up_after_the_first_login_that_fails(patch: Patch) -> None:
    patch.setattr(session.Session, "dead_for", lambda session, now: float("inf"))


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
    of = sessions.Sessions.of
    patch.setattr(sessions.Sessions, "of", lambda run, slot: of(run, 1))


@mistake_in(Trouble.SESSION, Trouble.BAD)
def takes_any_lost_session_for_a_stolen_one(patch: Patch) -> None:
    served = thefts.Thief.served

    def credulous(thief: thefts.Thief, ref_id: int) -> None:
        thief._suspects.add(ref_id)
        served(thief, ref_id)

    patch.setattr(thefts.Thief, "served", credulous)


@mistake_in(Trouble.OWN, Trouble.EXCLUSIVE, references=200)
def never_notices_that_logins_end_each_other(patch: Patch) -> None:
    patch.setattr(thefts.Thief, "at_work", False)
    patch.setattr(thefts.Rivals, "at_work", False)


@mistake_in(Trouble.OWN, Trouble.SESSION)
def takes_any_lost_session_for_one_that_another_login_ended(patch: Patch) -> None:
    def credulous(rivals: thefts.Rivals, *_: object) -> None:
        rivals._suspected = True

    patch.setattr(thefts.Rivals, "lost", credulous)


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


@mistake_in(Trouble.SESSION, references=60)
def leaves_doubted_documents_where_they_are(patch: Patch) -> None:
    patch.setattr(Conductor, "_carry_out", _but_withdraw(Conductor._carry_out))


@mistake_in(Trouble.SESSION, Trouble.LEDGER, references=60)
def takes_documents_away_before_their_doubt_is_durable(patch: Patch) -> None:
    handle = Conductor._handle

    def hasty(conductor: Conductor, event: Any) -> None:
        handle(conductor, event)
        for command in [one for one in conductor._dependent if isinstance(one, commands.Withdraw)]:
            conductor._dependent.remove(command)
            conductor._carry_out(command)

    patch.setattr(Conductor, "_handle", hasty)


def _but_withdraw(carry_out: Any) -> Any:
    return lambda conductor, command: None if isinstance(command, commands.Withdraw) else carry_out(conductor, command)
