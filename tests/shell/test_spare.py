import os
import selectors
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.core.commands import Kill
from supervisor.core.events import Event, TreeGone, WorkerExited, WorkerGarbled, WorkerSpoke
from supervisor.shell import linux
from supervisor.shell.inbox import Broken, Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.processes import Processes, Target
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.workers import LocalWorkers, Member
from tests.shell import fake_children as fake
from tests.worker.test_protocol import MESSAGES
from worker.protocol import VERSION, Adopt, Heartbeat, Hello, Ready, StartFailed, encode, from_worker, to_worker
from worker.settings import WorkerSettings

GREETING = encode(Hello(VERSION, 1)) + encode(Heartbeat(0, "", 0.0)) + encode(Ready())


def obedient(connection: Connection, _: WorkerSettings) -> None:
    """Be ready, and say what place was given."""
    os.setsid()
    pipe = connection.fileno()
    os.write(pipe, GREETING)
    decoder = to_worker()
    while data := os.read(pipe, 65_536):
        for message in decoder.feed(data):
            if isinstance(message, Adopt):
                files = f"{Path(message.log_file).name} {Path(message.picture_file).name}"
                os.write(pipe, encode(StartFailed(f"{message.slot} {message.incarnation} {files}")))


def short_lived(connection: Connection, _: WorkerSettings) -> None:
    """Be ready, and end."""
    os.write(connection.fileno(), GREETING)


def garbling(connection: Connection, _: WorkerSettings) -> None:
    """Say what is no message."""
    os.setsid()
    os.write(connection.fileno(), b"\xc1")
    fake.forever()


def talkative(connection: Connection, _: WorkerSettings) -> None:
    """Be ready over and over."""
    os.setsid()
    os.write(connection.fileno(), encode(Ready()) * 100)
    fake.forever()


class Fleet:
    """The workers, and the part of the loop that they need."""

    def __init__(self, local: LocalWorkers, selector: selectors.BaseSelector, inbox: Inbox) -> None:
        self.local = local
        self.events: list[Event] = []
        self.selector = selector
        self._inbox = inbox

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Go round until it holds."""

        def round_and_look() -> object:
            for key, mask in self.selector.select(0.05):
                if key.data is not None:
                    handler, member = key.data
                    self.events += handler(member, mask)
            for item in self._inbox.take():
                assert not isinstance(item, Broken), item
                if isinstance(item, TreeGone):
                    self.events += self.local.gone(item.slot, item.incarnation)
                self.events.append(item)  # type: ignore[arg-type] # nothing else comes without a ledger
            return condition()

        fake.eventually(round_and_look, what)

    def spare(self) -> Member:
        """Have a spare, and return it once it has said something."""
        self.local.prepare()
        (member,) = self.local.members.values()
        self.until(lambda: member.unheard, "the spare's greeting")
        return member


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[[Target], Fleet]]:
    """Make workers of one kind; nothing is left of them afterwards."""
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    with ExitStack() as stack:
        temp = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightfleet-test")))

        def settings(slot: int, incarnation: int) -> WorkerSettings:
            folder = temp / f"w{slot}-{incarnation}"
            made = fake.settings(folder, slot=slot, marker=f"{fake.MARK}.{slot}.{incarnation}")
            files = {"log_file": f"worker-{slot}.log", "picture_file": f"worker-{slot}.jpg"}
            return msgspec.structs.replace(made, **{name: str(tmp_path / file) for name, file in files.items()})

        def make(target: Target) -> Fleet:
            inbox = stack.enter_context(closing(Inbox()))
            selector = stack.enter_context(closing(selectors.DefaultSelector()))
            selector.register(inbox, selectors.EVENT_READ, None)
            log = directory.logs / "supervisor.log"
            journal = stack.enter_context(closing(Journal(log, as_json=False, rotation=10**6, retention=1)))
            local = LocalWorkers(
                directory=directory,
                settings_for=settings,
                selector=selector,
                inbox=inbox,
                journal=journal,
                processes=Processes(target),
            )
            stack.enter_context(closing(local))
            local.guardian.start()
            return Fleet(local, selector, inbox)

        yield make


def test_a_spare_steps_into_the_place_of_a_worker(fleet: Callable[[Target], Fleet]) -> None:
    """It is told its place, and the core hears all that it had said, but for its heartbeats, as that slot's worker."""
    there = fleet(obedient)
    spare = there.spare()
    there.until(lambda: len(spare.unheard) == 2, "both messages")
    assert there.events == []
    there.local.spawn(3, 8)
    assert list(there.local.members) == [(3, 8)]
    there.until(lambda: len(there.events) == 3, "the answer to its place")
    assert there.events == [
        WorkerSpoke(3, 8, Hello(VERSION, 1)),
        WorkerSpoke(3, 8, Ready()),
        WorkerSpoke(3, 8, StartFailed("3 8 worker-3.log worker-3.jpg")),
    ]
    there.local.kill(Kill(3, 8, "the test is over", evidence=False))
    there.until(lambda: TreeGone(3, 8) in there.events, "the end of its tree")
    assert there.local.members == {}
    assert not linux.is_running(spare.process.pid, spare.process.start_time)
    assert not Path(spare.settings.temp_dir).exists()


