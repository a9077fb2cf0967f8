"""Deadlines, deaths, kills, restarts; nothing goes back into the queue before the tree is dead."""

import msgspec
import pytest

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.records import AttemptFailed
from supervisor.core.watchdog import restart_delay
from tests.core.playbook import QUIET, Playbook, assigned, finish, records
from worker.protocol import (
    VERSION,
    ErrandFailed,
    Failed,
    Heartbeat,
    Hello,
    Kind,
    Ready,
    ShutDown,
    StartFailed,
    Succeeded,
)


def _killed(play: Playbook, commands: list[co.Command], kind: Kind, *, evidence: bool = True) -> None:
    """The reference of slot 1 stays in progress until its tree is dead; then it waits."""
    (kill,) = [command for command in commands if isinstance(command, co.Kill)]
    assert (kill.slot, kill.attempt, kill.ref, kill.evidence) == (1, 1, "A", evidence)
    assert kill.reason.startswith(kind.value)
    assert records(commands, AttemptFailed) == []
    assert play.totals()[2] == 2
    assert play.take(play.of(1, Succeeded(1, ()))) == []
    assert play.take(play.exited(1)) == []
    (record,) = records(play.take(play.gone(1)), AttemptFailed)
    assert (record.attempt, record.kind, record.counted, record.crashed) == (1, kind, True, True)
    assert play.totals()[1:3] == (1, 1)
    assert play.take(play.gone(1)) == []


def test_a_stuck_worker_is_killed_at_the_threshold() -> None:
    """To the tenth of a second, with its step in the message, and not before."""
    play = Playbook.working("A", "B", "C", "D")
    play.take(play.of(1, Heartbeat(1, "open the vehicle", 1.0)))
    play.now = 299.9
    play.succeed(2)
    assert play.state(1) == "busy"
    assert not [command for command in play.take(ev.TimePassed()) if isinstance(command, co.Kill)]
    assert play.machine.next_deadline() == 300.0
    play.now = 300.0
    commands = play.take(ev.TimePassed())
    assert "in step 'open the vehicle'" in play.said[-1].text
    _killed(play, commands, Kind.STUCK)


def test_a_silent_worker_is_killed_long_before() -> None:
    """Its heartbeat stopped; the other's did not."""
    policy = msgspec.structs.replace(QUIET, heartbeat_timeout=30.0)
    play = Playbook.working("A", "B", "C", "D", policy=policy)
    play.now = 29.0
    play.take(play.of(2, Heartbeat(2, "", 0.0)))
    play.now = 30.0
    commands = play.take(ev.TimePassed())
    _killed(play, commands, Kind.FROZEN)


def test_a_dead_worker_is_buried() -> None:
    """Whatever ended it, the whole tree is killed and confirmed."""
    play = Playbook.working("A", "B", "C", "D")
    _killed(play, play.take(play.exited(1, -9)), Kind.WORKER_DIED)
    assert "often for want of memory" in play.said[-2].text or any("want of memory" in one.text for one in play.said)


def test_a_garbled_worker_is_killed() -> None:
    """Bytes that are not the protocol: nothing it says is believed any more."""
    play = Playbook.working("A", "B", "C", "D")
    commands = play.take(ev.WorkerGarbled(1, play.incarnation(1), "not msgpack"))
    _killed(play, commands, Kind.WORKER_GARBLED)


def test_a_worker_far_above_its_memory_limit_is_killed_and_one_above_it_recycled() -> None:
    """At once in mid-task when it is far too much; otherwise after its reference."""
    play = Playbook.working("A", "B", "C", "D")
    limit = QUIET.memory_limit
    assert play.take(ev.MemoryMeasured(2, play.incarnation(2), limit)) == []
    assert play.take(ev.MemoryMeasured(2, play.incarnation(2), limit + 1)) == []
    assert play.take(ev.MemoryMeasured(2, play.incarnation(2), limit + 1)) == []
    assert co.Send(2, 2, ShutDown()) in play.succeed(2)
    play.take(play.exited(2, 0))
    play.take(play.gone(2))
    play.take(play.of(2, Ready()))
    _killed(play, play.take(ev.MemoryMeasured(1, play.incarnation(1), 2 * limit)), Kind.MEMORY)


