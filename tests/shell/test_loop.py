"""The loop's own decisions: a run that somebody wants to end ends, also where nothing can be written any more."""

import selectors
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor.core.backlog import Backlog
from supervisor.core.commands import Kill
from supervisor.core.events import StopRequested, TreeGone, WorkerSpoke
from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.core.records import Entry
from supervisor.errors import MachineError
from supervisor.shell import loop
from supervisor.shell.conductor import Conductor
from supervisor.shell.inbox import Inbox, Signals
from supervisor.shell.loop import Loop
from worker.protocol import VERSION, Hello, Ready


class Fleet:
    """One worker that is ready as soon as it is started, and dead as soon as it is killed."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.killed = 0

    def spawn(self, slot: int, incarnation: int) -> None:
        for message in (Hello(VERSION, 1), Ready()):
            self._inbox.put(WorkerSpoke(slot, incarnation, message))

    def send(self, *_: object) -> None: ...

    def kill(self, command: Kill) -> None:
        self.killed += 1
        self._inbox.put(TreeGone(command.slot, command.incarnation))

    def gone(self, *_: object) -> Iterator[Any]:
        return iter(())

    on_pipe = None


@pytest.mark.parametrize("at_once", [False, True])
def test_a_run_ends_although_its_ledger_cannot_be_written(monkeypatch: pytest.MonkeyPatch, *, at_once: bool) -> None:
    """An operator who says stop over the socket is no signal: it ends all the same, in the end without its workers."""
    monkeypatch.setattr(loop, "_PATIENCE", 0.2)
    ledger = SimpleNamespace(trouble="the disk is full", submit=lambda *_: None)  # no batch is ever durable
    rest = SimpleNamespace(say=lambda *_: None)
    with closing(Inbox()) as inbox, closing(Signals()) as signals, closing(selectors.DefaultSelector()) as selector:
        fleet = Fleet(inbox)
        machine = Machine(Policy(), 1, Backlog(1, (Entry(1, "A"), Entry(2, "B")), 0, 0, True), 0.0)
        parts: dict[str, Any] = {
            "conductor": Conductor(machine, ledger, fleet, cast("Any", rest), cast("Any", rest)),
            "workers": fleet,
            "ledger": ledger,
            "inbox": inbox,
            "signals": signals,
            "upkeep": SimpleNamespace(next_due=lambda: 0.0, tick=lambda *_: None),
            "control": SimpleNamespace(events=lambda: iter(()), answer=lambda _: None),
            "selector": selector,
            "snapshot": lambda: None,
        }
        inbox.put(StopRequested(at_once=at_once, reason="stopped by the operator"))
        with pytest.raises(MachineError, match="the run ends, but the ledger cannot be written: the disk is full"):
            Loop(**parts).run()
        assert fleet.killed == 1
