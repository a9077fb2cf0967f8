"""What to do next, after every event: end what is over, start what is missing, hand out what may go out."""

from supervisor.core import errands
from supervisor.core.attempts import Attempt
from supervisor.core.breaker import BreakerState
from supervisor.core.commands import Finish, Send, Spawn
from supervisor.core.fleet import Slot, SlotState
from supervisor.core.records import AttemptStarted
from supervisor.core.state import EXIT_COMPLETED, EXIT_SOME_FAILED, EXIT_STOPPED, Ending, RunState, Stage
from supervisor.core.watchdog import dismiss
from worker.protocol import Assign, Refresh, ShutDown

_IDLE, _VACANT = SlotState.IDLE, SlotState.VACANT


def turn(run: RunState) -> None:
    """Bring the run forward as far as it goes without another event."""
    if run.stage is Stage.DRAINING:
        _go_on_when_reopened(run)
    if run.stage is Stage.RUNNING:
        _end_when_done(run)
    match run.stage:
        case Stage.RUNNING:
            # In an outage what has not failed yet goes first: its failure says more, and its success too.
            run.queue.promote(run.now, last=run.breaker.state is not BreakerState.CLOSED)
            _staff(run)
            _hand_out(run)
        case Stage.DRAINING:
            _drain(run)
        case Stage.STOPPING:
            for slot in run.slots.values():
                if slot.state not in {SlotState.VACANT, SlotState.RETIRED, SlotState.KILLING}:
                    dismiss(run, slot)
            _finish_when_empty(run)
        case Stage.FINISHED:
            pass


def _end_when_done(run: RunState) -> None:
    outage = run.policy.outage_limit
    if run.inventory_known and not run.queue.unfinished and not run.in_doubt:
        done = _done(run)
        run.end(done.code, done.reason)
    elif run.pauses:
        return
    elif run.breaker.exhausted(run.now):
        run.end(EXIT_STOPPED, f"the site was down for {outage:.0f} s: {run.breaker.reason}")
    elif what := run.sessions.in_vain(run.now, outage, run.slots):
        run.end(EXIT_STOPPED, f"nobody could {what} for {outage:.0f} s")


def _go_on_when_reopened(run: RunState) -> None:
    """References were reopened while the last workers of a finished run were leaving."""
    if run.ending is not None and run.ending.code <= EXIT_SOME_FAILED and run.queue.unfinished:
        run.stage, run.ending = Stage.RUNNING, None


def _done(run: RunState) -> Ending:
    totals = run.queue.totals()
    if totals.failed:
        return Ending(EXIT_SOME_FAILED, f"finished: {totals.completed} references completed, {totals.failed} failed")
    return Ending(EXIT_COMPLETED, f"finished: all {totals.completed} references completed")


def _staff(run: RunState) -> None:
    """Start children in vacant slots, as long as there is work for them, and let go of those whose time has come."""
    missing: int | None = None  # counted only when a slot is vacant, which is seldom
    for slot in run.slots.values():
        if slot.state is _IDLE:
            if slot.retiring or slot.recycle or _worn_out(run, slot):
                _let_go(run, slot)
            elif slot.refresh:
                slot.refresh = False
                slot.move(SlotState.RECOVERING, run.now, run.now + run.policy.recover_timeout)
                run.do(Send(slot.number, slot.incarnation, Refresh()))
        elif slot.state is _VACANT:
            if slot.retiring:
                slot.move(SlotState.RETIRED, run.now)
            elif run.now >= slot.not_before:
                missing = _missing(run) if missing is None else missing
                if missing > 0:
                    missing -= 1
                    _start(run, slot)


def _missing(run: RunState) -> int:
    """How many more workers there is work and room for."""
    wanted = max(run.queue.unfinished, run.in_doubt) if run.inventory_known else len(run.slots)
    if run.shedding.ceiling is not None:
        wanted = min(wanted, run.shedding.ceiling)
    return wanted - run.live_slots()


def _start(run: RunState, slot: Slot) -> None:
    incarnation = run.number("incarnation")
    slot.begin(incarnation, run.now, run.now + run.policy.start_timeout)
    run.do(Spawn(slot.number, incarnation))
    run.incident("restarted" if slot.restarts else "started", f"incarnation {incarnation} starts", slot)