def test_an_answer_before_death_counts() -> None:
    """Whatever was in the pipe is heard first; the death of a worker with empty hands costs nobody anything."""
    play = Playbook.working("A", "B", "C", "D")
    play.take(play.of(1, Succeeded(1, ())))
    second = play.attempt(1)
    play.take(play.exited(1))
    play.take(ev.Published(1, ()))
    assert play.totals()[3] == 1
    (record,) = records(play.take(play.gone(1)), AttemptFailed)
    assert record.attempt == second


def test_a_worker_that_does_not_recover_is_killed() -> None:
    """Failed with ready=False, then no Ready in time."""
    play = Playbook.working("A", "B", "C", "D")
    play.take(play.failed(1, Kind.PAGE_HUNG, ready=False))
    assert play.state(1) == "recovering"
    (kill,) = [c for c in play.pass_time(60.0) if isinstance(c, co.Kill)]
    assert (kill.slot, kill.attempt) == (1, 0)
    play.take(play.gone(1))
    assert play.totals()[2] == 2 - 1


def test_a_worker_that_recovers_goes_on() -> None:
    """Ready after ready=False: the next reference."""
    play = Playbook.working("A", "B", "C", "D")
    play.take(play.failed(1, Kind.PAGE_HUNG, ready=False))
    assert assigned(play.take(play.of(1, Ready()))) == ["C"]


def test_a_login_that_takes_too_long_costs_the_worker() -> None:
    """The errand's deadline and some grace; then another worker tries."""
    play = Playbook.new("A", workers=1)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    (kill,) = [c for c in play.pass_time(150.0) if isinstance(c, co.Kill)]
    assert "login or export" in kill.reason
    play.take(play.gone(1))
    assert "errand_failed" in play.incidents
    assert play.take(play.of(1, ErrandFailed(1, Kind.LOGIN_FAILED, "", ready=True))) == []


def test_a_worker_that_does_not_leave_is_killed() -> None:
    """Told to end, it has its ten seconds."""
    play = Playbook.working("A", workers=1)
    play.succeed(1)
    assert play.state(1) == "leaving"
    (kill,) = [c for c in play.pass_time(10.0) if isinstance(c, co.Kill)]
    assert "had not ended" in kill.reason
    assert finish(play.take(play.gone(1))).code == 0


def test_a_worker_that_leaves_with_an_error_is_noted() -> None:
    """It has left all the same."""
    play = Playbook.working("A", workers=1)
    play.succeed(1)
    play.take(play.exited(1, 7))
    assert play.said[-1].text == "the worker was told to end and did so with exit code 7"
    play.take(play.gone(1))


def test_processes_that_do_not_die_are_reported_again_and_again() -> None:
    """And the reference stays where it is: nobody else may get it."""
    play = Playbook.working("A", "B", workers=1)
    play.take(play.exited(1))
    play.pass_time(130.0)
    assert play.incidents.count("stubborn") == 2
    assert play.totals() == (1, 0, 1, 0, 0)


def test_a_slot_that_dies_again_and_again_is_restarted_with_growing_pauses() -> None:
    """At once after the first death, then 1, 2, 4 seconds up to the limit."""
    play = Playbook.new(*"ABCDEFGH", workers=2)
    run = play.machine.run
    assert [restart_delay(run, deaths) for deaths in (0, 1, 2, 3, 4, 8, 9, 500)] == [0, 0, 1, 2, 4, 60, 60, 60]
    play.take(ev.TimePassed())
    play.take(play.of(2, Ready()))
    play.take(play.exited(1))
    assert [type(command) for command in play.take(play.gone(1))] == [co.Spawn]
    play.take(play.exited(1))
    assert play.take(play.gone(1)) == []
    assert play.machine.next_deadline() == play.now + 1.0
    assert [type(command) for command in play.pass_time(1.0)] == [co.Spawn]