@pytest.mark.parametrize("target", [short_lived, garbling, talkative])
def test_a_spare_that_is_no_good_is_gone_before_it_is_needed(
    target: Target, fleet: Callable[[Target], Fleet], tmp_path: Path
) -> None:
    """One that ends, garbles or talks is killed and removed, the core hears nothing, and no other follows at once."""
    there = fleet(target)
    there.local.prepare()
    (spare,) = there.local.members.values()
    there.until(lambda: not there.local.members, "the end of the spare")
    assert there.events == [TreeGone(0, 1)]
    assert not Path(spare.settings.temp_dir).exists()
    there.local.prepare()
    assert there.local.members == {}
    there.local.spawn(1, 1)
    assert list(there.local.members) == [(1, 1)]


def test_a_spare_that_died_unnoticed_is_the_death_of_a_worker(fleet: Callable[[Target], Fleet]) -> None:
    """Its death is told as that of the slot's worker, so that the core starts another."""
    there = fleet(obedient)
    spare = there.spare()
    os.kill(spare.process.pid, 9)
    there.local.spawn(2, 5)
    there.until(lambda: WorkerExited(2, 5, -9) in there.events, "the death")


def test_an_end_takes_the_spare_along(fleet: Callable[[Target], Fleet]) -> None:
    """When the run is over, process, folder and record of the spare are gone before the supervisor is."""
    there = fleet(obedient)
    spare = there.spare()
    there.local.close()
    assert not linux.is_running(spare.process.pid, spare.process.start_time)
    assert not Path(spare.settings.temp_dir).exists()
    assert there.local.members == {}


def test_a_released_spare_is_gone(fleet: Callable[[Target], Fleet]) -> None:
    """Nothing is kept ready any more when nothing more is handed out."""
    there = fleet(obedient)
    there.spare()
    there.local.release()
    there.until(lambda: not there.local.members, "the end of the spare")
    there.local.release()


def test_a_worker_that_sends_what_is_no_message_is_told_once(fleet: Callable[[Target], Fleet]) -> None:
    """Nothing more of it is taken for a message, and it is killed like any other."""
    there = fleet(garbling)
    there.local.spawn(2, 7)
    there.until(lambda: there.events, "the garbage")
    (garbled,) = there.events
    assert isinstance(garbled, WorkerGarbled)
    assert (garbled.slot, garbled.incarnation) == (2, 7)
    assert "not a message" in garbled.reason
    (member,) = there.local.members.values()
    assert not list(there.local._decode(member, GREETING))
    there.local.kill(Kill(2, 7, garbled.reason, evidence=False))
    there.until(lambda: TreeGone(2, 7) in there.events, "the end of its tree")
    assert there.local.members == {}


def test_whatever_a_worker_sends_is_what_it_said_and_at_most_one_complaint(fleet: Callable[[Target], Fleet]) -> None:
    """And a pid that it takes from the air makes no stranger a member of its tree."""
    there = fleet(obedient)
    there.local.spawn(1, 1)
    there.until(lambda: len(there.events) == 3, "the greeting")
    (member,) = there.local.members.values()
    tree = {process.pid for process in member.tree.scan()}

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.one_of(st.binary(max_size=40), MESSAGES.map(encode)), max_size=6))
    def hear(pieces: list[bytes]) -> None:
        member.decoder = from_worker()
        heard = [event for piece in pieces for event in there.local._decode(member, piece)]
        kinds = [type(event) for event in heard]
        assert set(kinds[:-1]) <= {WorkerSpoke}
        assert kinds[-1:] in ([], [WorkerSpoke], [WorkerGarbled])
        assert (member.decoder is None) == (kinds[-1:] == [WorkerGarbled])

    hear()
    assert {process.pid for process in member.tree.scan()} == tree
    there.local.kill(Kill(1, 1, "the test is over", evidence=False))
    there.until(lambda: TreeGone(1, 1) in there.events, "the end of its tree")


def test_a_death_that_is_told_before_the_end_of_the_pipe_leaves_no_descriptor_behind(
    fleet: Callable[[Target], Fleet],
) -> None:
    """Both may come in the same round, in either order; the number of a descriptor is soon that of another one."""
    there = fleet(obedient)
    there.local.spawn(1, 1)
    there.until(lambda: len(there.events) == 3, "the greeting")
    (member,) = there.local.members.values()
    descriptors = {member.process.fileno(), member.process.sentinel}
    os.kill(member.process.pid, 9)
    fake.eventually(lambda: member.process.exit_code() is not None, "the death")
    assert list(there.local.on_end(member, selectors.EVENT_READ)) == [WorkerExited(1, 1, -9)]
    assert member.process.ended
    assert not descriptors & set(there.selector.get_map())
