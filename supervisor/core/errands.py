"""Logging in, exporting the inventory, trying a control: one worker does it, and the others wait for what it brings."""

from supervisor.core.breaker import BreakerState
from supervisor.core.commands import DiscardErrand, LoadInventory, Send
from supervisor.core.failures import RULES
from supervisor.core.fleet import Slot, SlotState
from supervisor.core.outcomes import (
    ask_again,
    control_failed,
    control_served,
    forgive_suspects,
    login_refused,
    session_lost,
    sessions_hopeless,
    site_answered,
    site_unreachable,
    throttle,
)
from supervisor.core.state import EXIT_RECIPE, EXIT_STOPPED, RunState, Stage
from worker.protocol import (
    ErrandFailed,
    ExportInventory,
    InventoryExported,
    Kind,
    LoggedIn,
    LogIn,
    ProveSession,
    Revisit,
    UseSession,
)

_GRACE = 30.0
"""Seconds that a worker gets beyond an errand's deadline to say that it was not met."""

_PROOFS = 3
"""Proofs in a row that may come to nothing at the end of a run."""

_PROOF_SECONDS = 30.0

_OF_THE_RECIPE = frozenset({Kind.RECIPE_ERROR, Kind.EXPORT_INVALID, Kind.NOT_FOUND, Kind.CERTIFICATE})
"""Failures of the first login, or of the export, that another try would not change."""


def under_way(run: RunState) -> bool:
    """Say whether some worker is on an errand, or its export is being read.

    A worker that was condemned on an errand is on it until its tree is dead and the errand has failed.
    """
    return run.loading or any(
        slot.state is SlotState.ERRAND or (slot.death is not None and slot.death.errand) for slot in run.slots.values()
    )


def next_errand(run: RunState, slot: Slot) -> None:
    """Send an idle worker for what the run lacks: the session, or else the inventory."""
    limit = run.policy.errand_timeout
    order: type[ExportInventory | LogIn] = LogIn
    if run.sessions.of(slot.number).valid:
        give_session(run, slot)
        order = ExportInventory
    errand = _begin(run, slot, limit)
    staging = f"{run.policy.staging_root}/errand-{errand}"
    run.do(Send(slot.number, slot.incarnation, order(errand, staging, limit)))


def in_question(run: RunState, slot: Slot) -> bool:
    """Say whether a control has to tell, before anything else is handed out, whether it is the site that fails."""
    in_doubt = run.in_doubt and not run.attempts
    return run.breaker.asks or in_doubt or run.sessions.of(slot.number).in_question


def ask(run: RunState, slot: Slot) -> None:
    """Find out whether the site serves anything: by a control or, when there is none, by a login."""
    if under_way(run):
        return
    control = run.controls.next()
    if control is not None:
        _try_control(run, slot, control)
    elif run.sessions.of(slot.number).in_question:
        sessions_hopeless(run)
    else:
        ask_again(run, slot.number)
        next_errand(run, slot)


def _try_control(run: RunState, slot: Slot, ref: str) -> None:
    give_session(run, slot)
    limit = run.policy.task_timeout
    errand = _begin(run, slot, limit)
    slot.control = ref
    run.pace.started(slot.number, run.now)
    run.do(
        Send(slot.number, slot.incarnation, Revisit(errand, ref, f"{run.policy.staging_root}/errand-{errand}", limit))
    )


def served(run: RunState, slot: Slot, begun: float, *, proven: bool) -> None:
    """The site served a control as it did before."""
    ref, slot.control = slot.control, ""
    run.controls.proved(ref)
    session = run.sessions.of(slot.number)
    session.proved()
    if proven:
        session.proven_until(slot.generation, begun)
    control_served(run, ref)


def _control_failed(run: RunState, slot: Slot, failure: ErrandFailed) -> None:
    ref, slot.control = slot.control, ""
    kind = failure.kind
    run.incident("errand_failed", f"{ref}, which was served before, failed: {kind}: {failure.message}", level="WARNING")
    run.do(DiscardErrand(failure.errand, "control", kind.value, failure.message))
    if run.stage is not Stage.RUNNING:
        return
    match kind:
        case Kind.SESSION_EXPIRED:
            run.controls.put_last(ref)
            session_lost(run, slot.number, slot.generation, 0, run.now, control=ref)
        case Kind.RATE_LIMITED:
            throttle(run, failure.retry_after)
        case Kind.LOGIN_REFUSED:
            login_refused(run, failure.message)
        case Kind.DISK_FULL:
            run.pause("disk", "the disk is full")
        case Kind.INTERRUPTED:
            pass  # the machine needed room
        case _ if RULES[kind].alike is not None or failure.instead:
            run.controls.put_last(ref)
            control_failed(run, failure.message)
        case _ if RULES[kind].answers:
            run.controls.forget(ref)  # it was sold meanwhile, say
        case _:
            run.controls.told_nothing(ref)
            if not slot.recycle:  # or a sick worker would use up every control
                slot.recycle = True
                run.incident("sick", "fails with what was served before; it gets a fresh process and profile", slot)


def give_session(run: RunState, slot: Slot) -> None:
    """See that the worker has the present session before it is sent anywhere."""
    session = run.sessions.of(slot.number)
    if slot.generation != session.generation:
        slot.generation = session.generation
        run.do(Send(slot.number, slot.incarnation, UseSession(session.content)))


