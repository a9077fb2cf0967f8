"""Limits for the whole fleet: references a minute, requests a minute to one host; whose turn it is; restarts."""

from itertools import pairwise

import msgspec
import pytest

from supervisor.core import events as ev
from supervisor.core.pace import Pace
from supervisor.core.policy import Policy
from tests.core.playbook import QUIET, Playbook, assigned, entries
from worker.protocol import Heartbeat, Kind, LoggedIn, Ready

_MANY = tuple(f"R{number}" for number in range(200))


def _limited(**limits: int) -> Policy:
    return msgspec.structs.replace(QUIET, **limits)


def _starts(play: Playbook, seconds: float) -> list[float]:
    """Let everything succeed at once for so many seconds; return when references went out."""
    starts, end = [play.now] * len([slot for slot in play.machine.run.slots if play.attempt(slot)]), play.now + seconds
    while play.now < end:
        for slot in list(play.machine.run.slots):
            if play.attempt(slot):
                starts += [play.now] * len(assigned(play.succeed(slot)))
        play.now = min(play.machine.next_deadline(), play.now + 0.5)
        starts += [play.now] * len(assigned(play.take(ev.TimePassed())))
    return starts


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_never_more_references_than_allowed_in_any_minute_and_no_fewer_over_ten(limit: int) -> None:
    """However fast the workers are, every window of a minute holds the limit, and the limit is used."""
    play = Playbook.working(*_MANY, workers=3, policy=_limited(references_per_minute=limit))
    starts = _starts(play, 600.0 if limit < 30 else 300.0)
    for first in starts:
        assert len([start for start in starts if first <= start < first + 59.999]) <= limit
    assert len(starts) >= limit * (play.now / 60.0) * 0.9


def test_a_minutes_share_is_not_used_up_in_its_first_seconds() -> None:
    """No two go out closer than half of their even distance."""
    play = Playbook.working(*_MANY, workers=5, policy=_limited(references_per_minute=60))
    starts = _starts(play, 60.0)
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 0.499


def test_a_restart_does_not_begin_a_new_minute() -> None:
    """What was started before the restart counts, for as long as a minute is."""
    policy = _limited(references_per_minute=3)
    play = Playbook.new(*_MANY, workers=2, policy=policy, started=(50.0, 30.0, 10.0))
    play.take(ev.TimePassed())
    for slot in (1, 2):
        play.take(play.of(slot, Ready()))
    assert assigned(play.take(play.of(1, LoggedIn(1, b"session")))) == []
    assert len(assigned(play.pass_time(9.9))) == 0
    assert len(assigned(play.pass_time(0.2))) == 1
    assert len(assigned(play.pass_time(19.0))) == 0
    assert len(assigned(play.pass_time(1.0))) == 1


def test_whoever_has_waited_longest_gets_the_next_reference() -> None:
    """With a limit that one worker could use up, all get their share."""
    play = Playbook.working(*_MANY, workers=4, policy=_limited(references_per_minute=12))
    seen = []
    for _ in range(40):
        play.pass_time(5.0)
        for slot in (1, 2, 3, 4):
            if play.attempt(slot):
                seen.append(slot)
                play.succeed(slot)
    assert {seen.count(slot) for slot in (1, 2, 3, 4)} <= {10, 11, 12}


def test_a_hand_out_that_the_ledger_kept_back_counts_from_when_it_left() -> None:
    """Otherwise those of two minutes would go out in one."""
    play = Playbook.working(*_MANY, workers=2, policy=_limited(references_per_minute=2))
    play.pass_time(15.0)
    assert play.attempt(1)
    assert play.attempt(2)
    play.after(55.0)
    play.take(ev.SendDelayed(2, play.incarnation(2), 55.0))
    assert assigned(play.succeed(1)) == []
    assert assigned(play.pass_time(14.9)) == []
    assert len(assigned(play.pass_time(0.2))) == 1
    play.succeed(1)
    assert assigned(play.pass_time(44.0)) == []
    assert len(assigned(play.pass_time(2.0))) == 1


def _ask(play: Playbook, slot: int, **requests: int) -> None:
    play.take(play.of(slot, Heartbeat(play.attempt(slot), "", 0.0, requests)))


