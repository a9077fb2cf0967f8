"""Logging in and exporting the inventory: one worker does it, and the others wait for what it brings."""

from supervisor.core.commands import LoadInventory, Send
from supervisor.core.failures import RULES
from supervisor.core.fleet import Slot, SlotState
from supervisor.core.outcomes import forgive_suspects, session_lost, site_answered, site_unreachable, throttle
from supervisor.core.state import EXIT_LOGIN_REFUSED, EXIT_RECIPE, EXIT_STOPPED, RunState
from worker.protocol import ErrandFailed, ExportInventory, InventoryExported, Kind, LoggedIn, LogIn, UseSession

_GRACE = 30.0
"""Seconds that a worker gets beyond an errand's deadline to say that it was not met."""

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
    if run.session.valid:
        give_session(run, slot)
        errand = _begin(run, slot)
        staging = f"{run.policy.staging_root}/errand-{errand}"
        run.do(Send(slot.number, slot.incarnation, ExportInventory(errand, staging, limit)))
    else:
        run.do(Send(slot.number, slot.incarnation, LogIn(_begin(run, slot), limit)))


def give_session(run: RunState, slot: Slot) -> None:
    """See that the worker has the present session before it is sent anywhere."""
    if slot.generation != run.session.generation:
        slot.generation = run.session.generation
        run.do(Send(slot.number, slot.incarnation, UseSession(run.session.content)))


def _begin(run: RunState, slot: Slot) -> int:
    slot.errand = run.number("errand")
    slot.move(SlotState.ERRAND, run.now, run.now + run.policy.errand_timeout + _GRACE)
    return slot.errand


def logged_in(run: RunState, slot: Slot, message: LoggedIn) -> None:
    """The session is there; the others get it before their next reference."""
    run.session.renewed(message.session, run.now)
    slot.generation = run.session.generation
    site_answered(run, proof=False)
    run.incident("logged_in", "logged in", slot)


def exported(run: RunState, message: InventoryExported) -> None:
    """The export lies in the staging folder of its errand."""
    run.session.succeeded()
    run.loading = True
    run.do(LoadInventory(message.errand, message.file, message.column, message.delimiter, message.encoding))


def failed(run: RunState, failure: ErrandFailed) -> None:
    """A login or an export came to nothing: again after a pause, or the end of the run."""
    kind, message = failure.kind, failure.message
    exporting = run.session.valid
    what = "the inventory could not be exported" if exporting else "the login did not succeed"
    run.incident("errand_failed", f"{what}: {kind}: {message}", level="WARNING")
    if kind is Kind.LOGIN_REFUSED:
        run.end(EXIT_LOGIN_REFUSED, f"the site refused the login: {message}")
        return
    if kind in _OF_THE_RECIPE and (exporting or not run.session.generation):
        run.end(EXIT_RECIPE, f"{what}: {message}")
        return
    if kind is Kind.SESSION_EXPIRED and exporting:
        session_lost(run, run.session.generation, 0)
        return
    run.session.failed(run.now, min(run.policy.retry_delay * 2.0**run.session.tries, run.policy.retry_delay_limit))
    if kind is not Kind.RATE_LIMITED:
        forgive_suspects(run)  # where not even a login succeeds, no reference is to blame
    if not run.reached and run.session.tries >= run.policy.login_tries:
        run.end(EXIT_STOPPED, f"{what} in {run.session.tries} tries: {message}")
    elif kind is Kind.RATE_LIMITED:
        throttle(run, failure.retry_after)
    elif RULES[kind].alike is not None and run.reached:
        site_unreachable(run, message)
