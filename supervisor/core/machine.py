"""The state machine of a run: `Machine.handle(event, now)` takes an event and returns the commands that follow.

- `now` is a value, in monotonic seconds; it never goes back.
- A message counts only when it comes from the present incarnation of its slot, and an answer only when it names what
  this slot holds. Whatever else arrives changes nothing.
- A record is written before the command that depends on it is given.
"""

from typing import assert_never

from supervisor.core import dispatch, errands, gaps, outcomes, sizing, watchdog
from supervisor.core import events as ev
from supervisor.core.attempts import Attempt, Phase
from supervisor.core.backlog import Backlog
from supervisor.core.commands import Command
from supervisor.core.fleet import ALIVE, HEARD, Slot, SlotState
from supervisor.core.policy import Policy
from supervisor.core.records import Entry, ReferenceGivenUp, ReferenceReopened
from supervisor.core.state import EXIT_RECIPE, EXIT_STOPPED, RunState, Stage
from worker.protocol import (
    VERSION,
    BrowserStarted,
    ErrandFailed,
    Failed,
    Heartbeat,
    Hello,
    InventoryExported,
    Kind,
    LoggedIn,
    Outbound,
    Ready,
    Served,
    SessionProven,
    StartFailed,
    Succeeded,
)

_IDLE, _VACANT = SlotState.IDLE, SlotState.VACANT


class Machine:
    """One run, from what the ledger knows at its start to `Finish`."""

    def __init__(self, policy: Policy, workers: int, backlog: Backlog, now: float) -> None:
        self.run = RunState(policy, workers, backlog, now)
        self._deadline: float | None = None
        """What `next_deadline` found since the last event."""
        for reference in self.run.queue.give_up(policy.max_retries + 1):
            text = (
                f"no attempt is left after {reference.attempts}; the last one ended with the supervisor or the machine"
            )
            self.run.write(ReferenceGivenUp(reference.ref_id, Kind.SUPERVISOR_LOST, text))

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """Take one event at `now`; return the commands to carry out, in their order.

        Raises:
            AssertionError: time went back, or a bug of ours.
        """
        run = self.run
        if now < run.now:
            raise AssertionError(f"time went back from {run.now} to {now}")
        nothing_follows = _is_sign_of_life(event) and now < self.next_deadline()
        run.now = now
        self._deadline = None
        if run.stage is not Stage.FINISHED:
            _take(run, event)
            if not nothing_follows:
                sizing.adjust(run)
                dispatch.turn(run)
        return run.commands()

    def next_deadline(self) -> float:
        """When `TimePassed` must come at the latest; never more than the watchdog interval ahead."""
        if self._deadline is None:
            self._deadline = self._find_deadline()
        return self._deadline

    def _find_deadline(self) -> float:
        run = self.run
        if run.stage is Stage.FINISHED:
            return run.now + run.policy.watchdog_interval  # nothing is due; the last records may still be on their way
        now, first, heartbeat_timeout = run.now, run.statistics_at, run.policy.heartbeat_timeout
        working = run.stage is Stage.RUNNING
        for slot in run.slots.values():
            due = slot.next_deadline(heartbeat_timeout)
            if due is not None and due < first:
                first = due
            if slot.state is _IDLE:
                if working and now < slot.rest_until < first:
                    first = slot.rest_until
            elif slot.state is _VACANT and working and now < slot.not_before < first:
                first = slot.not_before
        if working:
            if run.scaling is not None and now < run.scaling.next_look < first:
                first = run.scaling.next_look
            for due in (run.queue.next_due(), run.breaker.next_deadline(), run.pace.next_deadline(now)):
                if due is not None and now < due < first:
                    first = due
            for session in run.sessions.all:
                if now < session.not_before < first:
                    first = session.not_before
        return first

    def check_invariants(self) -> None:
        """Check what must hold after every event, in time linear in the slots.

        Raises:
            AssertionError: a promise of the core is broken.
        """
        self.run.check()


def _is_sign_of_life(event: ev.Event) -> bool:
    """Say whether it can at most move a deadline away: where none has come, nothing follows from it.

    Most events of a night are of this sort.
    """
    if isinstance(event, ev.WorkerSpoke):
        return isinstance(event.message, Heartbeat)
    return isinstance(event, ev.SendDelayed)


