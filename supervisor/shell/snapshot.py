"""The frozen picture of a run that the loop hands out: made from the core's state, read by every view."""

import os
from datetime import UTC, datetime

import msgspec

from supervisor.core.breaker import BreakerState
from supervisor.core.fleet import Slot
from supervisor.core.state import RunState, Stage
from supervisor.shell import linux
from supervisor.shell.workers import LocalWorkers
from supervisor.views.metrics import Metrics
from supervisor.views.status import Notice, RunView, SiteView, Snapshot, State, Totals, WorkerView


class Identity(msgspec.Struct, frozen=True):
    """What does not change while the run goes on."""

    site: str
    run_id: str
    started_at: str
    pid: int
    pid_start: int


def identity(site: str, run_id: str) -> Identity:
    """Return who we are, from now on."""
    return Identity(site, run_id, utc_now(), os.getpid(), linux.start_time(os.getpid()) or 0)


def utc_now() -> str:
    """Return the time in UTC as ISO 8601, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def picture(
    who: Identity, run: RunState, workers: LocalWorkers, metrics: Metrics, recent: tuple[Notice, ...]
) -> Snapshot:
    """Return the picture of this moment; microseconds for a handful of workers, however many references there are."""
    totals = run.queue.totals()
    now = run.now
    finished = run.stage is Stage.FINISHED
    return Snapshot(
        run=RunView(
            site=who.site,
            run_id=who.run_id,
            pid=who.pid,
            pid_start=who.pid_start,
            started_at=who.started_at,
            updated_at=utc_now(),
            state=_state(run),
            exit_code=run.ending.code if finished and run.ending else None,
            reason=run.ending.reason if run.ending else "; ".join(run.pauses.values()),
            max_attempts=run.policy.max_retries + 1,
        ),
        totals=Totals(
            total=totals.total,
            pending=totals.ready,
            waiting=totals.waiting,
            in_progress=totals.in_progress,
            completed=totals.completed,
            failed=totals.failed,
        ),
        workers=tuple(_worker(run, slot, workers) for slot in run.slots.values()),
        metrics=metrics.view(now, run.queue.unfinished),
        site=_site(run),
        recent=recent,
    )


def _state(run: RunState) -> State:
    match run.stage:
        case Stage.FINISHED:
            return "finished"
        case Stage.DRAINING | Stage.STOPPING:
            return "draining"
        case Stage.RUNNING:
            if run.pauses:
                return "paused"
            return "running" if run.inventory_known and run.session.generation else "starting"


def _site(run: RunState) -> SiteView:
    age = run.now - run.session.since if run.session.valid else None
    match run.breaker.state:
        case BreakerState.CLOSED:
            return SiteView("up" if run.reached else "unknown", age)
        case BreakerState.OPEN:
            return SiteView("down", age, run.breaker.reason)
        case BreakerState.PROBING | BreakerState.RAMPING:
            return SiteView("coming back", age, run.breaker.reason)


def _worker(run: RunState, slot: Slot, workers: LocalWorkers) -> WorkerView:
    member = workers.members.get((slot.number, slot.incarnation))
    attempt = run.attempts.get(slot.attempt)
    return WorkerView(
        slot=slot.number,
        incarnation=slot.incarnation,
        pid=member.process.pid if member else 0,
        state=slot.state.value,
        ref=attempt.reference.ref if attempt else "",
        attempt=attempt.attempt if attempt else 0,
        number=attempt.number if attempt else 0,
        step=slot.step,
        step_seconds=max(0.0, run.now - slot.step_since) if slot.step else 0.0,
        state_seconds=run.now - slot.since,
        memory_bytes=slot.memory,
        restarts=slot.restarts,
        done=slot.done,
    )
