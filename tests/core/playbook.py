"""Events in, commands out, as a script: ``play >> event << command << command``.

Each ``>>`` lets the machine take an event; each ``<<`` names the next command, exactly or by its class. Sentences for
the log and incidents are left out unless a test asks for them. A command that nobody named fails the test at the next
``>>`` or at the end of the ``with`` block, with the whole script so far.
"""

from types import TracebackType
from typing import Any, Self

import msgspec

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.backlog import Backlog
from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.core.records import AttemptStarted, Entry, Incident
from worker.protocol import Assign, Document, Failed, Kind, LoggedIn, Outbound, Ready, Succeeded

DOCUMENT = Document("a.pdf", "https://site/a.pdf", 3, "0" * 64, 1)
QUIET = Policy(heartbeat_timeout=1e6, worker_delay=0.0, staging_root="/s")
"""Numbers that keep out of the way of what a test is about."""


def entries(*refs: str, **values: Any) -> tuple[Entry, ...]:
    """Return entries with ids from 1."""
    return tuple(Entry(number, ref, **values) for number, ref in enumerate(refs, 1))


class Playbook:
    """One machine and its script."""

    def __init__(self, machine: Machine, now: float = 0.0) -> None:
        self.machine = machine
        self.now = now
        self.said: list[co.Say] = []
        self.incidents: list[str] = []
        self._script: list[str] = []
        self._next: list[co.Command] = []

    @classmethod
    def new(cls, *refs: str, workers: int = 2, policy: Policy = QUIET, **backlog: Any) -> Self:
        """Begin a run with these references; each worker is being started."""
        backlog.setdefault("entries", entries(*refs))
        backlog.setdefault("has_inventory", True)
        return cls(Machine(policy, workers, Backlog(**backlog), 0.0))

    @classmethod
    def working(cls, *refs: str, workers: int = 2, policy: Policy = QUIET, **backlog: Any) -> Self:
        """Begin a run and bring it to where every worker has a reference, in the order of their slots."""
        play = cls.new(*refs, workers=workers, policy=policy, **backlog)
        play.take(ev.TimePassed())
        for slot in list(play.machine.run.slots):
            if play.incarnation(slot):
                play.take(play.of(slot, Ready()))
        play.take(play.of(1, LoggedIn(1, b"session")))
        return play

    # ------------------------------------------------------------------------------------------------ writing a script
    def __rshift__(self, event: ev.Event) -> Self:
        self._nothing_left()
        self._script.append(f"  >> {event}")
        self._take(event)
        return self

    def __lshift__(self, expected: Any) -> Self:
        found = self._next.pop(0) if self._next else None
        self._script.append(f"     << {found}")
        fits = isinstance(found, expected) if isinstance(expected, type) else found == expected
        if not fits:
            raise AssertionError("\n".join([*self._script, f"expected {expected}"]))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._nothing_left()

    def _nothing_left(self) -> None:
        if self._next:
            left = [f"     << {command}   <- nobody expected this" for command in self._next]
            raise AssertionError("\n".join([*self._script, *left]))

    def _take(self, event: ev.Event) -> None:
        for command in self.machine.handle(event, self.now):
            match command:
                case co.Say():
                    self.said.append(command)
                case co.Write(record=Incident(what=what)):
                    self.incidents.append(what)
                case _:
                    self._next.append(command)
        self.machine.check_invariants()

    # ------------------------------------------------------------------------------------------------------ shortcuts
    def take(self, event: ev.Event) -> list[co.Command]:
        """Let the machine take an event; return the commands, with nothing left to expect."""
        self._nothing_left()
        self._script.append(f"  >> {event}")
        self._take(event)
        commands, self._next = self._next, []
        self._script.extend(f"     << {command}" for command in commands)
        return commands

    def after(self, seconds: float) -> Self:
        """Let time pass before the next event."""
        self.now += seconds
        return self

    def pass_time(self, seconds: float) -> list[co.Command]:
        """Let time pass, deadline by deadline, and return all commands."""
        end, commands = self.now + seconds, []
        while self.machine.next_deadline() <= end:
            self.now = max(self.now, self.machine.next_deadline())
            commands += self.take(ev.TimePassed())
        self.now = end
        return commands

    def incarnation(self, slot: int) -> int:
        """Return the present incarnation of a slot."""
        return self.machine.run.slots[slot].incarnation

    def of(self, slot: int, message: Outbound) -> ev.WorkerSpoke:
        """Return a message of the present worker of a slot."""
        return ev.WorkerSpoke(slot, self.incarnation(slot), message)

    def gone(self, slot: int) -> ev.TreeGone:
        """Return the death of a slot's tree."""
        return ev.TreeGone(slot, self.incarnation(slot))

    def exited(self, slot: int, code: int = -9) -> ev.WorkerExited:
        """Return the exit of a slot's worker."""
        return ev.WorkerExited(slot, self.incarnation(slot), code)

    def attempt(self, slot: int) -> int:
        """Return the attempt that a slot holds, 0 for none."""
        return self.machine.run.slots[slot].attempt

    def failed(self, slot: int, kind: Kind, *, ready: bool = True, **values: Any) -> ev.WorkerSpoke:
        """Return the failure of what a slot holds."""
        return self.of(slot, Failed(self.attempt(slot), kind, "no", ready=ready, **values))

    def log_in(self, slot: int) -> list[co.Command]:
        """Let the login of a slot succeed; return the commands."""
        errand = self.machine.run.slots[slot].errand
        assert errand
        return self.take(self.of(slot, LoggedIn(errand, b"session of %d, %d" % (slot, errand))))

    def lose_session(self, slot: int) -> list[co.Command]:
        """Let a slot meet the login page in place of its reference's; return the commands."""
        return self.take(self.failed(slot, Kind.SESSION_EXPIRED))

    def succeed(self, slot: int) -> list[co.Command]:
        """Let a slot's attempt succeed and be published; return the commands."""
        attempt = self.attempt(slot)
        commands = self.take(self.of(slot, Succeeded(attempt, (DOCUMENT,))))
        return commands + self.take(ev.Published(attempt, (DOCUMENT,)))

    def succeed_all(self) -> None:
        """Let everything succeed that is in progress or ready, until nobody holds anything."""
        while busy := [slot for slot in self.machine.run.slots if self.attempt(slot)]:
            for slot in busy:
                self.succeed(slot)

    def state(self, slot: int) -> str:
        """Return the state of a slot."""
        return self.machine.run.slots[slot].state.value

    def totals(self) -> tuple[int, ...]:
        """Return ready, waiting, in progress, completed, failed."""
        totals: tuple[int, ...] = msgspec.structs.astuple(self.machine.run.queue.totals())
        return totals

    def reference(self, slot: int) -> Any:
        """Return the reference that a slot works on."""
        return self.machine.run.attempts[self.attempt(slot)].reference


def records(commands: list[co.Command], kind: type) -> list[Any]:
    """Return the records of a kind among the commands."""
    return [
        command.record for command in commands if isinstance(command, co.Write) and isinstance(command.record, kind)
    ]


def assigned(commands: list[co.Command]) -> list[str]:
    """Return the references that are handed out, having checked that each was recorded first."""
    started = [record.attempt for record in records(commands, AttemptStarted)]
    assigns = [c.message for c in commands if isinstance(c, co.Send) and isinstance(c.message, Assign)]
    assert [one.attempt for one in assigns] == started
    return [one.ref for one in assigns]


def finish(commands: list[co.Command]) -> co.Finish:
    """Return the end of the run."""
    (end,) = [command for command in commands if isinstance(command, co.Finish)]
    return end


def sent(commands: list[co.Command], kind: type) -> list[tuple[int, object]]:
    """Return the messages of a kind among the commands, each with its slot."""
    return [(c.slot, c.message) for c in commands if isinstance(c, co.Send) and isinstance(c.message, kind)]
