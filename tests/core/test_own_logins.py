"""Logins of each worker's own, where a site ties a session to one browser."""

import msgspec
import pytest

from supervisor.core import events as ev
from supervisor.core.records import AttemptSucceeded, SuccessDoubted
from tests.core.playbook import QUIET, Playbook, assigned, entries, records, sent
from worker.protocol import ErrandFailed, InventoryExported, Kind, LogIn, Ready, UseSession

_OWN = msgspec.structs.replace(QUIET, own_logins=True)


def _two_at_work(references: int) -> Playbook:
    """Return a run in which two workers have logged in and have a reference each."""
    play = Playbook.new(*(f"R{number}" for number in range(references)), workers=2, policy=_OWN)
    play.take(ev.TimePassed())
    for slot in (1, 2):
        play.take(play.of(slot, Ready()))
    for slot in (1, 2):
        play.log_in(slot)
    return play


def _fail_to_log_in(play: Playbook, slot: int = 1) -> None:
    errand = play.machine.run.slots[slot].errand
    if errand:
        play.take(play.of(slot, ErrandFailed(errand, Kind.LOGIN_FAILED, "no", ready=True)))


def test_each_worker_logs_in_for_itself_one_after_the_other() -> None:
    """Nobody gets another's session, and whoever is logged in works while the next one logs in."""
    play = Playbook.new("A", "B", "C", "D", workers=2, policy=_OWN)
    play.take(ev.TimePassed())
    assert sent(play.take(play.of(1, Ready())), LogIn)
    assert play.take(play.of(2, Ready())) == []
    commands = play.log_in(1)
    assert assigned(commands) == ["A"]
    assert [slot for slot, _ in sent(commands, LogIn)] == [2]
    commands = play.log_in(2)
    assert assigned(commands) == ["B"]
    assert not sent(commands, UseSession)


def test_a_lost_session_of_ones_own_is_renewed_by_its_worker_while_the_others_work() -> None:
    """And what the others fetch is not in doubt."""
    play = Playbook.new("A", "B", "C", "D", "E", workers=2, policy=_OWN)
    play.take(ev.TimePassed())
    for slot in (1, 2):
        play.take(play.of(slot, Ready()))
    for slot in (1, 2):
        play.log_in(slot)
    commands = play.after(1.0).lose_session(1)
    assert [slot for slot, _ in sent(commands, LogIn)] == [1]
    commands = play.after(1.0).succeed(2)
    assert records(commands, AttemptSucceeded)
    assert not records(commands, SuccessDoubted)
    assert len(assigned(commands)) == 1


def test_the_next_worker_of_a_slot_goes_on_with_its_session() -> None:
    """A fresh process needs no fresh login."""
    play = Playbook.new("A", "B", "C", workers=1, policy=_OWN)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    play.log_in(1)
    play.take(play.exited(1))
    play.take(play.gone(1))
    commands = play.take(play.of(1, Ready()))
    assert sent(commands, UseSession)
    assert not sent(commands, LogIn)


@pytest.mark.parametrize("alone_after", [100, 2], ids=["without-rest", "one-worked-alone-for-long"])
def test_logins_that_end_each_other_are_recognised(alone_after: int) -> None:
    """Each worker logs in by itself, and the site allows one session an account: exit 3, with advice.

    That a session lives long while the other worker has a long reference speaks for nobody: no other login came.
    """
    play = _two_at_work(30)
    loser = 1
    for losses in range(2 * _OWN.stolen_sessions + 1):
        if play.machine.run.ending is not None:
            break
        play.after(2.0).lose_session(loser)
        play.after(1.0).log_in(loser)
        play.after(1.0).succeed(loser)
        if losses == alone_after:
            play.after(_OWN.stolen_window).succeed(loser)
            play.after(1.0).succeed(loser)
        loser = 3 - loser
    ending = play.machine.run.ending
    assert ending is not None
    assert ending.code == 3
    assert "one session an account" in ending.reason


