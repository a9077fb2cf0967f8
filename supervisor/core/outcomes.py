"""What becomes of a reference when an attempt at it is over, and what the site and the worker have to do with it.

`settle_failure` is the only way back into the queue. An attempt whose worker was condemned comes here when the tree is
confirmed dead, and not before.
"""

import msgspec

from supervisor.core.attempts import Attempt, Phase
from supervisor.core.breaker import BreakerState, Suspect
from supervisor.core.commands import Discard, Publish, Say, Withdraw
from supervisor.core.failures import RULES, Concern
from supervisor.core.likeness import likeness
from supervisor.core.queue import Reference, State
from supervisor.core.records import AttemptFailed, AttemptForgiven, AttemptSucceeded, Incident, SuccessDoubted
from supervisor.core.session import Session
from supervisor.core.state import EXIT_LOGIN_REFUSED, EXIT_STOPPED, RunState, Stage
from worker.protocol import Document, Failed, Kind, Succeeded


def succeeded(run: RunState, attempt: Attempt, answer: Succeeded) -> None:
    """The worker has staged the documents: publish them, unless its session was found gone meanwhile."""
    attempt.answered, attempt.steps, attempt.proven = run.now, answer.steps, answer.proven
    if run.sessions.of(attempt.slot).is_doubtful(attempt.generation, run.now):
        text = "while the documents came the session was found gone: what came may not be what was asked for"
        settle_failure(run, attempt, Failed(attempt.attempt, Kind.SESSION_EXPIRED, text, ready=True))
        return
    attempt.phase = Phase.PUBLISHING
    reference = attempt.reference
    run.do(Publish(attempt.attempt, reference.ref_id, reference.ref, attempt.number, answer.documents))


_OF_TIME = frozenset(
    {
        Kind.TIMEOUT,
        Kind.STEP_TIMEOUT,
        Kind.PAGE_HUNG,
        Kind.DOCUMENT_STALLED,
        Kind.STUCK,
        Kind.FROZEN,
        Kind.BROWSER_LOST,
    }
)
"""What a deadline says, of ours or of the browser's driver."""


def settle_success(run: RunState, attempt: Attempt, documents: tuple[Document, ...]) -> None:
    """The documents are in place: the reference is completed."""
    reference = attempt.reference
    del run.attempts[attempt.attempt]
    run.queue.complete(reference)
    if documents:
        run.controls.served(reference.ref)
    run.patience.learn(attempt.steps)
    if run.scaling is not None:
        run.scaling.completed(attempt.begun, run.now, len(documents))
    run.write(AttemptSucceeded(attempt.attempt, reference.ref_id, documents, attempt.steps))
    slot = run.slots[attempt.slot]
    slot.done += 1
    if slot.incarnation == attempt.incarnation:
        slot.deaths = slot.failures = 0
        slot.streak.clear()
    for other in run.slots.values():
        if other is not slot and other.failures:
            other.others_succeeded = True
    site_answered(run)
    run.say("INFO", f"completed, {len(documents)} documents", attempt=attempt)
    _confirm(run, attempt)


def _confirm(run: RunState, attempt: Attempt) -> None:
    """A success proves the session for all that was fetched before the attempt began, and waits for a later proof."""
    session = run.sessions.of(attempt.slot)
    session.proved()
    if session.is_doubtful(attempt.generation, attempt.answered):
        _recall(run, attempt.attempt, attempt.reference)
        return
    if attempt.proven:
        session.proven_until(attempt.generation, attempt.begun)
    session.remember(attempt.generation, attempt.answered, attempt.attempt, attempt.reference)
    _end_thefts(run, attempt.reference.ref_id)


def _end_thefts(run: RunState, served: int | str) -> None:
    """This reference, or control, was served: when it was one of several whose session was taken away, that was so."""
    sessions, policy = run.sessions, run.policy
    sessions.served(served)
    if sessions.rivals.at_work:
        how, advice = "by the login of another worker", "does the site allow one session an account?"
    elif sessions.thief.at_work:
        how = f"within {policy.stolen_window:.0f} s of the login"
        advice = "does somebody else log in with this account, or does the site "
        advice += "allow one session an account?" if sessions.own else "want a login for each browser?"
    else:
        return
    run.end(EXIT_STOPPED, f"the session was taken away {policy.stolen_sessions} times in a row {how}: {advice}")


