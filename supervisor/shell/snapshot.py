"""The frozen picture of a run that the loop hands out: made from the core's state, read by every view."""

import os
import time
from datetime import UTC, datetime

import msgspec

from supervisor.core.breaker import BreakerState
from supervisor.core.fleet import Slot
from supervisor.core.state import RunState, Stage
from supervisor.shell import linux
from supervisor.shell.workers import LocalWorkers
from supervisor.views.metrics import Metrics
from supervisor.views.status import MetricsView, Notice, RunView, SiteView, Snapshot, State, Totals, WorkerView

_SLOW_FACTOR = 2.0
_SLOW_SECONDS = 1.0
"""A site is called slow when the last references took so many times, and so much, longer than they do as a rule."""


class Identity(msgspec.Struct, frozen=True):
    """What does not change while the run goes on."""

    site: str
    run_id: str
    started_at: str
    pid: int
    pid_start: int
    page: str
    """Address of the status page; empty without one."""


def identity(site: str, run_id: str, page: str = "") -> Identity:
    """Return who we are, from now on."""
    return Identity(site, run_id, utc_now(), os.getpid(), linux.start_time(os.getpid()) or 0, page)


def utc_now() -> str:
    """Return the time in UTC as ISO 8601, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def picture(
    who: Identity,
    run: RunState,
    workers: LocalWorkers,
    metrics: Metrics,
    recent: tuple[Notice, ...],
    *,
    completing: int = 0,
) -> Snapshot:
    """Return the picture of this moment; microseconds for a handful of workers, however many references there are.

    `completing` references are completed but for the ledger's flush: they are still called in progress.
    """
    totals = run.queue.totals()
    completing = min(completing, totals.completed)  # some may have been recalled meanwhile
    now = run.now
    finished = run.stage is Stage.FINISHED
    figures = metrics.view(now, run.queue.unfinished)
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
            reason=run.ending.reason if run.ending else "; ".join([*run.pauses.values(), *run.shedding.short.values()]),
            max_attempts=run.policy.max_retries + 1,
            workers_wanted=len([slot for slot in run.slots.values() if not slot.retiring]),
            workers_auto=run.scaling is not None,
            page=who.page,
            cpu_seconds=time.process_time(),
        ),
        totals=Totals(
            total=totals.total,
            pending=totals.ready,
            waiting=totals.waiting,
            in_progress=totals.in_progress + completing,
            completed=totals.completed - completing,
            failed=totals.failed,
        ),
        workers=tuple(_worker(run, slot, workers) for slot in run.slots.values()),
        metrics=figures,
        site=_site(run, figures),
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
            return "running" if run.inventory_known and run.sessions.established else "starting"


def _site(run: RunState, figures: MetricsView) -> SiteView:
    breaker = run.breaker
    since = run.sessions.oldest
    age = None if since is None else run.now - since
    trouble = None if breaker.opened_at is None else run.now - breaker.opened_at
    match breaker.state:
        case BreakerState.CLOSED if not run.reached:
            return SiteView("unknown", age)
        case BreakerState.CLOSED:
            usual, lately = figures.seconds_median, figures.seconds_recent
            if usual is None or lately is None or lately < max(_SLOW_FACTOR * usual, usual + _SLOW_SECONDS):
                return SiteView("up", age)
            return SiteView("slow", age, f"a reference takes {lately:.1f} s, as a rule {usual:.1f} s")
        case BreakerState.OPEN:
            return SiteView("down", age, breaker.reason, trouble, max(0.0, breaker.until - run.now))
        case BreakerState.PROBING | BreakerState.RAMPING:
            return SiteView("coming back", age, breaker.reason, trouble)


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
