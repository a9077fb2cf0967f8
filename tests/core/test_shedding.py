"""A machine that runs short: who is let go, who is not, what is charged to nobody, and how the fleet is made whole."""

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.records import AttemptFailed
from supervisor.core.state import EXIT_MACHINE
from tests.core.playbook import QUIET, Playbook, records
from worker.protocol import Kind, LoggedIn, Ready, ShutDown

_MANY = tuple(f"R{number}" for number in range(100))
_PLENTY = {"memory": 8_000_000_000, "processes": 20_000, "descriptors": 60_000}


def _memory(play: Playbook, megabytes: int) -> list[co.Command]:
    return play.take(ev.MachineMeasured({**_PLENTY, "memory": megabytes * 1_000_000}))


def _weigh(play: Playbook, *megabytes: int) -> None:
    for slot, size in enumerate(megabytes, 1):
        play.take(ev.MemoryMeasured(slot, play.incarnation(slot), size * 1_000_000))


def _leave(play: Playbook, slot: int) -> list[co.Command]:
    play.take(play.exited(slot, 0))
    return play.take(play.gone(slot))


def _states(play: Playbook) -> list[str]:
    return [play.state(slot) for slot in play.machine.run.slots]


def test_the_biggest_worker_is_let_go_when_it_has_finished_and_nobody_takes_its_place() -> None:
    """One at a time; the next one only when the first is dead and what is left without it was measured."""
    play = Playbook.working(*_MANY, workers=3)
    _weigh(play, 300, 500, 400)
    assert _memory(play, 250) == []
    assert play.incidents.count("machine") == 1
    assert _memory(play, 240) == []
    commands = play.succeed(2)
    assert [c.message for c in commands if isinstance(c, co.Send) and c.slot == 2] == [ShutDown()]
    assert not [c for c in _leave(play, 2) if isinstance(c, co.Spawn)]
    play.pass_time(5.0)
    _memory(play, 200)
    assert not play.machine.run.slots[3].recycle, "its absence could not be seen yet"
    play.pass_time(10.0)
    _memory(play, 200)
    assert play.machine.run.slots[3].recycle
    play.succeed(3)
    _leave(play, 3)
    play.pass_time(30.0)
    _memory(play, 10)
    assert _states(play) == ["busy", "vacant", "vacant"], "never the last one"
    assert play.attempt(1)


def test_when_it_is_urgent_the_worker_does_not_finish_and_its_reference_pays_nothing() -> None:
    """Less than half of the reserve is left: before the kernel kills something, it is killed, uncounted."""
    play = Playbook.working(*_MANY, workers=2)
    _weigh(play, 300, 500)
    assert [c.slot for c in _memory(play, 120) if isinstance(c, co.Kill)] == [2]
    (record,) = records(play.take(play.gone(2)), AttemptFailed)
    assert (record.kind, record.counted, record.crashed) == (Kind.INTERRUPTED, False, False)
    play = Playbook.working(*_MANY, workers=2)
    _weigh(play, 300, 500)
    assert [c for c in _memory(play, 280) if isinstance(c, co.Kill)] == []
    assert [c.slot for c in _memory(play, 140) if isinstance(c, co.Kill)] == [2], "told to go, and now it must hurry"


def test_starts_that_a_short_machine_kills_do_not_end_the_run() -> None:
    """Each try waits longer than the one before; when there is room again the last worker starts and goes on."""
    play = Playbook.working(*_MANY, workers=1)
    _weigh(play, 500)
    _memory(play, 100)
    for _ in range(3 * QUIET.start_failures_limit):
        play.take(play.exited(1, -9))
        play.take(play.gone(1))
        play.pass_time(QUIET.restart_delay_limit)
    assert play.machine.run.ending is None
    assert _states(play) == ["starting"]


def test_starts_that_fail_for_want_of_descriptors_end_the_run() -> None:
    """The limit is this process's own: nobody else will give any back, and the reason says how many are left."""
    play = Playbook.working(*_MANY, workers=1)
    play.take(ev.MachineMeasured({**_PLENTY, "descriptors": 9}))
    for _ in range(1 + QUIET.start_failures_limit):  # the first one was at work
        assert play.machine.run.ending is None
        play.take(play.exited(1, 69))
        play.take(play.gone(1))
        play.pass_time(QUIET.restart_delay_limit)
    assert play.machine.run.ending is not None
    assert play.machine.run.ending.code == EXIT_MACHINE
    assert "9 descriptors left, 32 descriptors to be kept free" in play.machine.run.ending.reason


