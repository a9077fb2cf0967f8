"""Pause, resume, scale, restart, retry, stop once and twice."""

import msgspec
import pytest

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.backlog import Backlog
from supervisor.core.fleet import SlotState
from supervisor.core.machine import Machine
from supervisor.core.records import AttemptFailed, Entry
from supervisor.core.state import Stage
from tests.core.playbook import QUIET, Playbook, assigned, entries, finish, records
from worker.protocol import Kind, LoggedIn, Ready, ShutDown


def test_a_pause_lets_what_is_in_flight_finish_and_hands_out_nothing() -> None:
    """Every cause must be over before it goes on."""
    play = Playbook.working(*"ABCDE")
    play.take(ev.PauseRequested("operator", "lunch"))
    play.take(ev.PauseRequested("disk", "3 MB are free"))
    assert assigned(play.succeed(1)) == []
    assert play.incidents[-2:] == ["paused", "halted"]
    play.take(ev.ResumeRequested("operator"))
    assert assigned(play.succeed(2)) == []
    assert assigned(play.take(ev.ResumeRequested("disk"))) == ["C", "D"]
    assert play.take(ev.ResumeRequested("disk")) == []


def test_scaling_down_retires_the_last_slots_when_they_are_done() -> None:
    """What they hold is finished first; scaling up again takes them back."""
    play = Playbook.working(*"ABCDEFGH", workers=3)
    assert play.take(ev.ScaleRequested(1)) == []
    assert [c for c in play.succeed(3) if isinstance(c, co.Send)] == [co.Send(3, 3, ShutDown())]
    play.take(play.exited(3, 0))
    play.take(play.gone(3))
    assert play.state(3) == "retired"
    assert play.state(2) == "busy"
    commands = play.take(ev.ScaleRequested(4))
    assert [(c.slot) for c in commands if isinstance(c, co.Spawn)] == [3, 4]
    assert len(assigned(play.succeed(2))) == 1


def test_a_restart_waits_for_the_reference_in_hand() -> None:
    """A fresh process, and nobody loses anything; unknown slots are ignored."""
    play = Playbook.working(*"ABCD")
    assert play.take(ev.RestartRequested(1)) == []
    assert play.take(ev.RestartRequested(99)) == []
    assert co.Send(1, 1, ShutDown()) in play.succeed(1)


def test_a_stop_hands_out_nothing_more_and_waits() -> None:
    """Exit 3 when what is in flight is done."""
    play = Playbook.working(*"ABCD")
    assert play.take(ev.StopRequested(False, "stopped by the operator")) == []
    assert co.Send(1, 1, ShutDown()) in play.succeed(1)
    play.take(play.failed(2, Kind.TIMEOUT))
    commands = []
    for slot in (1, 2):
        play.take(play.exited(slot, 0))
        commands += play.take(play.gone(slot))
    assert finish(commands) == co.Finish(3, "stopped by the operator")
    assert play.machine.run.stage is Stage.FINISHED
    assert play.take(ev.StopRequested(True, "again")) == []


def test_a_stop_dismisses_those_that_hold_nothing() -> None:
    """Starting, recovering and logging in are not waited for."""
    play = Playbook.working(*"ABCD", workers=3)
    play.take(play.exited(3))
    play.take(play.gone(3))
    play.take(play.failed(2, Kind.PAGE_HUNG, ready=False))
    commands = play.take(ev.StopRequested(False, "stopped by the operator"))
    assert [(c.slot, c.evidence) for c in commands if isinstance(c, co.Kill)] == [(2, False), (3, False)]


def test_a_second_stop_waits_for_nobody_and_charges_nobody() -> None:
    """Every tree is killed; what was in flight goes back uncounted when its tree is dead."""
    play = Playbook.working(*"ABCD")
    play.take(ev.StopRequested(False, "stopped by the operator"))
    commands = play.take(ev.StopRequested(True, "stopped by the operator, at once"))
    assert [c.slot for c in commands if isinstance(c, co.Kill)] == [1, 2]
    assert play.take(ev.TimePassed()) == []
    (record,) = records(play.take(play.gone(1)), AttemptFailed)
    assert (record.kind, record.counted, record.retry_in) == (Kind.INTERRUPTED, False, 0.0)
    assert finish(play.take(play.gone(2))).code == 3
    assert play.totals() == (4, 0, 0, 0, 0)


def test_a_stop_charges_nobody_however_often_a_reference_came_back() -> None:
    """A reference that has used up its free returns does not pay for the operator's stop."""
    play = Playbook.working("A", workers=1)
    for _ in range(QUIET.free_returns):
        play.take(play.failed(1, Kind.SESSION_EXPIRED))
        play.take(play.of(1, LoggedIn(play.machine.run.slots[1].errand, b"again")))
    assert play.attempt(1)
    play.take(ev.StopRequested(True, "stopped by the operator, at once"))
    (record,) = records(play.take(play.gone(1)), AttemptFailed)
    assert (record.kind, record.counted) == (Kind.INTERRUPTED, False)


