"""Watches what goes into the core and what comes out, and compares it with what the world knows."""

from collections import defaultdict
from typing import TYPE_CHECKING

from supervisor.core.commands import Command, Finish, Kill, LoadInventory, Send, Write
from supervisor.core.events import (
    Event,
    PauseRequested,
    ResumeRequested,
    StopRequested,
    WorkerSpoke,
)
from supervisor.core.failures import RULES
from supervisor.core.machine import Machine
from supervisor.core.records import (
    AttemptFailed,
    AttemptForgiven,
    AttemptStarted,
    AttemptSucceeded,
    Incident,
    Record,
    ReferenceGivenUp,
    ReferenceReopened,
    SuccessDoubted,
)
from tests.simulation.oracle import NEVER_CHARGED, demand
from tests.simulation.outage import KINDS, SILENT, OutageWatch
from tests.simulation.trouble import Trouble
from worker.protocol import ExportInventory, Failed, Kind, LogIn, Succeeded

if TYPE_CHECKING:
    from tests.simulation.world import World

_FREE = frozenset(
    {
        Kind.INTERRUPTED,
        Kind.RATE_LIMITED,
        Kind.NETWORK,
        Kind.OFFLINE,
        Kind.SESSION_EXPIRED,
        Kind.LOGIN_FAILED,
        Kind.EXPORT_INVALID,
    }
)
"""Not counted, as long as a reference does not come back too often."""

_ANSWERS = frozenset({Kind.NOT_FOUND, Kind.HTTP_ERROR, Kind.FORBIDDEN, Kind.DOCUMENT_INVALID, Kind.DOCUMENTS_MISSING})
_PAUSING = frozenset({Trouble.PAUSE, Trouble.QUIET, Trouble.DISK, Trouble.STALL})
"""Troubles in which nobody tries for a while, which counts against nobody."""
_OF_THE_SITE = frozenset({Trouble.OUTAGE, Trouble.MAINTENANCE, Trouble.THROTTLE})
_OF_PAGES = frozenset({Trouble.PAGES, Trouble.INSTEAD})
_CRASHES = frozenset({kind for kind, rule in RULES.items() if rule.crashed and kind is not Kind.MEMORY})
"""Not counted while the machine is short of memory."""
_LATE = frozenset({Kind.TIMEOUT, Kind.STEP_TIMEOUT, Kind.PAGE_HUNG})
"""What means nothing after the machine stood still."""
_THRICE = 2
_MUST_COUNT = frozenset(Kind) - _FREE - NEVER_CHARGED - KINDS


