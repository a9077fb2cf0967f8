"""Sessions: logins of each worker's own, sessions that are stolen, documents that no later proof has confirmed."""

import pytest

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.records import AttemptFailed, AttemptSucceeded, SuccessDoubted
from tests.core.playbook import DOCUMENT, QUIET, Playbook, assigned, finish, records, sent
from worker.protocol import (
    ErrandFailed,
    Kind,
    LogIn,
    ProveSession,
    Ready,
    SessionProven,
    ShutDown,
    Succeeded,
)


# ------------------------------------------------------------------------------------------- what no proof confirmed
def test_what_was_fetched_after_the_last_proof_of_a_lost_session_is_fetched_again() -> None:
    """B came before a later attempt proved the session; C came after it, and nobody knows on which side of the end."""
    play = Playbook.working("A", "B", "C", "D", "E", workers=2)
    play.after(1.0).succeed(2)  # B; the worker goes on with C
    play.after(1.0).succeed(2)  # C began after B was there, and proves it
    commands = play.after(1.0).lose_session(1)  # A meets the login page
    assert [record.ref_id for record in records(commands, SuccessDoubted)] == [3]
    (withdrawn,) = [command for command in commands if isinstance(command, co.Withdraw)]
    assert (withdrawn.ref_id, withdrawn.ref) == (3, "C")
    assert play.totals() == (3, 0, 1, 1, 0)
    (_, login), *_ = sent(commands, LogIn)
    assert isinstance(login, LogIn)


def test_what_was_in_flight_when_the_session_was_found_gone_is_not_published() -> None:
    """Nobody knows what the site sent; the reference goes back uncounted."""
    play = Playbook.working("A", "B", "C", workers=2)
    play.after(1.0).lose_session(1)
    attempt = play.attempt(2)
    commands = play.after(1.0).take(play.of(2, Succeeded(attempt, (DOCUMENT,))))
    (record,) = records(commands, AttemptFailed)
    assert (record.kind, record.counted) == (Kind.SESSION_EXPIRED, False)
    assert not [command for command in commands if isinstance(command, co.Publish)]


def test_what_was_being_published_meanwhile_is_fetched_again() -> None:
    """It is in place by then, and does not count."""
    play = Playbook.working("A", "B", "C", workers=2)
    attempt = play.attempt(2)
    play.after(1.0).take(play.of(2, Succeeded(attempt, (DOCUMENT,))))
    play.after(1.0).lose_session(1)
    commands = play.take(ev.Published(attempt, (DOCUMENT,)))
    kinds = [type(c.record) for c in commands if isinstance(c, co.Write)]
    assert kinds.index(SuccessDoubted) > kinds.index(AttemptSucceeded)
    assert play.totals()[3] == 0


def test_a_recipe_that_never_looks_for_the_mark_proves_nothing() -> None:
    """A success counts as proof only when the worker saw a page for who is logged in."""
    play = Playbook.working("A", "B", "C", "D", workers=1)
    for _ in range(2):
        play.now += 1.0
        attempt = play.attempt(1)
        play.take(play.of(1, Succeeded(attempt, (DOCUMENT,), proven=False)))
        play.take(ev.Published(attempt, (DOCUMENT,)))
    play.now += 1.0
    assert [record.ref_id for record in records(play.lose_session(1), SuccessDoubted)] == [1, 2]


def test_a_run_ends_with_a_proof_of_what_was_fetched_last() -> None:
    """One worker opens the inventory once more; the others leave meanwhile."""
    play = Playbook.working("A", "B", workers=2)
    assert play.after(1.0).succeed(1)
    commands = play.after(1.0).succeed(2)
    ((slot, proof),) = sent(commands, ProveSession)
    assert slot == 1
    assert isinstance(proof, ProveSession)
    assert sent(commands, ShutDown) == [(2, ShutDown())]
    commands = play.take(play.of(1, SessionProven(proof.errand)))
    assert sent(commands, ShutDown) == [(1, ShutDown())]
    for number in (1, 2):
        play.take(play.exited(number, 0))
        commands = play.take(play.gone(number))
    assert finish(commands).code == 0
    assert "unproven" not in play.incidents


