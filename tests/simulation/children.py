"""The simulated workers of all slots: the port that the conductor uses, and everything that children may do to it."""

from typing import TYPE_CHECKING

from supervisor.core.commands import Kill
from supervisor.core.events import MemoryMeasured, SpawnFailed, TreeGone, WorkerExited, WorkerSpoke
from tests.simulation.child import Child
from tests.simulation.errands import Answer, Errands
from tests.simulation.oracle import demand
from tests.simulation.trouble import Trouble
from tests.simulation.work import Work
from worker.protocol import (
    VERSION,
    Assign,
    BrowserStarted,
    ExportInventory,
    Failed,
    Heartbeat,
    Hello,
    Inbound,
    Kind,
    LogIn,
    Outbound,
    ProveSession,
    Ready,
    Refresh,
    Revisit,
    ShutDown,
    StartFailed,
    Succeeded,
    UseSession,
)

if TYPE_CHECKING:
    from tests.simulation.world import World


class Children:
    """What starts, feeds and kills them."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.rng = world.rng
        self.here: dict[int, Child] = {}
        """By slot: the child whose tree is not dead."""
        self.all: dict[tuple[int, int], Child] = {}
        """By slot and incarnation: every child since the supervisor started."""
        self.at_work: dict[str, Child] = {}
        """By reference: who works on it and is not verified dead."""
        self.has = world.night.troubles.__contains__
        self._errands = Errands(self)
        self._work = Work(self)
        self.start_failures = 0
        self.refusals = 0
        self.expiries = 0
        self.controls_tried = 0
        """Since the supervisor started."""

    def power_cut(self) -> None:
        """Every process is gone."""
        for child in self.here.values():
            child.tree = child.process = False
        self.here.clear()
        self.all.clear()
        self.at_work.clear()
        self.start_failures = self.refusals = self.expiries = self.controls_tried = 0

    # --------------------------------------------------------------------------------------------- the conductor's port
    def spawn(self, slot: int, incarnation: int) -> None:
        """Start a child, which may go wrong in several ways."""
        world, rng = self.world, self.rng
        demand(slot not in self.here, "slot {} gets a second child before the tree of its first is dead", slot)
        wanted = world.most_workers
        demand(slot <= wanted, "a child is started in slot {}, {} are wanted at most", slot, wanted)
        child = Child(slot, incarnation, world.now)
        world.figures.spawns += 1
        self.here[slot] = self.all[slot, incarnation] = child
        if self.has(Trouble.SICK) and rng.random() < 0.3:
            child.sick = rng.choice(("browser", "process"))
        roll = rng.random()
        if world.epidemic_until > world.now or (self.has(Trouble.START) and roll < 0.25):
            child.blame = True
            self.start_failures += 1
            how = rng.choice(("spawn", "says", "dies", "never", "version", "late"))
            match how:
                case "spawn":
                    child.process = False
                    world.later(rng.uniform(0, 1), self._spawn_failed, child)
                case "says":
                    world.later(rng.uniform(0, 2), self.speak, child, StartFailed("no browser answers"))
                    world.later(rng.uniform(2, 3), self.die, child, 1)
                case "dies":
                    world.later(rng.uniform(0, 2), self.die, child, rng.choice((1, -9, -11)))
                case "never":
                    pass
                case "version":
                    world.later(0.5, self.speak, child, Hello(VERSION + 1, 1))
                case _:
                    world.later(rng.uniform(28, 36), self.speak, child, Ready())
            return
        if roll > 0.9:
            world.later(0.2, self.speak, child, Hello(VERSION, 100 + incarnation))
            world.later(0.3, self.speak, child, BrowserStarted(5, 6, "156"))
        world.later(rng.uniform(0.4, 2.0), self.speak, child, Ready())
        if self.has(Trouble.MEMORY) and rng.random() < 0.3:
            size = rng.choice((900_000_000, 1_100_000_000, 1_600_000_000))
            world.later(rng.uniform(1, 60), self._weighed, child, size)

    def _spawn_failed(self, child: Child) -> None:
        if child.tree and not child.condemned:
            self._bury(child)
            self.world.post(SpawnFailed(child.slot, child.incarnation, "no more processes"))

    def _weighed(self, child: Child, size: int) -> None:
        if child.well:
            if size > 1.5 * self.world.policy.memory_limit:
                self.blame(child, Kind.MEMORY)
            self.world.post(MemoryMeasured(child.slot, child.incarnation, size))

    def send(self, slot: int, incarnation: int, message: Inbound) -> None:
        """Say something to a child; nothing happens when it is gone, frozen or condemned."""
        child = self.here.get(slot)
        if child is None or child.incarnation != incarnation or not child.process:
            return
        if self.has(Trouble.DEATHS) and self.rng.random() < 0.01:
            self.blame(child, Kind.WORKER_DIED)
            self.die(child, -9)
            return
        if child.frozen:
            return
        match message:
            case UseSession(session=session):
                child.session = session
            case Assign():
                self._assigned(child, message)
            case LogIn(errand=errand):
                demand(not self.refusals, "somebody logs in again after the site refused the login")
                self._errands.begin(child, errand, login=True)
            case ExportInventory(errand=errand):
                self._errands.begin(child, errand, login=False)
            case ProveSession(errand=errand):
                self._errands.prove(child, errand)
            case Revisit():
                self._errands.revisit(child, message)
            case Refresh():
                child.sick = "" if child.sick == "browser" else child.sick
                self.recover(child)
            case ShutDown():
                demand(not child.attempt, "{} is told to end with an attempt in its hands", child)
                self._leave(child)

    def kill(self, command: Kill) -> None:
        """Kill the tree; it may take a while."""
        child = self.here.get(command.slot)
        if child is None or child.incarnation != command.incarnation:
            self.world.later(0.1, self.world.post, TreeGone(command.slot, command.incarnation))
            return
        child.condemned = True
        stubborn = self.has(Trouble.STUBBORN) and self.rng.random() < 0.3
        delay = self.rng.choice((2.0, 30.0, 150.0)) if stubborn else self.rng.uniform(0.02, 0.5)
        self.world.later(delay, self._gone, child)

    def _gone(self, child: Child) -> None:
        if child.tree:
            self._bury(child)
            self.world.post(TreeGone(child.slot, child.incarnation))

    def _bury(self, child: Child) -> None:
        child.tree = child.process = False
        if self.here.get(child.slot) is child:
            del self.here[child.slot]
        if self.at_work.get(child.ref) is child:
            del self.at_work[child.ref]

    # ----------------------------------------------------------------------------------------------- what children do
    def speak(self, child: Child, message: Outbound) -> None:
        """Say something to the supervisor, if it still can; it may be condemned and not know it."""
        if not child.well:
            return
        if isinstance(message, Succeeded | Failed) and message.attempt == child.attempt:
            self.ask(child, self.rng.randint(0, 4))
            self._answered(child, message)
        elif isinstance(message, Answer) and message.errand == child.errand:
            child.errand = 0
        child.heard_at = self.world.now
        self.world.post(WorkerSpoke(child.slot, child.incarnation, message))

    def ask(self, child: Child, requests: int) -> None:
        """Make requests to the site, and tell of them."""
        if self.has(Trouble.REQUESTS) and requests:
            self.world.limits.asked(requests, self.world.now)
            beat = Heartbeat(child.attempt, "asking", 0.0, {"site": requests})
            self.world.post(WorkerSpoke(child.slot, child.incarnation, beat))

    def _answered(self, child: Child, message: Succeeded | Failed) -> None:
        if isinstance(message, Failed):
            self.world.fates[message.attempt].add(message.kind)
            if message.kind is Kind.LOGIN_REFUSED and not child.condemned:
                self.refusals += 1
        if self.at_work.get(child.ref) is child:
            del self.at_work[child.ref]
        child.attempt, child.ref = 0, ""

    def beat(self, heartbeat_timeout: float) -> None:
        """Send the heartbeats of all that are well, as rarely as it makes no difference."""
        now = self.world.now
        for child in list(self.here.values()):
            if child.well and now - child.heard_at >= 0.5 * heartbeat_timeout:
                self.speak(child, Heartbeat(child.attempt, "step", 1.0))

    def blame(self, child: Child, kind: Kind) -> None:
        """From now on it may rightly be killed, and its attempt may rightly fail with this kind."""
        child.blame = True
        child.doom.add(kind)

    def die(self, child: Child, code: int) -> None:
        """The process ends, or falls over; the browser stays until somebody kills it."""
        if child.process and child.tree:
            for kind in (Kind.WORKER_DIED, Kind.FROZEN, Kind.STUCK):  # a deadline may pass before the exit is seen
                self.blame(child, kind)
            child.process = False
            self.world.later(self.rng.uniform(0, 0.1), self._exited, child, code)

    def _exited(self, child: Child, code: int) -> None:
        if child.tree:
            self.world.post(WorkerExited(child.slot, child.incarnation, code))

    def freeze(self, child: Child) -> None:
        """Stop beating; perhaps wake up again."""
        if not child.well:
            return
        child.frozen = True
        self.blame(child, Kind.FROZEN)
        self.blame(child, Kind.STUCK)
        if self.rng.random() < 0.3:
            self.world.later(self.rng.choice((5.0, 30.0, 50.0)), self._thaw, child)
        else:
            self.world.later(self.world.policy.heartbeat_timeout + 1.0, self.must_be_condemned, child, "frozen")

    def _thaw(self, child: Child) -> None:
        child.frozen = False
        if child.attempt and self.rng.random() < 0.8:
            self.speak(child, Failed(child.attempt, Kind.STEP_TIMEOUT, "woke up", ready=True))

    def wake(self) -> None:
        """Everything stood still: some find their deadlines passed."""
        for child in list(self.here.values()):
            if child.attempt and self.rng.random() < 0.5:
                kind = self.rng.choice((Kind.TIMEOUT, Kind.PAGE_HUNG, Kind.STEP_TIMEOUT))
                self.speak(child, Failed(child.attempt, kind, "woke up late", ready=True))

    def must_be_condemned(self, child: Child, why: str) -> None:
        """By now somebody must have noticed."""
        demand(child.condemned or not child.tree, "{} is {} and nobody noticed in time", child, why)

    def is_logged_in(self, child: Child) -> bool:
        """Say whether the site takes the child for logged in."""
        return child.session == self.world.valid_sessions.get(self.world.key(child.slot))

    def recover(self, child: Child) -> None:
        """Get ready again, after a while or never."""
        roll = self.rng.random()
        if self.has(Trouble.RECOVERY) and roll < 0.2:
            self.world.later(self.rng.uniform(0, 10), self.die, child, 3)
        elif self.has(Trouble.RECOVERY) and roll < 0.4:
            child.blame = True
        else:
            self.world.later(self.rng.uniform(0.2, 10), self.speak, child, Ready())

    def _leave(self, child: Child) -> None:
        roll = self.rng.random()
        if self.has(Trouble.DEATHS) and roll < 0.1:
            child.blame = True
        else:
            self.world.later(self.rng.uniform(0.1, 1.0), self.die, child, 0 if roll < 0.9 else 1)

    def _assigned(self, child: Child, message: Assign) -> None:
        world = self.world
        attempt, ref = message.attempt, message.ref
        row = world.ledger.rows[int(ref[1:])]
        if child.condemned:
            return  # it was handed out before the worker was condemned, and came when it was too late
        holder = self.at_work.get(ref)
        demand(holder is None, "{} gets {} while {} works on it", child, ref, holder)
        demand(not child.attempt, "{} gets attempt {} while it holds {}", child, attempt, child.attempt)
        demand(
            row.state == "in_progress" and row.attempt == attempt, "attempt {} is sent before it is durable", attempt
        )
        demand(not message.last or not message.limits, "{} is hurried at the last attempt", child)
        demand(child.session == world.inspector.sessions[attempt], "{} gets a reference with an old session", child)
        limit = world.policy.recycle_after
        demand(not limit or child.tasks < limit, "{} was not recycled after {} references", child, child.tasks)
        world.limits.left(world.now)
        child.attempt, child.ref = attempt, ref
        child.tasks += 1
        self.at_work[ref] = child
        self._work.begin(child, message)