class Inspector:
    """Raises `Violation` as soon as something goes out that must not."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.sessions: dict[int, bytes] = {}
        self.started_at: dict[int, float] = {}
        self.counted: dict[int, int] = defaultdict(int)
        """By reference: attempts counted and not forgiven, since it was reopened last."""
        self.crashes: dict[int, int] = defaultdict(int)
        self.served_first = float("inf")
        self._begin()

    def _begin(self) -> None:
        self.flying: dict[int, AttemptStarted] = {}
        self.disturbed: set[int] = set()
        """Attempts that were under way while everything stood still."""
        self.returns: dict[int, int] = defaultdict(int)
        self.recalled: set[int] = set()
        """References of which a success of this run was doubted."""
        self.pauses: set[str] = set()
        self.stopped = self.at_once = self.ending = self.unproven = self.site_suspected = False
        self.untried = False
        """When the run was ended there were controls, and none had been tried."""
        self.outage = OutageWatch()
        self.quiet_until = 0.0
        self.since = self.world.now
        self.errand_at = -1.0

    def begin(self, machine: Machine, lost: set[int]) -> None:
        """A run begins; the last one died with these attempts under way, and with all that was not durable."""
        self._begin()
        self.machine = machine
        for row in self.world.ledger.rows.values():
            self.counted[row.ref_id], self.crashes[row.ref_id] = row.attempts, row.crashes
        for attempt in lost:
            self.world.fates[attempt].add(Kind.SUPERVISOR_LOST)
        self.world.recipe_failed = False
        self.world.last_errand_failure = -1.0

    def saw(self, event: Event, commands: list[Command]) -> None:
        """Check one event and its commands."""
        world = self.world
        if world.trace is not None:
            world.trace(f"{world.now:10.3f}  >> {event}")
        self._note(event)
        for command in commands:
            if world.trace is not None:
                world.trace(f"{'':10}    << {command}")
            match command:
                case Write(record=record):
                    self._check_record(record, event)
                case Send(message=LogIn() | ExportInventory()):
                    demand(not self.pauses, "{} in a pause", command)
                    demand(world.now >= self.quiet_until, "{} while the site wants to be left alone", command)
                    demand(not self.stopped, "{} after a stop", command)
                case Kill(slot=slot, incarnation=incarnation):
                    world.figures.kills += 1
                    child = world.children.all[slot, incarnation]
                    short = Trouble.SHORTAGE in world.night.troubles and world.memory.left < world.policy.memory_reserve
                    demand(child.blame or not child.process or self.ending or short, "{}, which is well", command)
                case LoadInventory():
                    self.errand_at = world.now
                case Finish():
                    alive = [child for child in world.children.here.values() if child.tree]
                    demand(not alive, "{}, but {} are alive", command, alive)
                    demand(not self.flying, "{}, but {} are under way", command, self.flying)
                case _:
                    pass

    def _note(self, event: Event) -> None:
        match event:
            case PauseRequested(cause=cause):
                self.pauses.add(cause)
            case ResumeRequested(cause=cause):
                self.pauses.discard(cause)
            case StopRequested(at_once=at_once):
                self.stopped = True
                self.at_once = self.at_once or at_once
            case _:
                pass

    def _check_record(self, record: Record, event: Event) -> None:
        world = self.world
        match record:
            case AttemptStarted():
                self._check_start(record)
            case AttemptSucceeded(attempt=attempt, ref_id=ref_id):
                self.flying.pop(attempt)
                self.outage.answered()
                self.outage.bore_fruit()
                self.served_first = min(self.served_first, world.now)
                published = world.published.get(ref_id)
                demand(published == attempt, "{}, but its documents are of attempt {}", record, published)
            case SuccessDoubted(ref_id=ref_id):
                self.returns[ref_id] += 1
                self.recalled.add(ref_id)
                demand(self._session_was_doubted, "{}, but no session came to an end", record)
            case AttemptFailed():
                self._check_failure(record, event)
            case AttemptForgiven(attempt=attempt, ref_id=ref_id):
                self.counted[ref_id] -= 1
                self.outage.forgiven(attempt)
            case ReferenceReopened(ref_id=ref_id):
                self.outage.reopened(ref_id)
                self.counted[ref_id] = self.crashes[ref_id] = 0
            case ReferenceGivenUp(ref_id=ref_id):
                demand(self.counted[ref_id] > world.policy.max_retries, "{} too early", record)
            case Incident(what=what):
                self._check_incident(what)

    def _check_incident(self, what: str) -> None:
        match what:
            case "breaker_opened":
                if not self.outage.dark:
                    self.quiet_until = max(self.quiet_until, self.world.now + self.world.policy.breaker_pause)
                self.outage.opened()
            case "control_served":
                self.outage.control_served()
            case "errand_failed":
                self.outage.errand_failed()
                self.site_suspected |= not self._has_controls  # none is left to ask, so it logs in to learn more
            case "throttled":
                self.outage.paused()
            case "logged_in":
                self.errand_at = self.world.now
                if not self._has_controls:
                    self.outage.answered()
            case "ending":
                self.ending, self.untried = True, self._has_controls and not self.world.children.controls_tried
            case "unproven":
                self.unproven = True
            case _:
                pass

    def _check_start(self, record: AttemptStarted) -> None:
        world = self.world
        world.figures.attempts += 1
        world.fates[record.attempt] = set()
        child = world.children.all[record.slot, record.incarnation]
        self.sessions[record.attempt] = world.best_sessions[world.key(child.slot)]
        self.started_at[record.attempt] = world.now
        world.limits.handed_out(world.now)
        demand(not self.pauses, "{} in a pause", record)
        demand(not self.stopped, "{} after a stop", record)
        demand(world.now >= self.quiet_until, "{} while the site wants to be left alone", record)
        demand(not self.outage.dark or not self.flying, "{}, a second probe beside {}", record, self.flying)
        poison = world.policy.poison_crashes
        crashes = [self.crashes[other.ref_id] for other in (record, *self.flying.values())]
        demand(len(crashes) == 1 or max(crashes) < poison, "{}: poison is not tried alone", record)
        demand(crashes[0] <= poison, "{}: poison is tried for ever", record)
        self.flying[record.attempt] = record
        barren = self.outage.barren_for(world.now)
        idle = _PAUSING & world.night.troubles
        demand(
            idle or barren < 1.5 * world.policy.outage_limit, "{}, but nothing has come for {:.0f} s", record, barren
        )

    def _check_failure(self, record: AttemptFailed, event: Event) -> None:
        world = self.world
        attempt, ref_id, kind = record.attempt, record.ref_id, record.kind
        started = self.flying.pop(attempt)
        child = world.children.all[started.slot, started.incarnation]
        fates = world.fates[attempt] | child.doom
        short = Trouble.SHORTAGE in world.night.troubles
        interrupted = kind is Kind.INTERRUPTED and self.at_once
        suspected = kind is Kind.SESSION_EXPIRED and _is_success(event) and self._session_was_doubted
        shed = kind is Kind.INTERRUPTED and short
        demand(kind in fates or interrupted or suspected or shed, "{}, but what happened was {}", record, sorted(fates))
        row = world.ledger.rows[ref_id]
        answer = event.message if isinstance(event, WorkerSpoke) and isinstance(event.message, Failed) else None
        instead = answer.instead if answer is not None else ""
        holder = world.children.at_work.get(row.ref)
        demand(holder is None or holder.attempt != attempt, "{} while {} may still work on it", record, holder)
        if record.counted:
            self.counted[ref_id] += 1
            demand(kind not in NEVER_CHARGED, "{} is charged", record)
            late = attempt in self.disturbed and kind in _LATE
            demand(not late or self.returns[ref_id] >= world.policy.free_returns, "{} is charged for a suspend", record)
            demand(not interrupted, "{} is charged", record)
            enough = self.returns[ref_id] >= world.policy.free_returns
            demand(kind not in _FREE or enough, "{} is charged after {} free returns", record, self.returns[ref_id])
        else:
            self.returns[ref_id] += 1
            late = attempt in self.disturbed
            excused = (short and kind in _CRASHES) or late or instead
            demand(kind not in _MUST_COUNT or excused, "{} is not charged", record)
        self.crashes[ref_id] += record.crashed
        if record.retry_in is None:
            demand(record.counted, "{} is final, but not counted", record)
            world.operator.hears_of_a_failure()
        if kind in _ANSWERS and not instead:
            self.outage.answered()
            self.outage.bore_fruit()
        self.site_suspected |= kind in KINDS  # another login may tell an outage from a bad reference
        if (kind in KINDS or instead) and attempt not in self.disturbed:
            mark = instead
            if answer is not None and answer.steps and kind in SILENT:
                mark = answer.steps[-1].name.replace(row.ref, "")
            self.outage.failed(
                world.now, kind, mark, slot=started.slot, ref_id=ref_id, attempt=attempt, charged=record.counted
            )
        if isinstance(event, WorkerSpoke) and isinstance(event.message, Failed) and kind is Kind.RATE_LIMITED:
            asked = event.message.retry_after
            asked = world.policy.throttle_pause if asked is None else asked
            self.quiet_until = max(self.quiet_until, world.now + min(asked, world.policy.throttle_pause_limit))

    @property
    def _has_controls(self) -> bool:
        return self.machine.run.controls.next() is not None

    @property
    def _of_the_site(self) -> frozenset[Trouble]:
        """Troubles for which no reference is given up that may be tried thrice.

        Where the login works all the same, that can be known only when something was served before.
        """
        begins = [window.begin for window in self.world.site.windows if window.login]
        return _OF_THE_SITE | (_OF_PAGES if self.served_first < min(begins, default=0.0) else frozenset())

    @property
    def _session_was_doubted(self) -> bool:
        world = self.world
        return bool(world.children.expiries or Trouble.FORBIDDEN in world.night.troubles or self.site_suspected)

    # ------------------------------------------------------------------------------------------------------ the end
    def finished(self, finish: Finish) -> None:
        """A run has ended by itself: was there a reason?"""
        world, reason = self.world, finish.reason
        rows = world.ledger.rows.values()
        unfinished = [row.ref for row in rows if row.state not in {"completed", "failed"}]
        match finish.code:
            case 0 | 1:
                demand(not unfinished, "{}, but {} are not finished", finish, unfinished[:5])
                failed = any(row.state == "failed" for row in rows)
                demand(failed == bool(finish.code), "{}, but failed is {}", finish, failed)
                self._check_documents()
            case 2:
                demand(world.recipe_failed, "{} without a reason", finish)
            case 3 if reason.startswith("the site was down for"):
                down = world.site.down_for(self.since, world.now)
                if not any(row.state == "completed" for row in rows):
                    # When nothing was ever served, nobody can tell bad references from pages that do not come.
                    down = max(down, self.outage.barren_for(world.now))
                demand(down >= world.policy.outage_limit / 3, "{}, but it was for {:.0f} s at most", finish, down)
            case 3 if reason.startswith("nobody could "):
                demand(world.last_errand_failure > self.errand_at, "{}, but the last errand did succeed", finish)
                tried = world.now - max(self.errand_at, self.since)
                demand(tried >= world.policy.outage_limit, "{}, but it tried for {:.0f} s only", finish, tried)
                demand(not self.pauses, "{} in a pause", finish)
            case 3 if reason.startswith("the session was lost"):
                demand(world.children.expiries >= world.policy.fruitless_sessions, "{}, but it was not", finish)
                demand(not self.untried, "{}, and nobody asked a control", finish)
            case 3 if reason.startswith("the session was taken away"):
                enough = world.children.expiries >= world.policy.stolen_sessions
                demand(enough and world.early_ends > 1, "{}, but it was not", finish)
            case 3 if " tries: " in reason:
                demand(world.last_errand_failure > 0, "{}, but none failed", finish)
            case 3:
                demand(self.stopped, "{}, but nobody stopped it", finish)
            case 4:
                demand(world.children.refusals, "{}, but the site refused nobody", finish)
            case 5:
                demand(world.children.start_failures >= world.policy.start_failures_limit, "{} too early", finish)
            case _:
                demand(False, "{} is none of the exit codes", finish)

    def _check_documents(self) -> None:
        """A night that is complete has the documents, and not what the site shows to those who are not logged in."""
        if self.unproven:
            return
        for ref_id, attempt in self.world.published.items():
            spent = self.returns[ref_id] >= self.world.policy.free_returns
            demand(spent or attempt not in self.world.placeholders, "{} brought no documents of {}", attempt, ref_id)

    def at_the_end(self) -> None:
        """The night is over: compare everything with the truth."""
        world = self.world
        demand(len(world.ledger.rows) == len(world.site.refs), "references were lost, or came twice")
        wronged = 0
        for row in world.ledger.rows.values():
            truth = world.site.truths[row.ref]
            done = row.state == "completed"
            demand(done or row.state == "failed", "{} ends as {}", row.ref, row.state)
            published = world.published.get(row.ref_id)
            demand(published == (row.attempt if done else None), "{}: wrong documents", row.ref)
            if not done and truth.kind is None:
                charged, crashes = self.counted[row.ref_id], self.crashes[row.ref_id]
                enough = charged > world.fewest_retries or crashes > world.policy.poison_crashes
                outages_only = world.night.troubles <= self._of_the_site and world.fewest_retries > 1
                wronged += 1
                demand(
                    not outages_only, "{} is fine and was given up for outages, {} attempts counted", row.ref, charged
                )
                demand(
                    enough, "{} is fine, {} attempts were counted, and it was given up: {}", row.ref, charged, row.error
                )
            if not done:
                demand(row.error is not None, "{} failed without a reason", row.ref)
        few = (
            world.night.troubles != {Trouble.SICK}
            or world.fewest_retries < _THRICE
            or wronged <= world.night.references // 10
        )
        demand(few, "{} references were given up for what sick workers did", wronged)
        assert self.machine is not None
        self.machine.run.queue.check_each()


def _is_success(event: Event) -> bool:
    return isinstance(event, WorkerSpoke) and isinstance(event.message, Succeeded)
