"""What comes of an attempt in the simulated world: the truth about its reference, and everything that may go wrong."""

from typing import TYPE_CHECKING

import msgspec

from supervisor.core.events import WorkerGarbled
from tests.simulation.child import Child
from tests.simulation.trouble import Trouble
from tests.simulation.website import FOR_EVER
from worker.protocol import (
    Assign,
    Document,
    Failed,
    Heartbeat,
    InventoryExported,
    Kind,
    LoggedIn,
    Outbound,
    Ready,
    StartFailed,
    Step,
    Succeeded,
)

if TYPE_CHECKING:
    from tests.simulation.children import Children

_CRASHES = frozenset({Kind.WORKER_DIED, Kind.BROWSER_LOST, Kind.PAGE_CRASHED})
_STEP = "fetch the documents"
_OPEN = "open the vehicle"
_SILENT = frozenset({Kind.TIMEOUT, Kind.STEP_TIMEOUT, Kind.DOCUMENT_STALLED})
_DOCUMENT = Document("a.pdf", "https://site/a.pdf", 1, "0" * 64, 1)


class Work:
    """Decides what a child does with its reference."""

    def __init__(self, children: "Children") -> None:
        self.children = children
        self.world = children.world
        self.rng = children.rng

    def begin(self, child: Child, message: Assign) -> None:
        """The child begins to work on its reference."""
        world, rng = self.world, self.rng
        after, answer = self._outcome(child, message)
        for _ in range(3):
            world.later(rng.uniform(0, min(after, 5.0)), self._ask, child, message.attempt)
        roll = rng.random()
        if self.children.has(Trouble.DEATHS) and roll < 0.02:
            world.later(rng.uniform(0, after), self.children.die, child, rng.choice((-9, -11, 1)))
        if self.children.has(Trouble.FREEZES) and 0.02 <= roll < 0.03:
            world.later(rng.uniform(0, after), self.children.freeze, child)
        if self.children.has(Trouble.SILENCE) and 0.03 <= roll < 0.04:
            self.children.blame(child, Kind.STUCK)
            limit = world.policy.stuck_threshold
            world.later(limit + 1.0, self._stuck, child, message.attempt)
            if rng.random() < 0.5:
                world.later(limit + rng.uniform(-0.5, 0.6), self.children.speak, child, answer)
            return
        if self.children.has(Trouble.LIES) and 0.04 <= roll < 0.07:
            self._lie(child, message, after)
        if isinstance(answer, Succeeded):
            world.later(after, self._staged, child, answer)
        elif isinstance(answer, Failed) and answer.kind is Kind.FORBIDDEN:
            world.later(after, self._forbidden, child, answer)
        else:
            world.later(after, self.children.speak, child, answer)
            if isinstance(answer, Failed) and not answer.ready:
                world.later(after, self.children.recover, child)
        if self.children.has(Trouble.DEATHS) and 0.07 <= roll < 0.08:
            world.later(after, self.children.die, child, -9)

    def _ask(self, child: Child, attempt: int) -> None:
        if child.well and child.attempt == attempt:
            self.children.ask(child, self.rng.randint(2, 4))

    def _stuck(self, child: Child, attempt: int) -> None:
        if child.attempt == attempt:
            self.children.must_be_condemned(child, "stuck")

    def _staged(self, child: Child, answer: Succeeded) -> None:
        if child.well:
            self.world.staged[answer.attempt] = answer.documents
            if not self.children.is_logged_in(child):
                self.world.placeholders.add(answer.attempt)
            self.children.speak(child, answer)

    def _forbidden(self, child: Child, answer: Failed) -> None:
        """The worker looks at the inventory page before it blames the reference; that may come to nothing as well."""
        if not child.well or child.attempt != answer.attempt:
            return
        if self.rng.random() < 0.2:
            self._blame(child, answer)
        elif not self.children.is_logged_in(child):
            self.children.expiries += 1
            self._blame(child, msgspec.structs.replace(answer, kind=Kind.SESSION_EXPIRED))
        else:
            proven_after = self.world.now - self.world.inspector.started_at[answer.attempt]
            answer = msgspec.structs.replace(answer, proven_after=proven_after)
            self.world.later(self.rng.uniform(0.2, 3.0), self._blame, child, answer)

    def _blame(self, child: Child, answer: Failed) -> None:
        if child.well and child.attempt == answer.attempt:
            self.children.speak(child, answer)
            if not answer.ready:
                self.children.recover(child)

    def _lie(self, child: Child, message: Assign, after: float) -> None:
        world, rng = self.world, self.rng
        attempt = message.attempt
        match rng.choice(("twice", "other", "garbage", "early", "ready", "missing")):
            case "twice":
                world.later(after + rng.uniform(0, 3), self.children.speak, child, Succeeded(attempt, ()))
            case "other":
                other = max(0, attempt - rng.randint(1, 5))
                world.later(rng.uniform(0, after), self._of_another, child, Succeeded(other, (_DOCUMENT,)))
                coming = Failed(attempt + 3, Kind.NOT_FOUND, "", ready=True)
                world.later(rng.uniform(0, after), self._of_another, child, coming)
            case "garbage":
                world.later(rng.uniform(0, after), self._garbled, child)
            case "early":
                world.later(rng.uniform(0, after), self.children.speak, child, LoggedIn(1, b"stolen"))
                world.later(
                    rng.uniform(0, after), self.children.speak, child, InventoryExported(1, "x", "y", ",", "utf-8")
                )
            case "ready":
                world.later(rng.uniform(0, after), self.children.speak, child, Ready())
                world.later(rng.uniform(0, after), self.children.speak, child, StartFailed("not now"))
            case _:
                world.later(rng.uniform(0, after), self._unstaged, child, attempt)

    def _of_another(self, child: Child, answer: Succeeded | Failed) -> None:
        """What a worker says of its own attempt has to be believed; by now the one that was to come may be that."""
        if child.attempt != answer.attempt:
            self.children.speak(child, answer)

    def _unstaged(self, child: Child, attempt: int) -> None:
        """It says that it succeeded, and has staged something else."""
        if child.well and child.attempt == attempt:
            self.world.fates[attempt].add(Kind.PUBLISH_FAILED)
            self.world.staged[attempt] = ()
            self.children.speak(child, Succeeded(attempt, (_DOCUMENT, _DOCUMENT)))

    def _garbled(self, child: Child) -> None:
        if child.well:
            self.children.blame(child, Kind.WORKER_GARBLED)
            self.world.post(WorkerGarbled(child.slot, child.incarnation, "not msgpack"))

    def _outcome(self, child: Child, message: Assign) -> tuple[float, Outbound]:
        """What comes of the work after so many seconds, when nothing happens to the worker."""
        world, rng = self.world, self.rng
        attempt, truth = message.attempt, world.site.truths[message.ref]
        ready = not (self.children.has(Trouble.RECOVERY) and rng.random() < 0.3)
        window = world.site.trouble(world.now)
        seconds, retry_after, kind, instead = truth.seconds, None, None, ""
        if child.sick:
            kind = rng.choice((Kind.PAGE_HUNG, Kind.RECIPE_ERROR))
        elif window is not None:
            kind, retry_after, instead = rng.choice(window.kinds), window.retry_after, window.instead
        elif not self.children.is_logged_in(child):
            kind = Kind.SESSION_EXPIRED
        elif world.disk_full and rng.random() < 0.5:
            kind = Kind.DISK_FULL
        elif truth.times > 0:
            truth.times -= 1
            kind = truth.kind
            instead = f"the page of {message.ref}" if kind is Kind.DOCUMENT_INVALID and attempt % 2 else ""
        elif truth.seconds > message.deadline:
            truth.seconds /= 2
            kind = Kind.TIMEOUT
        elif truth.seconds > (limit := message.limits.get(_STEP, FOR_EVER)):
            steps: tuple[Step, ...] = (Step(_STEP, limit),)
            return limit, Failed(attempt, Kind.STEP_TIMEOUT, "slower than ever", ready=ready, steps=steps)
        if kind is None:
            steps = (Step(_STEP, seconds),)
            return seconds, Succeeded(attempt, (_DOCUMENT,) * rng.randint(1, 3), steps)
        if kind is Kind.WORKER_DIED:
            world.later(seconds, self.children.die, child, -11)
            return seconds, Heartbeat(attempt, "dying", 0.0)
        self.children.expiries += kind is Kind.SESSION_EXPIRED
        seconds = message.deadline if kind is Kind.TIMEOUT else seconds
        ready = ready and kind not in _CRASHES
        steps = _steps(message, seconds, at_the_door=window is not None) if kind in _SILENT else ()
        text = "as the truth says"
        return seconds, Failed(attempt, kind, text, ready=ready, retry_after=retry_after, steps=steps, instead=instead)


def _steps(message: Assign, seconds: float, *, at_the_door: bool) -> tuple[Step, ...]:
    """Return the steps of a time-out: a site that is down stops most at the same one, a bad reference anywhere."""
    first = message.attempt % 4 != 0 if at_the_door else int(message.ref[1:]) % 2 == 0
    if first:
        return (Step(_OPEN, seconds),)
    return (Step(_OPEN, 0.5), Step(f"documents of {message.ref}", seconds))