def test_a_last_proof_that_meets_the_login_page_has_the_last_ones_fetched_again() -> None:
    """The run goes on with a new login."""
    play = Playbook.working("A", workers=1)
    ((_, proof),) = sent(play.after(1.0).succeed(1), ProveSession)
    assert isinstance(proof, ProveSession)
    commands = play.take(play.of(1, ErrandFailed(proof.errand, Kind.SESSION_EXPIRED, "gone", ready=True)))
    assert len(records(commands, SuccessDoubted)) == 1
    assert sent(commands, LogIn)
    assert assigned(play.log_in(1)) == ["A"]


def test_a_proof_that_cannot_be_had_is_said_and_ends_nothing_badly() -> None:
    """Three tries; then the run ends as it would have, and the history says what is not confirmed."""
    play = Playbook.working("A", workers=1)
    commands = play.after(1.0).succeed(1)
    for _ in range(3):
        ((_, proof),) = sent(commands, ProveSession)
        assert isinstance(proof, ProveSession)
        commands = play.take(play.of(1, ErrandFailed(proof.errand, Kind.NETWORK, "no", ready=True)))
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))).code == 0
    assert "unproven" in play.incidents


# ------------------------------------------------------------------------------------------------- stolen sessions
@pytest.mark.parametrize("thefts", [2, QUIET.stolen_sessions])
def test_a_session_taken_away_again_and_again_stops_the_run_and_twice_does_not(thefts: int) -> None:
    """Each time soon after the login, for references that are served afterwards: somebody else uses the account."""
    play = Playbook.working(*(f"R{number}" for number in range(12)), workers=1)
    for _ in range(thefts):
        assert play.machine.run.ending is None
        play.after(5.0).lose_session(1)
        play.after(1.0).log_in(1)
        play.after(1.0).succeed(1)
    ending = play.machine.run.ending
    if thefts < QUIET.stolen_sessions:
        assert ending is None
    else:
        assert ending is not None
        assert ending.code == 3
        assert ending.reason.startswith("the session was taken away 4 times in a row within 60 s of the login")


def test_sessions_that_live_for_a_while_are_not_stolen() -> None:
    """A site that ends every session after two minutes costs logins, not the run."""
    play = Playbook.working(*(f"R{number}" for number in range(40)), workers=1)
    for _ in range(12):
        play.after(QUIET.stolen_window + 1.0).succeed(1)
        play.after(QUIET.stolen_window - 2.0).lose_session(1)
        play.after(1.0).log_in(1)
    assert play.machine.run.ending is None


def test_a_session_that_nobody_saw_alive_when_it_was_old_acquits_nobody() -> None:
    """It may have been taken away soon after the login, and was only found gone late."""
    play = Playbook.working(*(f"R{number}" for number in range(20)), workers=1)
    for theft in range(QUIET.stolen_sessions):
        assert play.machine.run.ending is None
        play.after(5.0).lose_session(1)
        play.after(1.0).log_in(1)
        play.after(1.0).succeed(1)
        if theft == 1:
            play.after(QUIET.stolen_window + 10.0).succeed(1)
            play.after(5.0).lose_session(1)
            play.after(1.0).log_in(1)
            play.after(1.0).succeed(1)
    assert play.machine.run.ending is not None
    assert "taken away" in play.machine.run.ending.reason


def test_that_a_reference_takes_long_makes_its_session_no_older() -> None:
    """Who is slow to meet the login page was handed the reference soon after the login all the same."""
    play = Playbook.working(*(f"R{number}" for number in range(12)), workers=1)
    for _ in range(QUIET.stolen_sessions):
        assert play.machine.run.ending is None
        play.after(QUIET.stolen_window + 10.0).lose_session(1)
        play.after(1.0).log_in(1)
        play.after(1.0).succeed(1)
    assert play.machine.run.ending is not None
    assert "taken away" in play.machine.run.ending.reason


# ----------------------------------------------------------------------------------- what an answer says of the session
def test_a_refused_login_is_written_down_at_once() -> None:
    """The ledger tells the next start, whatever happens to this one."""
    play = Playbook.new("A")
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    play.take(play.of(1, ErrandFailed(1, Kind.LOGIN_REFUSED, "wrong password", ready=True)))
    assert "login_refused" in play.incidents
    assert play.machine.run.ending is not None
    assert play.machine.run.ending.code == 4


