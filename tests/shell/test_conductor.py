"""The conductor: what depends on a record waits until that record is on disk; everything else is done at once."""

from supervisor.core.backlog import Backlog
from supervisor.core.commands import Discard, DiscardErrand, Kill, LoadInventory, Publish, Say, Withdraw
from supervisor.core.events import (
    LoopStalled,
    Published,
    StopRequested,
    TimePassed,
    TreeGone,
    WorkerExited,
    WorkerSpoke,
)
from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.core.records import AttemptStarted, Entry, Record
from supervisor.shell.conductor import Conductor
from worker.protocol import Assign, Heartbeat, Inbound, LoggedIn, LogIn, Ready, Succeeded


class Ports:
    """Every port at once, written down in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.batches: dict[int, tuple[Record, ...]] = {}
        self.sent: list[Inbound] = []

    def submit(self, batch: int, records: tuple[Record, ...]) -> None:
        self.batches[batch] = records

    def spawn(self, slot: int, incarnation: int) -> None:
        self.done.append(f"spawn {slot}.{incarnation}")

    def send(self, slot: int, incarnation: int, message: Inbound) -> None:
        self.done.append(f"send {slot}.{incarnation}")
        self.sent.append(message)

    def kill(self, command: Kill) -> None:
        self.done.append(f"kill {command.slot}.{command.incarnation}")

    def publish(self, command: Publish) -> None:
        self.done.append(f"publish {command.attempt}")

    def discard(self, command: Discard) -> None:
        self.done.append(f"discard {command.attempt}")

    def withdraw(self, command: Withdraw) -> None:
        self.done.append(f"withdraw {command.attempt}")

    def discard_errand(self, command: DiscardErrand) -> None:
        self.done.append(f"discard errand {command.errand}")

    def load_inventory(self, command: LoadInventory) -> None:
        self.done.append(f"load {command.errand}")

    def say(self, command: Say) -> None:
        if command.attempt:
            self.done.append(f"say of {command.attempt}: {command.text}")


def conducted(*entries: Entry) -> tuple[Conductor, Ports]:
    ports = Ports()
    backlog = Backlog(entries=entries, has_inventory=True)
    return Conductor(Machine(Policy(worker_delay=0.0), 1, backlog, 0.0), ports, ports, ports, ports), ports


def begun() -> tuple[Conductor, Ports]:
    """Return a conductor whose one worker is logged in, with a reference about to go out, nothing of it flushed."""
    conductor, ports = conducted(Entry(1, "A-1"))
    conductor.take(TimePassed(), 0.0)
    conductor.flush()
    conductor.durable(1, 0.0)
    conductor.take(WorkerSpoke(1, 1, Ready()), 1.0)
    conductor.flush()
    errand = next(message for message in ports.sent if isinstance(message, LogIn)).errand
    conductor.take(WorkerSpoke(1, 1, LoggedIn(errand, b"session")), 2.0)
    return conductor, ports


def ended(conductor: Conductor) -> int | None:
    return conductor.finished.code if conductor.finished else None


def test_a_reference_goes_out_only_when_its_attempt_is_on_disk() -> None:
    """The attempt is counted durably before its worker hears of it."""
    conductor, ports = begun()
    conductor.flush()
    batch = max(ports.batches)
    assert any(isinstance(record, AttemptStarted) for record in ports.batches[batch])
    assert not any(isinstance(message, Assign) for message in ports.sent)
    conductor.durable(batch, 2.0)
    assert any(isinstance(message, Assign) for message in ports.sent)


def test_a_kill_waits_for_no_disk() -> None:
    """A worker is killed at once, whatever the ledger is doing."""
    conductor, ports = begun()
    conductor.flush()
    conductor.take(StopRequested(at_once=True, reason="now"), 3.0)
    assert "kill 1.1" in ports.done


def test_commands_without_records_keep_their_place_behind_earlier_batches() -> None:
    """What is held back is done in the order in which it was commanded."""
    conductor, ports = begun()
    conductor.flush()
    held = max(ports.batches)
    conductor.take(StopRequested(at_once=True, reason="now"), 3.0)
    conductor.flush()
    conductor.take(WorkerExited(1, 1, -9), 4.0)
    conductor.take(TreeGone(1, 1), 4.0)
    conductor.flush()
    codes = [ended(conductor)]
    conductor.durable(held, 4.0)
    codes.append(ended(conductor))
    conductor.durable(max(ports.batches), 4.0)
    codes.append(ended(conductor))
    assert codes == [None, None, 3]


def test_a_batch_that_never_gets_to_the_disk_lets_nothing_out() -> None:
    """With a full disk nothing is handed out and nothing is called finished."""
    conductor, ports = begun()
    conductor.flush()
    for second in range(3, 20):
        conductor.take(TimePassed(), float(second))
        conductor.flush()
    assert not any(isinstance(message, Assign) for message in ports.sent)


def test_nobody_is_told_of_a_completion_before_it_is_on_disk() -> None:
    """Until the ledger has it, the log says nothing of it, and whoever counts knows that it is not yet so."""
    conductor, ports = begun()
    conductor.flush()
    conductor.durable(max(ports.batches), 2.0)
    conductor.take(WorkerSpoke(1, 1, Succeeded(1, ())), 3.0)
    conductor.take(Published(1, ()), 3.5)
    conductor.flush()
    told = [done for done in ports.done if done.startswith("say")]
    assert (conductor.machine.run.queue.completed, conductor.completing, told) == (1, 1, [])
    conductor.durable(max(ports.batches), 4.0)
    told = [done for done in ports.done if done.startswith("say")]
    assert (conductor.completing, told) == (0, ["say of 1: completed, 0 documents"])


def test_a_worker_does_not_pay_for_a_ledger_that_stands_still() -> None:
    """Its time for a reference begins when it is told of it, not when the attempt was handed to a slow disk."""
    conductor, ports = begun()
    conductor.flush()
    slot, limit = conductor.machine.run.slots[1], conductor.machine.run.policy.stuck_threshold
    for second in range(3, 1000, 20):  # heartbeats come, the ledger does not
        conductor.take(WorkerSpoke(1, 1, Heartbeat(0, "", 0.0)), float(second))
        conductor.take(TimePassed(), float(second))
        conductor.flush()
    assert not any(done.startswith("kill") for done in ports.done)
    conductor.durable(max(ports.batches), 1000.0)
    assert any(isinstance(message, Assign) for message in ports.sent)
    assert slot.deadline == 1000.0 + limit
    for second in range(1000, 1000 + int(limit) + 1, 20):
        conductor.take(WorkerSpoke(1, 1, Heartbeat(1, "", 0.0)), float(second))
        conductor.take(TimePassed(), float(second))
    assert "kill 1.1" in ports.done


def test_time_in_which_everything_stood_still_is_allowed_once() -> None:
    """What waits for the ledger while the machine is suspended gets that time from the core, and not a second time."""
    conductor, ports = begun()
    conductor.flush()
    slot, limit = conductor.machine.run.slots[1], conductor.machine.run.policy.stuck_threshold
    conductor.take(LoopStalled(150.0), 152.0)
    conductor.take(TimePassed(), 152.0)
    assert slot.deadline == 152.0 + limit
    conductor.take(TimePassed(), 153.0)
    conductor.durable(max(ports.batches), 154.0)
    assert any(isinstance(message, Assign) for message in ports.sent)
    assert slot.deadline == 154.0 + limit