def test_a_stop_at_the_very_end_changes_nothing() -> None:
    """When everything is finished all the same, the run says so."""
    play = Playbook.working("A", workers=1)
    play.take(ev.StopRequested(False, "stopped by the operator"))
    play.succeed(1)
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))).code == 0


def test_a_stop_while_the_last_workers_leave_is_kept_when_references_are_reopened() -> None:
    """The run was finished, somebody stopped it, somebody else reopened a reference: it stops, resumable."""
    play = Playbook.working("A", workers=1)
    play.take(play.failed(1, Kind.NOT_FOUND))
    play.take(ev.StopRequested(False, "stopped by the operator"))
    play.take(ev.RetryRequested((Entry(1, "A"),)))
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))) == co.Finish(3, "stopped by the operator")


def test_a_stop_before_anything_started() -> None:
    """Nobody is there, nothing is to be waited for."""
    play = Playbook.new("A", entries=entries("A"))
    assert play.take(ev.StopRequested(True, "stopped by the operator")) == [co.Finish(3, "stopped by the operator")]


def test_retrying_a_reference_begins_anew() -> None:
    """With no attempt counted, and at the end of the queue."""
    play = Playbook.working("A", "B", "C")
    play.take(play.failed(1, Kind.NOT_FOUND))
    assert play.totals() == (0, 0, 2, 0, 1)
    play.take(ev.RetryRequested((Entry(1, "A"),)))
    assert play.totals() == (1, 0, 2, 0, 0)
    assert assigned(play.succeed(1)) == ["A"]
    assert play.reference(1).attempts == 1


def test_the_invariants_notice_what_must_never_be() -> None:
    """Each check fails on the state that it is there for."""

    def fresh() -> Playbook:
        return Playbook.working("A", "B", "C")

    play = fresh()
    play.machine.run.queue.in_progress = 1
    play.machine.run.queue._known -= 1
    _notices(play, "2 live attempts, 1 references")
    play = fresh()
    play.machine.run.slots[1].attempt = 9
    _notices(play, "slot 1 is busy with attempt 9")
    play = fresh()
    play.machine.run.slots[1].attempt = 0
    _notices(play, "slot 1 is busy with nothing")
    play = fresh()
    play.machine.run.slots[1].errand = 3
    _notices(play, "with errand 3")
    play = fresh()
    play.reference(1).state = play.machine.run.queue._ready[0].state
    _notices(play, "is not in progress")
    play = fresh()
    play.reference(1).attempts = 4
    _notices(play, "is not allowed")
    play = fresh()
    play.machine.run.attempts[1].reference = play.machine.run.attempts[2].reference
    _notices(play, "not one a reference")


def _notices(play: Playbook, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        play.machine.check_invariants()


def test_bugs_of_ours_are_not_hidden() -> None:
    """A deadline in a state that has none, a kill without a verdict, an end without a reason."""
    play = Playbook.working("A", "B")
    slot = play.machine.run.slots[1]
    play.take(play.exited(1))
    play.machine.run.attempts[1].verdict = None
    with pytest.raises(AssertionError, match="without a verdict"):
        play.take(play.gone(1))
    play = Playbook.new("A", workers=1)
    slot = play.machine.run.slots[1]
    slot.deadline, slot.state = 0.0, SlotState.RETIRED
    with pytest.raises(AssertionError, match="which has no deadline"):
        play.take(ev.TimePassed())
    machine = Machine(QUIET, 1, Backlog(), 0.0)
    machine.run.stage = Stage.DRAINING
    with pytest.raises(AssertionError, match="without a reason"):
        machine.handle(ev.TimePassed(), 0.0)


def test_what_the_shell_noticed_is_in_the_nights_history_and_in_the_log() -> None:
    """It changes nothing else."""
    play = Playbook.working(*"AB")
    before = play.totals()
    assert play.take(ev.Alerted("late", "it will not be done by 06:00", "WARNING")) == []
    assert play.incidents[-1] == "late"
    assert play.said[-1] == co.Say("WARNING", "it will not be done by 06:00", incident="late")
    assert play.totals() == before


def test_a_reference_says_what_it_is() -> None:
    """Failures of the checks are read by people."""
    play = Playbook.working("A", workers=1)
    assert repr(play.machine.run.attempts[1]) == "attempt 1 at 'A'"
    assert play.take(play.of(1, Ready())) == []
    assert msgspec.structs.replace(QUIET, max_retries=1).max_retries == 1
