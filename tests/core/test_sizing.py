"""The core follows the policy that looks for the best number of workers, and the operator before it."""

import msgspec

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.fleet import SlotState
from tests.core.playbook import QUIET, Playbook
from worker.protocol import Kind, Ready, ShutDown

_MANY = tuple(f"R{number}" for number in range(3000))
_AUTO = msgspec.structs.replace(QUIET, auto_workers=(1, 8))
_IDLE = {"memory": 64_000_000_000, "processes": 20_000, "descriptors": 60_000}


def _working(**changes: object) -> Playbook:
    policy = msgspec.structs.replace(_AUTO, **changes)
    return Playbook.working(*_MANY, workers=1, policy=policy)


def _wanted(play: Playbook) -> int:
    assert play.machine.run.scaling is not None
    return play.machine.run.scaling.wanted


def _said(play: Playbook) -> str:
    """Return the last sentence about the number of workers."""
    return [one.text for one in play.said if one.incident == "scaled"][-1]


def _live(play: Playbook, seconds: float, capacity: int, each: float = 2.0) -> None:
    """Let workers start and leave when they are told to, and `capacity` references come in `each` seconds."""
    end = play.now + seconds
    while play.now < end:
        play.pass_time(each)
        busy = [slot for slot in play.machine.run.slots if play.attempt(slot)]
        # The site takes its turns, so that nobody waits longer than the others.
        busy.sort(key=lambda slot: play.machine.run.slots[slot].since)
        for slot in busy[:capacity]:
            play.succeed(slot)
        for slot in list(play.machine.run.slots):
            match play.machine.run.slots[slot].state:
                case SlotState.STARTING:
                    play.take(play.of(slot, Ready()))
                case SlotState.LEAVING:
                    play.take(play.exited(slot, 0))
                    play.take(play.gone(slot))
                case _:
                    pass


def test_the_fleet_grows_while_more_come_and_stays_where_they_do_not() -> None:
    """Each change is in the night's history with its reason; a worker that is let go finishes what it holds."""
    play = _working()
    assert len(play.machine.run.slots) == 1
    _live(play, 1200.0, capacity=3)
    assert _wanted(play) == 3
    states = [slot.state for slot in play.machine.run.slots.values()]
    assert states.count(SlotState.BUSY) == 3
    assert SlotState.RETIRED in states, "more were tried"
    assert "scaled" in play.incidents
    assert not play.totals()[4]
    said = [one.text for one in play.said if one.incident == "scaled"]
    assert said[0].startswith("1 → 2 workers: 1 brings ")
    assert any(" documents a minute more than 2" in text for text in said), said


def test_a_429_takes_workers_away_at_once_and_that_many_are_not_tried_again_soon() -> None:
    """The pause that the site asks for is one thing, the number of workers after it another."""
    play = _working()
    _live(play, 300.0, capacity=8)
    before = _wanted(play)
    assert before >= 4
    slot = next(slot for slot in play.machine.run.slots if play.attempt(slot))
    play.pass_time(20.0)
    play.succeed(slot)
    play.take(play.failed(slot, Kind.RATE_LIMITED, retry_after=5.0))
    assert _wanted(play) <= 0.7 * before
    assert _said(play).endswith("the site answers 429, too many requests")
    after = _wanted(play)
    for other in list(play.machine.run.slots):
        if play.attempt(other):
            play.take(play.failed(other, Kind.RATE_LIMITED, retry_after=5.0))
    assert _wanted(play) == after, "what was handed out before tells nothing of the smaller fleet"
    _live(play, 400.0, capacity=8)
    assert after < _wanted(play) < before


def test_the_operator_knows_better() -> None:
    """After `scale` the number stays as told, and the log says that it does."""
    play = _working()
    play.take(ev.ScaleRequested(2))
    assert _said(play) == "the operator wants 2 workers, and they are no longer scaled automatically"
    _live(play, 600.0, capacity=8)
    assert len([slot for slot in play.machine.run.slots.values() if not slot.retiring]) == 2
    play.take(ev.ScaleRequested(3))
    assert _said(play) == "the operator wants 3 workers"


def test_memory_and_processor_decide_how_many_more_are_tried() -> None:
    """Memory by what a worker takes; the processor only after several measurements alike."""
    play = _working()
    play.take(ev.MachineMeasured({**_IDLE, "memory": 600_000_000}, idle=0.9))
    _live(play, 200.0, capacity=8)
    assert _wanted(play) == 1, "there is no room for one more"
    play = _working()
    for idle in (0.01, 0.01, 0.9, 0.01, 0.01):
        play.take(ev.MachineMeasured(_IDLE, idle=idle))
    assert not play.machine.run.shedding.processor_busy
    play.take(ev.MachineMeasured(_IDLE, idle=0.01))
    assert play.machine.run.shedding.processor_busy
    for idle in (0.5, 0.1, 0.5, 0.5):
        play.take(ev.MachineMeasured(_IDLE, idle=idle))
    assert play.machine.run.shedding.processor_busy
    play.take(ev.MachineMeasured(_IDLE, idle=0.5))
    assert not play.machine.run.shedding.processor_busy


def test_pauses_outages_and_the_end_of_a_run_say_nothing_about_the_number() -> None:
    """Only a time in which work is handed out freely is measured."""
    play = _working()
    _live(play, 20.0, capacity=8)
    play.take(ev.PauseRequested("operator", "lunch"))
    _live(play, 900.0, capacity=8)
    assert _wanted(play) == 1
    few = Playbook.working("A", "B", "C", workers=3, policy=msgspec.structs.replace(_AUTO, auto_workers=(3, 8)))
    few.pass_time(600.0)
    assert _wanted(few) == 3
    play.take(ev.ResumeRequested("operator"))
    play.take(ev.LoopStalled(50.0))
    _live(play, 300.0, capacity=8)
    assert _wanted(play) > 1


def test_a_worker_that_leaves_for_a_smaller_fleet_is_asked_to_and_not_killed() -> None:
    """Down is as gentle as the operator's own."""
    play = _working(auto_workers=(1, 2))
    sent = []
    take = play.take

    def listening(event: ev.Event) -> list[co.Command]:
        commands = take(event)
        sent.extend(commands)
        return commands

    play.take = listening  # type: ignore[method-assign]
    _live(play, 600.0, capacity=1)
    assert _wanted(play) == 1
    assert [one.slot for one in sent if isinstance(one, co.Send) and one.message == ShutDown()] == [2]
    assert not [one for one in sent if isinstance(one, co.Kill) and one.reason != "left"]
