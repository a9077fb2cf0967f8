"""The operator's socket: answered when it is done and durable, owner only, and never in the way of the run."""

import contextlib
import selectors
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from supervisor.core.backlog import Backlog
from supervisor.core.commands import Kill
from supervisor.core.events import TimePassed, WorkerSpoke
from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.core.records import AttemptFailed, AttemptStarted, Entry, Record
from supervisor.core.state import Stage
from supervisor.shell import control
from supervisor.shell.conductor import Conductor
from supervisor.shell.control import Control
from supervisor.shell.control_messages import REQUEST_LIMIT, Answer, address
from supervisor.shell.inbox import Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.selection import select_failed
from worker.protocol import VERSION, Hello, Inbound, Kind, Ready

DEADLINE = 20.0


class Ports:
    """Stands for ledger, workers and store: remembers, and does nothing by itself."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.spawned: list[tuple[int, int]] = []

    def submit(self, batch: int, records: tuple[Record, ...]) -> None:
        self.batches.append(batch)

    def spawn(self, slot: int, incarnation: int) -> None:
        self.spawned.append((slot, incarnation))

    def send(self, slot: int, incarnation: int, message: Inbound) -> None: ...

    def kill(self, command: Kill) -> None: ...

    def publish(self, command: object) -> None: ...

    def discard(self, command: object) -> None: ...

    def withdraw(self, command: object) -> None: ...

    def discard_errand(self, command: object) -> None: ...

    def load_inventory(self, command: object) -> None: ...


class Desk:
    """A run whose rounds the test turns by hand."""

    def __init__(self, directory: RunDirectory) -> None:
        self.ports = Ports()
        self.machine = Machine(Policy(), 2, Backlog(2, (Entry(2, "B-1"), Entry(3, "C-1")), 0, 1, True), 0.0)
        self.journal = Journal(directory.logs / "supervisor.log", as_json=False, rotation=1_000_000, retention=1)
        ports = self.ports
        self.conductor = Conductor(self.machine, ports, ports, ports, self.journal)
        self.selector = selectors.DefaultSelector()
        self.inbox = Inbox()
        self.control = Control(directory, self.conductor, self.selector, self.inbox, self.journal)
        self.now = 0.0
        self.durable = True
        self.conductor.take(TimePassed(), 0.0)
        self.conductor.flush()

    def turn(self, advance: float = 0.0) -> None:
        """One round, as the loop has it; short waits, so that a condition can be awaited."""
        self.now += advance
        for key, mask in self.selector.select(0.02):
            handler, member = key.data
            for event in handler(member, mask):
                self.conductor.take(event, self.now)
        for item in self.inbox.take():
            assert isinstance(item, TimePassed)
        for event in self.control.events():
            self.conductor.take(event, self.now)
        self.conductor.flush()
        if self.durable:
            self.conductor.durable(self.conductor.submitted, self.now)
        self.control.answer(self.now)

    def ready(self, slot: int) -> None:
        incarnation = self.machine.run.slots[slot].incarnation
        for message in (Hello(VERSION, 1), Ready()):
            self.conductor.take(WorkerSpoke(slot, incarnation, message), self.now)

    def close(self) -> None:
        self.control.close()
        self.selector.close()
        self.inbox.close()
        self.journal.close()


class Caller:
    """One connection of an operator."""

    def __init__(self, directory: RunDirectory) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        with address(directory.control) as name:
            self.socket.connect(name)
        self.socket.setblocking(False)
        self._received = b""

    def ask(self, **request: Any) -> None:
        self.socket.sendall(msgspec.json.encode(request) + b"\n")

    def heard(self) -> Answer | None:
        """Return the next answer if it has come."""
        with contextlib.suppress(BlockingIOError):  # nothing has come yet
            self._received += self.socket.recv(65_536)
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received = rest
        return msgspec.json.decode(line, type=Answer)

    def answer(self, desk: Desk, advance: float = 0.0) -> Answer:
        """Turn rounds until the answer is there."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            desk.turn(advance)
            answer = self.heard()
            if answer is not None:
                return answer
        raise AssertionError("no answer came")


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    """A run directory whose path is longer than an address of a socket; A-1 has failed, B-1 and C-1 are pending."""
    directory = RunDirectory(tmp_path / ("long" * 40))
    directory.create()
    with Ledger.create(directory.ledger, site="x", wall=0.0) as ledger:
        ledger.import_references(["A-1", "B-1", "C-1"])
        failed = AttemptFailed(1, 1, Kind.NOT_FOUND, "gone", counted=True, crashed=False, retry_in=None)
        ledger.apply([AttemptStarted(1, 1, 1, 1, 1), failed], 1.0)
    return directory