def test_the_fleet_is_made_whole_again_one_by_one() -> None:
    """Only when there is half as much again as the reserve, room for one more, and calm."""
    play = Playbook.working(*_MANY, workers=3)
    _weigh(play, 300, 500, 400)
    for slot in (2, 3):
        _memory(play, 100)
        play.take(play.gone(slot))
        _memory(play, 100)
        play.pass_time(15.0)
    assert _states(play) == ["busy", "vacant", "vacant"]
    play.pass_time(200.0)
    play.succeed(1)
    assert not [c for c in _memory(play, 400) if isinstance(c, co.Spawn)], "not well yet"
    assert play.machine.run.shedding.short
    assert not [c for c in _memory(play, 500) if isinstance(c, co.Spawn)], "one more would make it short again"
    assert not play.machine.run.shedding.short
    play.pass_time(61.0)
    assert not [c for c in _memory(play, 940) if isinstance(c, co.Spawn)]
    assert [c.slot for c in _memory(play, 1000) if isinstance(c, co.Spawn)] == [2]
    play.take(play.of(2, Ready()))
    play.pass_time(30.0)
    assert not [c for c in _memory(play, 1000) if isinstance(c, co.Spawn)], "not calm yet"
    play.pass_time(31.0)
    assert [c.slot for c in _memory(play, 1000) if isinstance(c, co.Spawn)] == [3]
    assert play.machine.run.shedding.ceiling is None


def test_processes_and_descriptors_run_short_as_memory_does() -> None:
    """Whatever a worker takes is watched; what cannot be measured is not."""
    for resource, amount in (("processes", 100), ("descriptors", 20)):
        play = Playbook.working(*_MANY, workers=2)
        play.take(ev.MachineMeasured({**_PLENTY, resource: amount}))
        assert play.machine.run.slots[2].recycle
        assert resource in play.machine.run.shedding.short[resource]
    play = Playbook.working(*_MANY, workers=2)
    play.take(ev.MachineMeasured({"memory": 8_000_000_000}))
    assert not play.machine.run.shedding.short


def test_a_crash_on_a_machine_that_is_short_is_not_the_references() -> None:
    """The kernel may have killed its browser: no charge, no step towards poison, a bounded number of times."""
    play = Playbook.working("A", workers=1)
    _memory(play, 200)
    counted: list[bool] = []
    while play.totals()[4] == 0 and len(counted) < 30:
        play.take(play.exited(1, -9))
        (record,) = records(play.take(play.gone(1)), AttemptFailed)
        counted.append(record.counted)
        assert not record.crashed
        while play.totals()[4] == 0 and not play.attempt(1):
            if play.state(1) == "starting":
                play.take(play.of(1, Ready()))
            elif play.machine.run.slots[1].errand:
                play.take(play.of(1, LoggedIn(play.machine.run.slots[1].errand, b"s")))
            play.pass_time(1.0)
    assert counted == [False] * 10 + [True] * 3


def test_a_run_that_ends_sheds_nobody() -> None:
    """They are leaving anyway."""
    play = Playbook.working(*_MANY, workers=2)
    play.take(ev.StopRequested(at_once=False, reason="enough"))
    assert [c for c in _memory(play, 10) if isinstance(c, co.Kill)] == []


def test_workers_that_are_killed_while_they_log_in_end_no_run_as_long_as_the_machine_is_short() -> None:
    """It will have room again; with room, three logins in a row that come to nothing end the run as ever."""
    play = Playbook.new(*_MANY, workers=1)
    play.take(ev.TimePassed())
    _memory(play, 100)
    for megabytes, ended in ((100, False), (100, False), (100, False), (8_000, True)):
        _memory(play, megabytes)
        while not play.machine.run.slots[1].errand:
            if play.state(1) == "starting":
                play.take(play.of(1, Ready()))
            play.pass_time(1.0)
        play.take(play.exited(1))
        play.take(play.gone(1))
        assert (play.machine.run.ending is not None) == ended