def test_a_success_ends_the_row_of_deaths() -> None:
    """Not a start, not a Ready: a success."""
    play = Playbook.working(*"ABCDEFGH", workers=1)
    for deaths in (1, 2):
        play.take(play.exited(1))
        play.take(play.gone(1))
        play.pass_time(1.0)
        play.take(play.of(1, Ready()))
        assert play.machine.run.slots[1].deaths == deaths
    play.pass_time(10.0)
    play.succeed(1)
    assert play.machine.run.slots[1].deaths == 0


_WAYS = ("spawn", "says", "dies", "never", "version")


@pytest.mark.parametrize("way", _WAYS)
def test_a_machine_on_which_nothing_starts_is_given_up(way: str) -> None:
    """Five children in a row that never got ready, none that did: exit 5, resumable. Retired slots do not hide it."""
    play = Playbook.new(*"ABCDEF", workers=3)
    play.take(ev.TimePassed())
    play.take(ev.ScaleRequested(2))
    play.take(ev.SpawnFailed(3, play.incarnation(3), "no more processes"))
    while play.machine.run.ending is None:
        for slot in (1, 2):
            if play.state(slot) == "starting":
                _never_ready(play, slot, way)
            if play.state(slot) == "killing":
                play.take(play.gone(slot))
        play.pass_time(1.0)
    ending = play.machine.run.ending
    assert (ending.code, ending.reason.split(",")[0]) == (5, "no worker can be started on this machine")
    assert play.machine.run.start_failures <= 6


def _never_ready(play: Playbook, slot: int, way: str) -> None:
    match way:
        case "spawn":
            play.take(ev.SpawnFailed(slot, play.incarnation(slot), "no more processes"))
        case "says":
            play.take(play.of(slot, StartFailed("no browser")))
        case "dies":
            play.take(play.exited(slot, 1))
        case "version":
            play.take(play.of(slot, Hello(VERSION + 1, 1)))
        case _:
            play.pass_time(QUIET.start_timeout)


def test_a_machine_on_which_one_worker_works_is_not_given_up() -> None:
    """The others may fail to start as often as they like."""
    play = Playbook.working(*"ABCDEF")
    for _ in range(12):
        play.take(play.exited(2, 1))
        play.take(play.gone(2))
        play.pass_time(60.0)
        play.take(play.of(1, Heartbeat(play.attempt(1), "", 0.0)))
        if play.state(1) == "killing":
            play.take(play.gone(1))
        if play.attempt(1):
            play.succeed(1)
        if play.machine.run.ending is not None:
            break
    assert play.machine.run.ending is None or play.machine.run.ending.code != 5


def test_the_right_version_is_welcome() -> None:
    """Hello says that a child lives; it is not ready yet."""
    play = Playbook.new("A", workers=1)
    play.take(ev.TimePassed())
    assert play.take(play.of(1, Hello(VERSION, 3))) == []
    assert play.state(1) == "starting"


def test_nobody_is_killed_for_time_in_which_the_machine_stood_still() -> None:
    """Suspended for an hour in mid-task: every deadline moves along."""
    policy = msgspec.structs.replace(QUIET, heartbeat_timeout=30.0)
    play = Playbook.working("A", "B", policy=policy)
    play.now = 3600.0
    play.take(ev.LoopStalled(3600.0))
    assert play.take(ev.TimePassed()) == []
    assert play.machine.next_deadline() == 3630.0


def test_workers_rest_between_references_and_are_recycled() -> None:
    """WORKER_DELAY seconds after each; a fresh process after so many."""
    policy = msgspec.structs.replace(QUIET, worker_delay=2.0, recycle_after=2)
    play = Playbook.working(*"ABCD", workers=1, policy=policy)
    assert assigned(play.succeed(1)) == []
    assert play.machine.next_deadline() == 2.0
    assert assigned(play.pass_time(2.0)) == ["B"]
    assert co.Send(1, 1, ShutDown()) in play.succeed(1)
    play.take(play.exited(1, 0))
    assert [type(command) for command in play.take(play.gone(1))] == [co.Spawn]
    assert play.take(play.of(1, StartFailed("late"))) != []
    assert isinstance(play.failed(1, Kind.TIMEOUT).message, Failed)