def test_the_first_reference_shows_what_one_takes() -> None:
    """Until it is answered nobody knows, so the others wait."""
    play = Playbook.working(*_MANY, workers=3, policy=_limited(requests_per_minute=240))
    assert [play.attempt(slot) > 0 for slot in (1, 2, 3)] == [True, False, False]
    _ask(play, 1, site=30, cdn=2)
    assert len(assigned(play.succeed(1))) == 1  # 30 of the 60 that may be saved up are left: room for one
    assert len(assigned(play.pass_time(7.0))) == 0
    assert len(assigned(play.pass_time(1.0))) == 1  # 4 a second: 30 more after 7.5 s


def test_requests_to_one_host_hold_everybody_back_until_there_is_room() -> None:
    """Over ten minutes the limit holds, and it is used, whatever a reference takes; other hosts do not matter."""
    play = Playbook.working(*_MANY, workers=4, policy=_limited(requests_per_minute=120))
    asked = 0
    while play.now < 600.0:
        for slot in range(1, 5):
            if play.attempt(slot):
                _ask(play, slot, site=8)
                _ask(play, slot, site=4, other=3)
                asked += 12
                play.succeed(slot)
        play.pass_time(1.0)
    assert 0.9 * 1200 <= asked <= 1200 + 30 + 12


def test_a_reference_that_takes_more_than_is_ever_saved_up_still_goes_out() -> None:
    """The account is overdrawn by it, and fills before the next: the limit holds over the minutes."""
    play = Playbook.working(*_MANY, workers=2, policy=_limited(requests_per_minute=20))
    times = []
    while play.now < 1200.0:
        for slot in (1, 2):
            if play.attempt(slot):
                times.append(play.now)
                _ask(play, slot, site=50)
                play.succeed(slot)
        play.pass_time(1.0)
    assert 7 <= len(times) <= 9


def test_a_dead_workers_requests_count_but_teach_nothing() -> None:
    """It may have died in the middle of its work."""
    play = Playbook.working(*_MANY, workers=2, policy=_limited(requests_per_minute=400))
    _ask(play, 1, site=1)
    play.take(play.exited(1))
    assert assigned(play.take(play.gone(1)))
    assert assigned(play.pass_time(0.5)) == []
    slot = 2
    _ask(play, slot, site=40)
    assert len(assigned(play.succeed(slot))) == 1
    assert play.attempt(2)


def test_after_a_restart_nothing_counts_as_saved_up() -> None:
    """Nobody knows any more what was asked in the last minute."""
    pace = Pace(_limited(requests_per_minute=60), (5.0,), 100.0)
    pace.started(1, 100.0)
    pace.asked(1, {"site": 3}, 100.0)
    pace.ended(1, answered=True)
    assert pace.wait(100.0) == pytest.approx(6.0)
    fresh = Pace(_limited(requests_per_minute=60), (), 100.0)
    fresh.started(1, 100.0)
    fresh.asked(1, {"site": 3}, 100.0)
    fresh.ended(1, answered=True)
    assert fresh.wait(100.0) == 0.0


def test_hosts_beyond_any_number_are_not_remembered() -> None:
    """What a worker reports is not to be trusted to be small."""
    pace = Pace(_limited(requests_per_minute=60), (), 0.0)
    pace.started(1, 0.0)
    for number in range(1000):
        pace.asked(1, {f"host{number}": 1}, 0.0)
    pace.ended(1, answered=True)
    assert len(pace._hosts) == 256


def test_quiet_hours_are_a_pause_that_holds_beside_others() -> None:
    """The operator's resume does not end them, nor does their end a pause of the operator's; no outage is counted."""
    play = Playbook.working(*_MANY, workers=2)
    play.take(ev.PauseRequested("quiet hours", "quiet hours until 09:00"))
    play.take(ev.PauseRequested("operator", "lunch"))
    assert play.succeed(1)
    play.take(ev.ResumeRequested("operator"))
    play.take(play.failed(2, Kind.NETWORK))
    assert play.pass_time(7200.0) == []
    assert len(assigned(play.take(ev.ResumeRequested("quiet hours")))) == 2


def test_limits_do_not_hold_back_what_ends_the_run() -> None:
    """With nothing left to hand out the run ends at once."""
    play = Playbook.working("A", policy=_limited(references_per_minute=1), entries=entries("A"))
    play.succeed(1)
    assert play.machine.run.ending is not None