def test_the_session_of_a_worker_that_has_left_keeps_no_run_waiting_for_a_login() -> None:
    """When the others fail to log in for as long as an outage may last, the run ends: exit 3."""
    play = _two_at_work(30)
    play.take(ev.ScaleRequested(1))
    play.after(1.0).succeed(2)
    play.take(play.exited(2, 0))
    play.take(play.gone(2))
    play.after(1.0).lose_session(1)
    begin = play.now
    while play.machine.run.ending is None:
        _fail_to_log_in(play)
        play.pass_time(60.0)
        assert play.now < begin + 2 * _OWN.outage_limit
    assert play.machine.run.ending.reason == "nobody could log in for 10800 s"


def test_as_long_as_one_worker_is_served_the_logins_of_another_may_fail() -> None:
    """Its own trouble costs a worker, and not the run."""
    play = _two_at_work(600)
    play.after(1.0).lose_session(1)
    begin = play.now
    while play.now < begin + 2 * _OWN.outage_limit:
        _fail_to_log_in(play)
        play.after(50.0).succeed(2)
    assert play.machine.run.ending is None


def test_one_moment_that_ends_every_workers_session_is_no_sign_of_logins_that_end_each_other() -> None:
    """A site that restarts soon after the logins ends as many sessions as there are workers, once."""
    policy = msgspec.structs.replace(QUIET, own_logins=True, stolen_sessions=3)
    play = Playbook.new(*(f"R{number}" for number in range(12)), workers=5, policy=policy)
    play.take(ev.TimePassed())
    for slot in range(1, 6):
        play.take(play.of(slot, Ready()))
    for slot in range(1, 6):
        play.after(1.0).log_in(slot)
    for slot in range(1, 6):
        play.after(1.0).lose_session(slot)
    for slot in range(1, 6):
        play.after(1.0).log_in(slot)
    play.after(1.0).succeed_all()
    assert play.machine.run.ending is not None
    assert "taken away" not in play.machine.run.ending.reason


@pytest.mark.parametrize("comes", [True, False])
def test_an_export_that_comes_at_last_ends_what_everybody_tried(*, comes: bool) -> None:
    """Two workers, each with a session of its own, fail to export the inventory for long.

    When one of them brings it, the other has nothing more to try; when none does, the run says what it waited for.
    """
    policy = msgspec.structs.replace(_OWN, outage_limit=1800.0, retry_delay=200.0)
    play = Playbook.new(workers=2, policy=policy, has_inventory=False)
    play.take(ev.TimePassed())
    for slot in (1, 2):
        play.take(play.of(slot, Ready()))
    while not play.machine.run.inventory_known and play.machine.run.ending is None:
        play.pass_time(60.0)
        for slot in (1, 2):
            errand = play.machine.run.slots[slot].errand
            if errand and not play.machine.run.sessions.of(slot).valid:
                play.log_in(slot)
            elif errand and comes and play.now > policy.outage_limit - 200.0:
                play.take(play.of(slot, InventoryExported(errand, "i.csv", "Stock", ",", "utf-8")))
                play.after(200.0).take(ev.InventoryLoaded(entries("A", "B", "C")))
            elif errand:
                play.take(play.of(slot, ErrandFailed(errand, Kind.DOCUMENT_INVALID, "no", ready=True)))
    ending = play.machine.run.ending
    assert (ending is None) == comes
    assert ending is None or ending.reason == "nobody could export the inventory for 1800 s"


def test_the_failed_login_of_a_worker_that_has_left_ends_no_run() -> None:
    """Another one works and has a session, though nothing comes of what it tries: nobody looks for a login."""
    policy = msgspec.structs.replace(_OWN, outage_limit=1800.0)
    play = Playbook.new(*(f"R{number}" for number in range(200)), workers=2, policy=policy)
    play.take(ev.TimePassed())
    for slot in (1, 2):
        play.take(play.of(slot, Ready()))
    play.log_in(1)
    _fail_to_log_in(play, 2)
    play.take(ev.ScaleRequested(1))
    play.take(play.exited(2, 0))
    play.take(play.gone(2))
    while play.now < 2 * policy.outage_limit:
        play.after(60.0).take(play.failed(1, Kind.RECIPE_ERROR))
        assert play.machine.run.ending is None