@pytest.mark.parametrize("later", [1.0, 600.0], ids=["at-once", "after-lying-in-the-pipe"])
def test_a_forbidden_page_proves_the_session_up_to_the_look_at_the_inventory_page(later: float) -> None:
    """What came before the look is beyond doubt when another login ends the session; the rest is fetched again.

    That the answer comes late, as when the supervisor alone stood still, makes the look no later.
    """
    play = Playbook.working("early", "late", "no", "more", "last", workers=3)
    play.after(5.0).succeed(1)
    play.after(5.0).succeed(2)
    commands = play.after(later).take(play.failed(3, Kind.FORBIDDEN, proven_after=8.0))
    assert [record.ref_id for record in records(commands, SuccessDoubted)] == [2]


def test_a_proof_from_the_future_is_one_of_now() -> None:
    """What a worker says of times is not believed beyond what can be."""
    play = Playbook.working("A", "no", "C", "D", workers=2)
    play.after(5.0).take(play.failed(2, Kind.NOT_FOUND, proven_after=1e9))
    play.after(5.0).succeed(1)
    assert [record.ref_id for record in records(play.after(1.0).lose_session(1), SuccessDoubted)] == [1]


def test_a_forbidden_page_by_itself_proves_nothing() -> None:
    """It may be what the site shows to those who are not logged in."""
    play = Playbook.working("A", "B", "no", "more", "last", workers=3)
    play.after(5.0).succeed(1)
    play.after(5.0).succeed(2)
    commands = play.take(play.failed(3, Kind.FORBIDDEN))
    assert [record.ref_id for record in records(commands, SuccessDoubted)] == [1, 2]
    assert play.totals()[3] == 0


def test_a_reference_that_does_not_exist_proves_the_session_as_well() -> None:
    """The worker looks at the inventory page before it blames the reference, and says so."""
    play = Playbook.working("A", "no", "C", "D", workers=2)
    play.after(5.0).succeed(1)
    play.after(5.0).take(play.failed(2, Kind.NOT_FOUND, proven_after=9.0))
    assert not records(play.after(1.0).lose_session(1), SuccessDoubted)


def test_another_login_that_is_to_tell_an_outage_ends_the_session_for_what_is_unproven() -> None:
    """Nobody can prove the former session after that, so what it brought last is fetched again.

    It takes a run in which nothing had documents: otherwise a control tells, and no session ends.
    """
    play = Playbook.working("A", "B", "bad", workers=1)
    for _ in range(2):
        attempt = play.attempt(1)
        play.after(5.0).take(play.of(1, Succeeded(attempt, ())))
        play.take(ev.Published(attempt, ()))
    commands = play.take(play.failed(1, Kind.TIMEOUT))
    assert sent(commands, LogIn)
    assert [record.ref_id for record in records(commands, SuccessDoubted)] == [2]


# ------------------------------------------------------------------------------------------------- after a long gap
@pytest.mark.parametrize("gap", [ev.LoopStalled(600.0), ev.MachineSlept(600.0)])
def test_after_a_long_gap_the_session_is_looked_at_before_anything_is_handed_out(gap: ev.Event) -> None:
    """One worker opens the inventory while the others wait; a session that ended costs one login and nobody else."""
    play = Playbook.working(*"ABCDEF", workers=2)
    play.take(gap)
    commands = play.succeed(1)
    ((slot, proof),) = sent(commands, ProveSession)
    assert isinstance(proof, ProveSession)
    assert assigned(commands) == assigned(play.succeed(2)) == []
    assert len(assigned(play.take(play.of(slot, SessionProven(proof.errand))))) == 2
    play.take(gap)
    ((slot, proof),) = sent(play.succeed(1), ProveSession)
    assert isinstance(proof, ProveSession)
    commands = play.take(play.of(slot, ErrandFailed(proof.errand, Kind.SESSION_EXPIRED, "the login page", ready=True)))
    assert len(sent(commands, LogIn)) == 1
    assert assigned(play.log_in(slot))


def test_after_a_short_gap_or_when_the_look_comes_to_nothing_the_references_tell() -> None:
    """A network that is not back yet is no reason to wait."""
    play = Playbook.working("A", "B", "C", "D", workers=1)
    play.take(ev.MachineSlept(30.0))
    assert assigned(play.succeed(1)) == ["B"]
    play.take(ev.MachineSlept(3000.0))
    ((_, proof),) = sent(play.succeed(1), ProveSession)
    assert isinstance(proof, ProveSession)
    commands = play.take(play.of(1, ErrandFailed(proof.errand, Kind.OFFLINE, "no network", ready=True)))
    assert assigned(commands) == ["C"]