def _take(run: RunState, event: ev.Event) -> None:
    match event:
        case ev.WorkerSpoke() | ev.WorkerGarbled() | ev.WorkerExited() | ev.SpawnFailed() | ev.MemoryMeasured():
            slot = run.slots.get(event.slot)
            if slot is not None and slot.incarnation == event.incarnation and slot.state in ALIVE:
                _of_worker(run, slot, event)
        case ev.TreeGone(slot=number, incarnation=incarnation):
            slot = run.slots.get(number)
            if slot is not None and slot.incarnation == incarnation and slot.state is SlotState.KILLING:
                watchdog.tree_gone(run, slot)
                _after_death(run, slot)
        case ev.Published(attempt=number, documents=documents):
            attempt = _publishing(run, number)
            if attempt is not None:
                outcomes.settle_success(run, attempt, documents)
        case ev.PublishFailed(attempt=number, kind=kind, message=message):
            attempt = _publishing(run, number)
            if attempt is not None:
                outcomes.settle_failure(run, attempt, Failed(number, kind, message, ready=True))
        case ev.InventoryLoaded(entries=entries, completed_before=completed, failed_before=failed):
            run.loading, run.inventory_known = False, True
            run.queue.begin_again(completed, failed)
            run.queue.add(entries, run.now)
            again = completed + len(failed)
            text = f"the inventory has {len(entries) - again} new references"
            run.incident("inventory", f"{text}; {again} are done again" if again else text)
        case ev.InventoryRejected(reason=reason):
            run.loading = False
            run.end(EXIT_RECIPE, f"the inventory export cannot be used: {reason}")
        case ev.TimePassed():
            watchdog.watch(run)
        case ev.SendDelayed(slot=number, incarnation=incarnation, seconds=seconds):
            slot = run.slots.get(number)
            if slot is not None and slot.incarnation == incarnation and slot.state in HEARD:
                slot.extend(seconds)
                if slot.state is SlotState.BUSY:
                    run.pace.delayed(run.now)
        case ev.MachineMeasured(left=left, idle=idle):
            run.shedding.measured_processor(idle)
            watchdog.make_room(run, left)
        case ev.LoopStalled(seconds=seconds):
            gaps.stood_still(run, seconds)
        case ev.MachineSlept(seconds=seconds):
            gaps.slept(run, seconds)
        case ev.Alerted(what=what, sentence=sentence, level=level):
            run.incident(what, sentence, level=level)
        case _:
            _of_operator(run, event)


def _of_operator(
    run: RunState,
    event: ev.StopRequested
    | ev.PauseRequested
    | ev.ResumeRequested
    | ev.ScaleRequested
    | ev.RetryRequested
    | ev.RestartRequested,
) -> None:
    match event:
        case ev.StopRequested(at_once=at_once, reason=reason):
            run.end(EXIT_STOPPED, reason, at_once=at_once)
        case ev.PauseRequested(cause=cause, reason=reason):
            run.pause(cause, reason)
        case ev.ResumeRequested(cause=cause):
            run.unpause(cause)
        case ev.ScaleRequested(workers=workers):
            sizing.wanted_by_operator(run, workers)
        case ev.RetryRequested(entries=entries):
            _retry(run, entries)
        case ev.RestartRequested(slot=number):
            if number in run.slots:
                run.slots[number].recycle = True
        case _:
            assert_never(event)


def _retry(run: RunState, entries: tuple[Entry, ...]) -> None:
    reopened = run.queue.reopen_entries(entries)
    for entry in reopened:
        run.write(ReferenceReopened(entry.ref_id))
    again = {entry.ref_id for entry in reopened}
    run.breaker.forget(again)
    for slot in run.slots.values():
        slot.streak = [one for one in slot.streak if one[1].ref_id not in again]
    run.incident("reopened", f"the operator wants {len(reopened)} failed references tried again")


def _publishing(run: RunState, number: int) -> Attempt | None:
    attempt = run.attempts.get(number)
    return attempt if attempt is not None and attempt.phase is Phase.PUBLISHING else None