def ask_again(run: RunState, slot: int) -> None:
    """Have somebody log in once more, to learn whether the site answers at all."""
    session = run.sessions.of(slot)
    session.ask_again()
    _recall_unproven(run, session)


def _recall_unproven(run: RunState, session: Session) -> None:
    for attempt, reference in session.take_unproven():
        _recall(run, attempt, reference)


def _recall(run: RunState, attempt: int, reference: Reference) -> None:
    """Have a completed reference fetched again, as nobody knows whether its documents came before the session ended."""
    if reference.free >= run.policy.free_returns:
        return
    reference.free += 1
    reference.attempts -= 1
    run.controls.forget(reference.ref)
    run.queue.recall(reference)
    run.write(SuccessDoubted(attempt, reference.ref_id))
    run.do(Withdraw(attempt, reference.ref_id, reference.ref))
    detail = "fetched again: its documents came after the last proof of being logged in, and that session is over"
    run.write(Incident("recalled", detail, 0, reference.ref_id, attempt))
    run.do(Say("WARNING", detail, 0, reference.ref, attempt))


def settle_failure(run: RunState, attempt: Attempt, failure: Failed) -> None:
    """The attempt came to nothing: its reference waits for another, or has failed for good."""
    reference = attempt.reference
    rule = RULES[failure.kind]
    del run.attempts[attempt.attempt]
    if failure.proven_after is not None:
        moment = min(run.now, attempt.begun + failure.proven_after)
        run.sessions.of(attempt.slot).proven_until(attempt.generation, moment)
    crashed = rule.crashed and not _is_of_the_machine(run, attempt, failure.kind)
    reference.crashes += crashed
    if failure.kind in {Kind.STEP_TIMEOUT, Kind.PAGE_HUNG}:
        run.patience.ended_early(failure.steps)
    counted = _is_charged(run, attempt, failure)
    if not counted:
        reference.attempts -= 1
    tries = run.policy.max_retries + 1 if rule.tries is None else min(rule.tries, run.policy.max_retries + 1)
    poison = crashed and reference.crashes > run.policy.poison_crashes
    final = counted and (reference.attempts >= tries or poison)
    if poison and counted:
        text = f"{failure.message}; it took its browser or worker down {reference.crashes} times, at last alone"
        failure = msgspec.structs.replace(failure, message=text)
    delay = 0.0 if final else _delay(run, reference, failure, counted=counted)
    run.write(
        AttemptFailed(
            attempt=attempt.attempt,
            ref_id=reference.ref_id,
            kind=failure.kind,
            message=failure.message,
            counted=counted,
            crashed=crashed,
            retry_in=None if final else delay,
            url=failure.url,
            status=failure.status,
            steps=failure.steps,
        )
    )
    run.do(
        Discard(attempt.attempt, reference.ref_id, reference.ref, attempt.number, failure.kind.value, failure.message)
    )
    if final:
        run.queue.fail(reference)
        text = f"failed for good at attempt {reference.attempts}: {failure.kind}: {failure.message}"
        run.say("ERROR", text, attempt=attempt)
    else:
        # Who met the login page is tried at once with the new session: that tells a stolen session from a bad page.
        first_loss = failure.kind is Kind.SESSION_EXPIRED and reference.free == 1
        last = not counted and rule.concern is not Concern.RUN and not first_loss
        run.queue.put_back(reference, run.now + delay if delay > 0 else None, last=last)
        fate = f"tried again in {delay:.1f} s" if counted else "goes back uncounted"
        run.say("WARNING", f"attempt {attempt.number}: {failure.kind}: {failure.message}; {fate}", attempt=attempt)
    if counted:
        _suspect_worker(run, attempt, failure.kind)


def site_answered(run: RunState, *, proof: bool = True) -> None:
    """The site answered sensibly; `proof` as for `Breaker.answered`."""
    run.reached = True
    if run.breaker.answered(run.live_slots(), proof=proof):
        _say_closed(run)


def control_served(run: RunState, ref: str) -> None:
    """The site serves what it served before: what fails is to blame itself."""
    run.incident("control_served", f"the site serves {ref} as before: it is up, and what fails is to blame itself")
    _end_thefts(run, ref)
    if run.breaker.acquit(run.live_slots()):
        _say_closed(run)


def control_failed(run: RunState, reason: str) -> None:
    """The site does not serve what it served before: nothing that failed meanwhile is to blame."""
    forgive_suspects(run)
    site_unreachable(run, reason)