@pytest.fixture
def desk(directory: RunDirectory) -> Iterator[Desk]:
    desk = Desk(directory)
    yield desk
    desk.close()


@pytest.fixture
def caller(desk: Desk, directory: RunDirectory) -> Iterator[Caller]:
    caller = Caller(directory)
    yield caller
    caller.socket.close()


def test_the_socket_is_its_owners_alone_and_gone_at_the_end(directory: RunDirectory) -> None:
    """Whatever the umask: nobody else can connect; a stale file is replaced, and none is left behind."""
    directory.control.write_bytes(b"left behind")
    desk = Desk(directory)
    assert stat.S_IMODE(directory.control.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    desk.close()
    assert not directory.control.exists()


def test_pause_and_resume_are_answered_when_they_are_durable(desk: Desk, caller: Caller) -> None:
    """While the ledger has not written the pause, nobody is told of it."""
    desk.durable = False
    caller.ask(do="pause")
    for _ in range(5):
        desk.turn()
    assert desk.machine.run.pauses
    assert caller.heard() is None
    desk.durable = True
    assert caller.answer(desk).sentence.startswith("paused")
    caller.ask(do="resume")
    assert caller.answer(desk) == Answer(ok=True, done=True, sentence="goes on")
    assert not desk.machine.run.pauses


def test_a_resume_says_what_else_keeps_the_run_paused(desk: Desk, caller: Caller) -> None:
    """The operator cannot resume a run that waits for room on the disk, and is told so."""
    desk.machine.run.pause("disk", "the disk is full")
    caller.ask(do="resume")
    assert caller.answer(desk).sentence == "still paused: the disk is full"


def test_scale_is_answered_when_the_workers_are_ready(desk: Desk, caller: Caller) -> None:
    """Two workers wanted and starting: no answer before both are ready."""
    caller.ask(do="scale", workers=2)
    desk.ready(1)
    for _ in range(5):
        desk.turn()
    assert caller.heard() is None
    desk.ready(2)
    assert caller.answer(desk) == Answer(ok=True, done=True, sentence="2 workers")


def test_what_takes_too_long_is_answered_with_how_far_it_has_come(desk: Desk, caller: Caller) -> None:
    """A worker that holds something cannot leave yet: the operator is told after half a minute."""
    desk.ready(1)
    desk.ready(2)
    caller.ask(do="scale", workers=1)
    desk.turn()
    answer = caller.answer(desk, advance=7.0)
    assert (answer.ok, answer.done) == (True, False)
    assert answer.sentence.startswith("under way")


def test_a_retry_takes_only_what_the_ledger_says_has_failed(desk: Desk, caller: Caller) -> None:
    """A-1 is queued again; of the others each is refused in words, and nothing changes."""
    for refs, words in (["B-1"], "has not failed"), (["Z-9"], "has no reference"):
        caller.ask(do="retry", refs=refs)
        answer = caller.answer(desk)
        assert not answer.ok
        assert words in answer.sentence
    assert desk.machine.run.queue.failed == 1
    caller.ask(do="retry", refs=["A-1"])
    assert caller.answer(desk) == Answer(ok=True, done=True, sentence="1 reference queued again")
    assert desk.machine.run.queue.failed == 0
    desk.machine.check_invariants()


@pytest.mark.parametrize(
    "line",
    [b"nonsense", b"{}", b'{"do":"dance"}', b'{"do":"scale","workers":0}', b'{"do":"pause","x":1}', b"\xff", b""],
)
def test_what_is_no_request_is_refused_and_the_next_is_served(desk: Desk, caller: Caller, line: bytes) -> None:
    """One sentence for each; the connection stays usable."""
    caller.socket.sendall(line + b"\n")
    assert not caller.answer(desk).ok
    caller.ask(do="ping")
    assert caller.answer(desk).ok


def test_requests_sent_together_are_answered_in_their_order(desk: Desk, caller: Caller) -> None:
    """The second is looked at when the first has its answer."""
    caller.socket.sendall(b'{"do":"pause"}\n{"do":"resume"}\n')
    assert caller.answer(desk).sentence.startswith("paused")
    assert caller.answer(desk).sentence == "goes on"


def test_an_endless_request_is_cut_off(desk: Desk, caller: Caller) -> None:
    """Nobody fills the supervisor's memory."""
    sent = 0
    while sent <= REQUEST_LIMIT:
        try:
            sent += caller.socket.send(b"x" * 65_536)
        except BlockingIOError:
            desk.turn()
    assert "at most" in caller.answer(desk).sentence
    desk.turn()
    assert len(desk.selector.get_map()) == 1


def test_one_caller_too_many_is_sent_away(desk: Desk, directory: RunDirectory) -> None:
    """Those who came before are still served."""
    callers = []
    for _ in range(17):
        callers.append(Caller(directory))
        desk.turn()
    assert callers[-1].answer(desk).sentence == "too many are connected"
    callers[0].ask(do="ping")
    assert callers[0].answer(desk).ok
    for caller in callers:
        caller.socket.close()


def test_a_caller_who_leaves_at_once_is_no_trouble(desk: Desk, caller: Caller) -> None:
    """What was asked for is done all the same."""
    caller.ask(do="pause")
    caller.socket.close()
    for _ in range(5):
        desk.turn()
    assert desk.machine.run.pauses
    assert len(desk.selector.get_map()) == 1


def test_an_ending_run_is_neither_paused_nor_scaled(desk: Desk, caller: Caller) -> None:
    """After a stop, what needs a running run is refused with the reason of the end."""
    caller.ask(do="stop", now=False)
    assert caller.answer(desk).ok
    caller.ask(do="scale", workers=3)
    answer = caller.answer(desk)
    assert not answer.ok
    assert "stopped by the operator" in answer.sentence


def test_a_caller_who_leaves_before_two_answers_is_no_trouble(desk: Desk, caller: Caller) -> None:
    """What it asked wrongly is answered to nobody, however much of that came at once; the run goes on."""
    caller.socket.sendall(b"nonsense\nnonsense\nnonsense\n")
    caller.socket.close()
    for _ in range(5):
        desk.turn()
    assert len(desk.selector.get_map()) == 1


def test_a_caller_who_never_listens_is_let_go(desk: Desk, caller: Caller) -> None:
    """Its answers are kept up to a limit, however much it asks in one piece; the run goes on."""
    deadline = time.monotonic() + DEADLINE
    desk.turn()
    (connection,) = desk.control._clients
    while connection in desk.control._clients:
        assert time.monotonic() < deadline
        with contextlib.suppress(BlockingIOError):  # the supervisor has yet to read what came before
            caller.socket.send(b"\n" * 60_000)
        desk.turn()
    assert len(desk.selector.get_map()) == 1


def test_a_retry_is_done_although_its_caller_left_at_once(
    desk: Desk, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is still being asked which references have failed when nobody waits for the answer any more."""
    gone = threading.Event()

    def select_late(*question: Any) -> list[Entry]:
        assert gone.wait(DEADLINE)
        return select_failed(*question)

    monkeypatch.setattr(control, "select_failed", select_late)
    caller.ask(do="retry")
    caller.socket.close()
    deadline = time.monotonic() + DEADLINE
    while desk.control._clients or not desk.control._left:
        assert time.monotonic() < deadline
        desk.turn()
    gone.set()
    while desk.machine.run.queue.failed:
        assert time.monotonic() < deadline
        desk.turn()
    desk.turn()
    assert not desk.control._left
    desk.machine.check_invariants()


def test_a_retry_that_comes_when_all_is_over_is_refused(desk: Desk, caller: Caller) -> None:
    """The core hears nothing any more, while its last records are on their way: nobody is told that it was done."""
    desk.machine.run.stage = Stage.FINISHED
    caller.ask(do="retry")
    answer = caller.answer(desk)
    assert (answer.ok, answer.sentence) == (False, "the run has just ended: ask again")
    assert desk.machine.run.queue.failed == 1