def _of_worker(
    run: RunState,
    slot: Slot,
    event: ev.WorkerSpoke | ev.WorkerGarbled | ev.WorkerExited | ev.SpawnFailed | ev.MemoryMeasured,
) -> None:
    match event:
        case ev.WorkerSpoke(message=message):
            slot.last_heard = run.now
            _hear(run, slot, message)
        case ev.WorkerGarbled(reason=reason):
            watchdog.condemn(run, slot, Kind.WORKER_GARBLED, f"the worker sent what is no message: {reason}")
        case ev.WorkerExited(code=code):
            watchdog.bury(run, slot, code)
        case ev.SpawnFailed(reason=reason):
            watchdog.never_started(run, slot, reason)
        case ev.MemoryMeasured(bytes=size):
            watchdog.weigh(run, slot, size)
        case _:
            assert_never(event)


def _hear(run: RunState, slot: Slot, message: Outbound) -> None:
    match message:
        case Hello(version=version):
            if version != VERSION:
                watchdog.condemn(run, slot, Kind.WORKER_GARBLED, f"the worker speaks protocol {version}, not {VERSION}")
        case BrowserStarted():
            pass  # the shell remembers the browser's session; the core has no use for it
        case StartFailed(reason=reason):
            if slot.state is SlotState.STARTING:
                watchdog.condemn(run, slot, Kind.BROWSER_LOST, reason, evidence=False)
        case Ready():
            if slot.state in {SlotState.STARTING, SlotState.RECOVERING}:
                run.start_failures = 0
                slot.move(SlotState.IDLE, run.now)
        case Heartbeat(step=step, step_seconds=seconds, requests=requests):
            if requests:
                run.pace.asked(slot.number, requests, run.now)
            slot.step, slot.step_since = step, run.now - min(seconds, run.now - slot.since)
        case LoggedIn(errand=errand):
            if _errand_answered(run, slot, errand, ready=True):
                errands.logged_in(run, slot, message)
        case InventoryExported(errand=errand):
            if _errand_answered(run, slot, errand, ready=True):
                errands.exported(run, message)
        case SessionProven(errand=errand):
            begun = slot.since
            if _errand_answered(run, slot, errand, ready=True):
                errands.proven(run, slot, begun)
        case Served(errand=errand, proven=proven):
            begun = slot.since
            if slot.control and _errand_answered(run, slot, errand, ready=True):
                errands.served(run, slot, begun, proven=proven)
        case ErrandFailed(errand=errand, ready=ready):
            if _errand_answered(run, slot, errand, ready=ready):
                errands.failed(run, slot, message)
        case Succeeded(attempt=number):
            if _answered(run, slot, number, ready=True):
                outcomes.succeeded(run, run.attempts[number], message)
        case Failed(attempt=number, ready=ready):
            if _answered(run, slot, number, ready=ready):
                outcomes.settle_failure(run, run.attempts[number], message)
        case _:
            assert_never(message)


def _answered(run: RunState, slot: Slot, number: int, *, ready: bool) -> bool:
    """Free the slot if this is the answer that it owes; say whether it is."""
    if slot.state is not SlotState.BUSY or slot.attempt != number:
        return False
    slot.attempt = 0
    slot.tasks += 1
    run.pace.ended(slot.number, answered=True)
    slot.rest_until = run.now + run.policy.worker_delay
    _freed(run, slot, ready=ready)
    return True


def _errand_answered(run: RunState, slot: Slot, errand: int, *, ready: bool) -> bool:
    if slot.state is not SlotState.ERRAND or slot.errand != errand:
        return False
    slot.errand = 0
    if slot.control:
        run.pace.ended(slot.number, answered=True)
        slot.rest_until = run.now + run.policy.worker_delay
    _freed(run, slot, ready=ready)
    return True


def _freed(run: RunState, slot: Slot, *, ready: bool) -> None:
    slot.step = ""
    if ready:
        slot.move(SlotState.IDLE, run.now)
    else:
        slot.move(SlotState.RECOVERING, run.now, run.now + run.policy.recover_timeout)


def _after_death(run: RunState, slot: Slot) -> None:
    """An errand that died with its worker is a failed errand."""
    death, slot.death = slot.death, None
    if death is not None and death.errand and run.stage is Stage.RUNNING:
        errands.failed(run, slot, death)