def _say_closed(run: RunState) -> None:
    run.incident("breaker_closed", "the site is back; work is handed out at full speed")


def site_unreachable(run: RunState, reason: str) -> None:
    """Something that the whole run waits for (a login, a control) found the site down."""
    run.breaker.open(reason, run.now)
    run.incident("breaker_opened", _breaker_text(run), level="WARNING")


def forgive_suspects(run: RunState) -> None:
    """What failed as if the site was down since it last answered failed because it is."""
    for suspect in run.breaker.accused():
        if suspect.charged:
            _forgive(run, suspect.attempt, suspect.reference)


def throttle(run: RunState, retry_after: float | None) -> None:
    """The site asked for a pause, and every worker obeys."""
    asked = run.policy.throttle_pause if retry_after is None else retry_after
    run.breaker.open("the site asked for a pause", run.now, min(asked, run.policy.throttle_pause_limit))
    run.incident("throttled", _breaker_text(run), level="WARNING")


def session_lost(run: RunState, slot: int, generation: int, ref_id: int, begun: float, *, control: str = "") -> None:
    """The worker in this slot met the login page with the session of this generation, for this reference (0: none).

    What it was sent for, a `control` or something else, was handed out at `begun`; that it took long to say so makes
    no session old.
    """
    session = run.sessions.of(slot)
    young = begun - session.since <= run.policy.stolen_window
    if not session.expired(generation, ref_id, young=young):
        return
    what = "it logs in again" if run.sessions.own else "one worker logs in again while the others wait"
    run.incident("session_lost", f"the session is gone; {what}", level="WARNING")
    if not session.is_known_loser(ref_id):
        run.sessions.lost(slot, control or ref_id, run.now, young=young)
    _recall_unproven(run, session)
    if session.hopeless and ((session.in_question and control) or run.controls.next() is None):
        sessions_hopeless(run)
    elif session.hopeless:
        session.in_question = True


def sessions_hopeless(run: RunState) -> None:
    """Session after session was lost, with nothing completed: another login would not help."""
    run.end(
        EXIT_STOPPED,
        f"the session was lost {run.policy.fruitless_sessions} times in a row before anything was completed:"
        " does somebody else log in with this account, or does the site allow one session only?",
    )


def login_refused(run: RunState, message: str) -> None:
    """The site refused the credentials. The ledger remembers it, so that no later start tries the same ones again."""
    run.incident("login_refused", f"the site refused the login: {message}", level="WARNING")
    run.end(EXIT_LOGIN_REFUSED, f"the site refused the login: {message}")


def _is_charged(run: RunState, attempt: Attempt, failure: Failed) -> bool:
    """Say whether the reference pays for it, after telling the disk, the session and the breaker."""
    kind, reference = failure.kind, attempt.reference
    rule, alike = RULES[kind], likeness(failure, reference.ref)
    excused = False
    match kind:
        case Kind.DISK_FULL:
            run.pause("disk", "the disk is full")
        case Kind.LOGIN_REFUSED:
            login_refused(run, failure.message)
        case Kind.RATE_LIMITED:
            excused = run.breaker.state is not BreakerState.CLOSED
            if run.scaling is not None:
                run.scaling.limited(attempt.begun, run.now)
            throttle(run, failure.retry_after)
        case Kind.INTERRUPTED if run.stage is not Stage.RUNNING:
            return False  # whoever stops a run may do so as often as they like; a machine short of room is bounded
        case Kind.SESSION_EXPIRED:
            session_lost(run, attempt.slot, attempt.generation, reference.ref_id, attempt.begun)
        case Kind.FORBIDDEN:
            _forbidden(run, attempt)
        case _ if _is_of_the_machine(run, attempt, kind):
            reference.free += 1
            return reference.free > run.policy.free_returns
        case _ if alike is not None:
            if not attempt.disturbed:  # what broke while the machine stood still says nothing about the reference
                reference.suspicious |= reference.suspected not in {-1, run.breaker.answers}
                reference.suspected = run.breaker.answers
            charged = rule.counted or reference.free >= run.policy.free_returns
            suspect = Suspect(run.now, alike, attempt.slot, attempt.attempt, reference, charged)
            excused = _suspect_site(run, suspect)
        case _ if rule.answers:
            site_answered(run)
    if rule.counted or excused or not rule.bounded:
        return rule.counted and not excused
    reference.free += 1
    return reference.free > run.policy.free_returns


