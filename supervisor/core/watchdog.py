"""Deadlines, deaths and kills: when a worker is given up, and what follows when its tree is confirmed dead.

Killing is a state of the slot. Until `TreeGone` comes the slot holds its attempt, and nothing that the condemned worker
says is heard.
"""

from supervisor.core.attempts import Attempt, Phase
from supervisor.core.commands import Kill
from supervisor.core.fleet import Slot, SlotState
from supervisor.core.outcomes import settle_failure
from supervisor.core.state import EXIT_MACHINE, RunState, Stage
from worker.exits import SAID
from worker.protocol import ErrandFailed, Failed, Kind

_KILL_PATIENCE = 60.0
"""Seconds after which a tree that is still not dead is reported again."""

_SIGKILL = -9

_OWN = "descriptors"
"""Of what runs short, what nobody but this process takes: without a worker at work none come back."""


def watch(run: RunState) -> None:
    """A deadline may have passed: look at every slot."""
    now, heartbeat_timeout = run.now, run.policy.heartbeat_timeout
    for slot in run.slots.values():
        overdue = slot.overdue(now, heartbeat_timeout)
        if overdue == "heartbeat":
            silence = run.now - slot.last_heard
            condemn(run, slot, Kind.FROZEN, f"the worker was silent for {silence:.1f} s")
        elif overdue == "deadline":
            _deadline_passed(run, slot)
    if run.now >= run.statistics_at:
        run.statistics_at = run.now + run.policy.watchdog_interval
        totals = run.queue.totals()
        run.say(
            "INFO",
            f"queue: {totals.completed} completed, {totals.failed} failed, {totals.in_progress} in progress,"
            f" {totals.waiting} waiting for a retry, {totals.ready} pending, {totals.total} in all",
        )


def _deadline_passed(run: RunState, slot: Slot) -> None:
    spent = run.now - slot.since
    match slot.state:
        case SlotState.BUSY:
            condemn(run, slot, Kind.STUCK, f"no answer for {spent:.1f} s, in step {slot.step or 'unknown'!r}")
        case SlotState.ERRAND:
            condemn(run, slot, Kind.STUCK, f"a login or export was not finished after {spent:.1f} s")
        case SlotState.STARTING:
            condemn(run, slot, Kind.STUCK, f"the worker was not ready {spent:.1f} s after its start")
        case SlotState.RECOVERING:
            condemn(run, slot, Kind.STUCK, f"the worker had not recovered after {spent:.1f} s")
        case SlotState.LEAVING:
            condemn(run, slot, Kind.STUCK, f"the worker had not ended {spent:.1f} s after it was told to")
        case SlotState.KILLING:
            run.incident(
                "stubborn", f"processes are still alive {spent:.0f} s after they were killed", slot, level="ERROR"
            )
            slot.deadline = run.now + _KILL_PATIENCE
        case SlotState.VACANT | SlotState.IDLE | SlotState.RETIRED:
            raise AssertionError(f"slot {slot.number} is {slot.state.value}, which has no deadline")


def condemn(run: RunState, slot: Slot, kind: Kind, message: str, *, evidence: bool = True) -> None:
    """Give the worker up: kill the whole tree, and settle what it held when the tree is confirmed dead."""
    attempt = run.attempts.get(slot.attempt)
    starting = slot.state is SlotState.STARTING
    if attempt is not None:
        attempt.phase = Phase.CONDEMNED
        attempt.verdict = Failed(attempt.attempt, kind, message, ready=False)
    run.incident("killed", f"{kind}: {message}", slot, level="WARNING")
    slot.death = ErrandFailed(slot.errand, kind, message, ready=False)
    slot.errand = 0
    _kill(run, slot, f"{kind}: {message}", evidence=evidence, attempt=attempt)
    slot.deaths += 1
    if starting:
        start_failed(run, message)


def bury(run: RunState, slot: Slot, code: int) -> None:
    """The child ended by itself: as it was told to, or with something in its hands."""
    if slot.state is SlotState.LEAVING:
        if code != 0:
            run.incident(
                "died", f"the worker was told to end and did so with {_exit_text(code)}", slot, level="WARNING"
            )
        _kill(run, slot, "left", evidence=False, attempt=None)
    else:
        condemn(run, slot, Kind.WORKER_DIED, f"the worker ended with {_exit_text(code)}")


def dismiss(run: RunState, slot: Slot, why: str = "the run is being stopped") -> None:
    """The run ends at once, or the machine needs room: kill the worker; what it held is not charged."""
    attempt = run.attempts.get(slot.attempt)
    if attempt is not None:
        attempt.phase = Phase.CONDEMNED
        attempt.verdict = Failed(attempt.attempt, Kind.INTERRUPTED, f"interrupted: {why}", ready=False)
    # A run that goes on after all must not send another worker on an errand before this one is dead.
    slot.death = ErrandFailed(slot.errand, Kind.INTERRUPTED, why, ready=False) if slot.errand else None
    slot.errand = 0
    _kill(run, slot, why, evidence=False, attempt=attempt)