def _worn_out(run: RunState, slot: Slot) -> bool:
    return 0 < run.policy.recycle_after <= slot.tasks


def _hand_out(run: RunState) -> None:
    """Give every idle worker what the run needs most: a login, an export, a reference."""
    idle = [] if run.pauses else [slot for slot in run.slots.values() if slot.state is _IDLE]
    idle = [slot for slot in idle if run.now >= slot.rest_until]
    if not idle:
        return
    idle.sort(key=lambda slot: slot.since)  # whoever has waited longest comes first
    for slot in idle:
        if not run.breaker.allows(len(run.attempts), run.now):
            return
        session = run.sessions.of(slot.number)
        if not session.valid or not run.inventory_known:
            if not errands.under_way(run) and run.now >= session.not_before:
                errands.next_errand(run, slot)
            if run.sessions.own:  # those that are logged in go on meanwhile
                continue
            return
        if run.pace.wait(run.now) or not _hand_one_out(run, slot):
            return


def _hand_one_out(run: RunState, slot: Slot) -> bool:
    """Give an idle worker a reference, or what has to be known before; say whether the next one may get something."""
    if run.sessions.of(slot.number).unsure:
        errands.make_sure(run, slot)
        return False
    if errands.in_question(run, slot):
        errands.ask(run, slot)
        return False
    reference = run.queue.take(run.policy.poison_crashes)
    if reference is None:
        return False
    if run.breaker.doubts(reference):  # a control can tell
        run.queue.put_back(reference, None)
        errands.ask(run, slot)
        return False
    reference.attempts += 1
    number, generation = run.number("attempt"), run.sessions.of(slot.number).generation
    _assign(run, slot, Attempt(number, reference, slot.number, slot.incarnation, generation, now=run.now))
    return True


def _assign(run: RunState, slot: Slot, attempt: Attempt) -> None:
    reference = attempt.reference
    run.attempts[attempt.attempt] = attempt
    run.pace.started(slot.number, run.now)
    run.write(AttemptStarted(attempt.attempt, reference.ref_id, attempt.number, slot.number, slot.incarnation))
    errands.give_session(run, slot)
    slot.attempt = attempt.attempt
    slot.step, slot.step_since = "", run.now
    slot.move(SlotState.BUSY, run.now, run.now + run.policy.stuck_threshold)
    last = attempt.number > run.policy.max_retries
    # While the site is in doubt nobody knows how long anything takes.
    hurried = not last and run.breaker.state is BreakerState.CLOSED
    assign = Assign(
        attempt=attempt.attempt,
        ref=reference.ref,
        number=attempt.number,
        last=last,
        staging=f"{run.policy.staging_root}/{attempt.attempt}",
        deadline=run.policy.task_timeout,
        limits=run.patience.limits() if hurried else {},
    )
    run.do(Send(slot.number, slot.incarnation, assign))


def _let_go(run: RunState, slot: Slot) -> None:
    slot.move(SlotState.LEAVING, run.now, run.now + run.policy.shutdown_timeout)
    run.do(Send(slot.number, slot.incarnation, ShutDown()))


def _drain(run: RunState) -> None:
    """Wait for the attempts in flight; let the workers go that hold nothing and have nothing left to prove."""
    for slot in run.slots.values():
        if slot.state is SlotState.IDLE:
            if not errands.prove(run, slot):
                _let_go(run, slot)
        elif slot.state in {SlotState.STARTING, SlotState.RECOVERING, SlotState.ERRAND} and not errands.is_proving(
            slot
        ):
            dismiss(run, slot)
    _finish_when_empty(run)


def _finish_when_empty(run: RunState) -> None:
    if run.attempts or any(slot.state not in {SlotState.VACANT, SlotState.RETIRED} for slot in run.slots.values()):
        return
    if run.ending is None:
        raise AssertionError("the run drains without a reason")
    errands.leave_unproven(run)
    if run.ending.code == EXIT_STOPPED and run.inventory_known and not run.queue.unfinished:
        run.ending = _done(run)  # it was stopped, but there was nothing left to do
    run.stage = Stage.FINISHED
    run.do(Finish(run.ending.code, run.ending.reason))