def _is_of_the_machine(run: RunState, attempt: Attempt, kind: Kind) -> bool:
    """Say whether it failed because the machine stood still, or crashed while it is short of memory or processes."""
    if attempt.disturbed and kind in _OF_TIME:
        return True
    return RULES[kind].crashed and kind is not Kind.MEMORY and bool(run.shedding.short)


def _forbidden(run: RunState, attempt: Attempt) -> None:
    """Once more after a fresh login; but a login whose session has served nobody yet is as fresh as can be."""
    site_answered(run)
    session = run.sessions.of(attempt.slot)
    if attempt.reference.attempts == 1 and session.doubted(attempt.generation):
        run.incident("session_doubted", "a page is forbidden; one worker logs in again to make sure", level="WARNING")
        _recall_unproven(run, session)


def _suspect_site(run: RunState, suspect: Suspect) -> bool:
    """Tell the breaker. Say whether the site is down, so that this is not the reference's fault."""
    was = run.breaker.state
    opening = run.breaker.suspect(suspect, run.live_slots())
    if opening is None:
        return False
    if run.breaker.state is not was:
        run.incident("breaker_opened", _breaker_text(run), level="WARNING")
    for earlier in opening:
        if earlier is not suspect and earlier.charged:
            _forgive(run, earlier.attempt, earlier.reference)
    return True


def _forgive(run: RunState, attempt: int, reference: Reference) -> None:
    """Take back what was charged to a reference before the outage was recognised."""
    if reference.state is State.COMPLETED or reference.attempts <= (reference.state is State.IN_PROGRESS):
        return
    reopen = reference.state is State.FAILED
    if reopen and reference.crashes > run.policy.poison_crashes:
        return  # poison is not given up for its number of attempts
    reference.attempts -= 1
    run.breaker.uncharge(attempt)
    for slot in run.slots.values():
        slot.streak = [one for one in slot.streak if one[0] != attempt]
    run.write(AttemptForgiven(attempt, reference.ref_id, reopen))
    fate = "not counted after all, and no longer failed for good" if reopen else "not counted after all"
    run.do(Say("INFO", fate, 0, reference.ref, attempt))
    if reopen:
        run.queue.reopen(reference)


def _breaker_text(run: RunState) -> str:
    left = max(0.0, run.breaker.until - run.now)
    return f"{run.breaker.reason}: nothing is handed out for {left:.{0 if left >= 1 else 1}f} s"


def _delay(run: RunState, reference: Reference, failure: Failed, *, counted: bool) -> float:
    """Seconds before the next attempt; 0 for as soon as the run allows.

    They grow with what is counted, and with what cannot be told from an outage because nothing else failed alike.
    """
    if counted:
        asked = min(failure.retry_after or 0.0, run.policy.throttle_pause_limit)
        return max(asked, _growing(run, reference.attempts))
    alone = RULES[failure.kind].alike is not None and run.breaker.state is BreakerState.CLOSED
    return _growing(run, reference.free) if alone else 0.0


def _growing(run: RunState, times: int) -> float:
    return min(run.policy.retry_delay * 2.0 ** min(max(times - 1, 0), 30), run.policy.retry_delay_limit)


def _suspect_worker(run: RunState, attempt: Attempt, kind: Kind) -> None:
    """A worker that fails again and again while others succeed gets a fresh browser, then a fresh process and profile.

    What it was charged with meanwhile is taken back, but for what the site itself said and what crashed.
    """
    slot = run.slots[attempt.slot]
    if slot.incarnation != attempt.incarnation:
        return
    slot.failures += 1
    if not (RULES[kind].answers or RULES[kind].crashed):
        slot.streak.append((attempt.attempt, attempt.reference))
    if not slot.others_succeeded or slot.failures % run.policy.sick_failures:
        return
    if slot.failures == run.policy.sick_failures:
        slot.refresh = True
        run.incident("sick", "fails where others succeed; it gets a fresh browser", slot, level="WARNING")
    elif not slot.recycle:
        slot.recycle = True
        run.incident("sick", "still fails where others succeed; it gets a fresh process and profile", slot)
    streak, slot.streak = slot.streak, []
    for number, reference in streak:
        _forgive(run, number, reference)