def _kill(run: RunState, slot: Slot, reason: str, *, evidence: bool, attempt: Attempt | None) -> None:
    slot.move(SlotState.KILLING, run.now, run.now + _KILL_PATIENCE)
    if attempt is None:
        run.do(Kill(slot.number, slot.incarnation, reason, evidence))
    else:
        reference = attempt.reference
        run.do(
            Kill(
                slot.number,
                slot.incarnation,
                reason,
                evidence,
                attempt.attempt,
                reference.ref_id,
                reference.ref,
                attempt.number,
            )
        )


def tree_gone(run: RunState, slot: Slot) -> None:
    """Every process of the worker is dead: its slot is free, and what it held can be settled."""
    attempt = run.attempts.get(slot.attempt)
    slot.attempt = 0
    run.pace.ended(slot.number, answered=False)
    slot.move(SlotState.VACANT, run.now)
    slot.not_before = run.now + restart_delay(run, slot.deaths)
    if attempt is not None:
        if attempt.verdict is None:
            raise AssertionError(f"{attempt} lost its worker without a verdict")
        settle_failure(run, attempt, attempt.verdict)


def restart_delay(run: RunState, deaths: int) -> float:
    """Seconds before the next child of a slot: none after the first death, then 1, 2, 4 and so on up to the limit."""
    if deaths <= 1:
        return 0.0
    return min(2.0 ** min(deaths - 2, 30), run.policy.restart_delay_limit)


def start_failed(run: RunState, reason: str) -> None:
    """A child never got ready. When that happens again and again and none is ready, the machine cannot do it."""
    if set(run.shedding.short) - {_OWN}:
        return  # it will have room again; until then each try waits longer than the one before
    reason = "; ".join((reason, *run.shedding.short.values()))
    run.start_failures += 1
    ready = any(
        slot.state not in {SlotState.VACANT, SlotState.STARTING, SlotState.KILLING, SlotState.RETIRED}
        for slot in run.slots.values()
    )
    if run.start_failures >= max(run.policy.start_failures_limit, len(run.slots)) and not ready:
        run.end(
            EXIT_MACHINE, f"no worker can be started on this machine, {run.start_failures} times in a row: {reason}"
        )


def never_started(run: RunState, slot: Slot, reason: str) -> None:
    """The child could not even be started, so there is no tree to confirm dead."""
    slot.move(SlotState.VACANT, run.now)
    slot.deaths += 1
    slot.not_before = run.now + restart_delay(run, slot.deaths)
    run.incident("died", f"no child could be started: {reason}", slot, level="WARNING")
    start_failed(run, reason)


def weigh(run: RunState, slot: Slot, size: int) -> None:
    """The tree of a worker was measured: too much means a fresh process, far too much means at once."""
    slot.memory = size
    limit = run.policy.memory_limit
    if size > 1.5 * limit and slot.state is SlotState.BUSY:
        condemn(
            run,
            slot,
            Kind.MEMORY,
            f"the worker's processes hold {size // 1_000_000} MB, {limit // 1_000_000} are allowed",
        )
    elif size > limit and not slot.recycle and run.stage is Stage.RUNNING:
        slot.recycle = True
        run.say(
            "INFO",
            f"holds {size // 1_000_000} MB, more than {limit // 1_000_000}; it gets a fresh process",
            slot.number,
            incident="recycled",
        )


def make_room(run: RunState, left: dict[str, int]) -> None:
    """What is left on the machine was measured: let a worker go when it is too little, or have one more again."""
    shedding, slots = run.shedding, [slot for slot in run.slots.values() if not slot.retiring]
    for sentence in shedding.measured(left):
        run.incident("machine", sentence, level="WARNING")
    if run.stage is not Stage.RUNNING:
        return
    slot = shedding.victim(slots, run.now)
    if slot is not None and not slot.recycle:
        slot.recycle = True
        run.incident("shed", "is let go when it has finished: " + "; ".join(shedding.short.values()), slot)
    if slot is not None and shedding.urgent and slot.state is SlotState.BUSY:
        run.incident("shed", "is let go at once: " + "; ".join(shedding.short.values()), slot, level="WARNING")
        dismiss(run, slot, "the machine needs room")
    if shedding.restore(slots, run.now):
        run.incident("machine", "there is room for one more worker again")


def _exit_text(code: int) -> str:
    if code == _SIGKILL:
        return "signal 9 (killed from outside; often for want of memory)"
    meaning = next((said for known, said in SAID.items() if known == code), "")
    return f"signal {-code}" if code < 0 else f"exit code {code}{meaning and f' ({meaning})'}"