def prove(run: RunState, slot: Slot) -> bool:
    """At the end of a run, have a worker prove the session for what was fetched last; say whether it stays for that."""
    session = run.sessions.of(slot.number)
    if not session.valid or session.proof_tries >= _PROOFS or run.breaker.state is not BreakerState.CLOSED:
        return False
    others = [other for other in run.slots.values() if run.sessions.of(other.number) is session]
    if any(other.state is SlotState.BUSY or is_proving(other) for other in others):
        return False  # that worker is here for longer
    if any(run.sessions.of(attempt.slot) is session for attempt in run.attempts.values()):
        return True  # what is being published is to be proven as well
    if not session.has_unproven:
        return False
    _look_at_inventory(run, slot)
    return True


def make_sure(run: RunState, slot: Slot) -> None:
    """Nobody knows whether the session still holds: have a worker look, and the others wait for it."""
    if not under_way(run):
        _look_at_inventory(run, slot)


def _look_at_inventory(run: RunState, slot: Slot) -> None:
    give_session(run, slot)
    limit = min(run.policy.errand_timeout, _PROOF_SECONDS)
    run.do(Send(slot.number, slot.incarnation, ProveSession(_begin(run, slot, limit), limit)))
    slot.proving = True


def is_proving(slot: Slot) -> bool:
    """Say whether this worker's errand is the proof of the session."""
    return slot.proving and slot.state is SlotState.ERRAND


def proven(run: RunState, slot: Slot, begun: float) -> None:
    """The session was alive when this proof, begun at that time, was made."""
    slot.proving = False
    session = run.sessions.of(slot.number)
    session.unsure = False
    session.proven_until(slot.generation, begun)


def leave_unproven(run: RunState) -> None:
    """Nobody is left who could prove the session: say for how much this matters."""
    left = sum(len(session.take_unproven()) for session in run.sessions.all)
    if left:
        text = f"the documents of the last {left} references were not confirmed by a later page for who is logged in"
        run.incident("unproven", text, level="WARNING")


def _begin(run: RunState, slot: Slot, limit: float) -> int:
    slot.errand = run.number("errand")
    slot.proving, slot.control = False, ""
    slot.move(SlotState.ERRAND, run.now, run.now + limit + _GRACE)
    return slot.errand


def logged_in(run: RunState, slot: Slot, message: LoggedIn) -> None:
    """The session is there; the others get it before their next reference."""
    run.sessions.renewed(slot.number, message.session, run.now)
    slot.generation = run.sessions.of(slot.number).generation
    if run.controls.next() is None:  # otherwise one of them tells, which says more
        site_answered(run, proof=False)
    run.incident("logged_in", "logged in", slot)


def exported(run: RunState, message: InventoryExported) -> None:
    """The export lies in the staging folder of its errand."""
    run.sessions.exported()
    run.loading = True
    run.do(
        LoadInventory(message.errand, message.file, message.column, message.delimiter, message.encoding, message.place)
    )


def failed(run: RunState, slot: Slot, failure: ErrandFailed) -> None:
    """A login, an export or a proof came to nothing: again after a pause, or the end of the run."""
    kind, message = failure.kind, failure.message
    session = run.sessions.of(slot.number)
    if slot.control:
        _control_failed(run, slot, failure)
        return
    if slot.proving:
        slot.proving = False
        _unproven(run, slot, failure)
        return
    exporting = session.valid
    what = "the inventory could not be exported" if exporting else "the login did not succeed"
    run.incident("errand_failed", f"{what}: {kind}: {message}", level="WARNING")
    run.do(DiscardErrand(failure.errand, "export" if exporting else "login", kind.value, message))
    if kind is Kind.LOGIN_REFUSED:
        login_refused(run, message)
        return
    if kind in _OF_THE_RECIPE and (exporting or not session.generation):
        run.end(EXIT_RECIPE, f"{what}: {message}")
        return
    if kind is Kind.SESSION_EXPIRED and exporting:
        session_lost(run, slot.number, session.generation, 0, run.now)
        return
    session.failed(run.now, min(run.policy.retry_delay * 2.0 ** min(session.tries, 30), run.policy.retry_delay_limit))
    if kind is not Kind.RATE_LIMITED:
        forgive_suspects(run)  # where not even a login succeeds, no reference is to blame
    of_the_machine = RULES[kind].crashed and bool(run.shedding.short)  # it will have room again
    if not run.reached and session.tries >= run.policy.login_tries and not of_the_machine:
        run.end(EXIT_STOPPED, f"{what} in {session.tries} tries: {message}")
    elif kind is Kind.RATE_LIMITED:
        throttle(run, failure.retry_after)
    elif RULES[kind].alike is not None and run.reached:
        site_unreachable(run, message)


def _unproven(run: RunState, slot: Slot, failure: ErrandFailed) -> None:
    session = run.sessions.of(slot.number)
    run.incident("errand_failed", f"the session was not proven: {failure.kind}: {failure.message}", level="WARNING")
    if failure.kind is Kind.SESSION_EXPIRED:
        session_lost(run, slot.number, slot.generation, 0, run.now)
    elif session.unsure:
        session.unsure = False  # the references will tell
    else:
        session.proof_tries += 1
