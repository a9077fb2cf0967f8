"""Controls: what was served before is tried again, and tells bad references from a site that is down."""

import msgspec
import pytest

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.breaker import BreakerState
from supervisor.core.controls import Controls
from supervisor.core.records import AttemptFailed, AttemptForgiven, Entry
from tests.core.playbook import QUIET, Playbook, assigned, finish, records, sent
from worker.protocol import ErrandFailed, Kind, LoggedIn, ProveSession, Ready, Revisit, Served, Step

_MANY = tuple(f"R{number}" for number in range(60))
_STEPS = (Step("open the vehicle", 180.0),)


def _control(play: Playbook) -> tuple[int, int, str] | None:
    """Return slot, errand and reference of the control that is being tried."""
    found = [(slot.number, slot.errand, slot.control) for slot in play.machine.run.slots.values() if slot.control]
    assert len(found) <= 1
    return found[0] if found else None


def _night(play: Playbook, kind: Kind, *, until: float = 30_000.0, serves: bool = True) -> int:
    """Let every reference fail, and every control and login be served or not; return how many controls were tried."""
    tried = 0
    while play.machine.run.ending is None:
        assert play.now < until, "the run does not come to its end"
        for slot in list(play.machine.run.slots):
            if play.attempt(slot):
                play.take(play.failed(slot, kind, steps=_STEPS))
            elif (errand := play.machine.run.slots[slot].errand) and play.machine.run.slots[slot].control:
                tried += 1
                no = ErrandFailed(errand, kind, "no", ready=True)
                play.take(play.of(slot, Served(errand) if serves else no))
            elif errand:
                play.take(play.of(slot, LoggedIn(errand, b"new")))
        play.pass_time(1.0)
    return tried


@pytest.mark.parametrize("kind", [Kind.TIMEOUT, Kind.SERVER_ERROR, Kind.NETWORK])
def test_however_many_bad_references_are_left_they_fail_with_their_cause(kind: Kind) -> None:
    """Sixty that never come, and the site serves what it served before: exit 1 within the hours of their retries."""
    play = Playbook.working("good", *_MANY, workers=4)
    play.succeed(1)
    tried = _night(play, kind)
    assert play.totals() == (0, 0, 0, 1, 60)
    assert play.machine.run.ending is not None
    assert play.machine.run.ending.code == 1
    assert 0 < tried < 60


def test_a_restart_knows_what_was_served_before() -> None:
    """Only bad ones are in the queue, and nothing was served since the start."""
    entries = tuple(Entry(number, ref) for number, ref in enumerate(_MANY, 2))
    play = Playbook.working(workers=4, entries=entries, completed=1, served=("good",))
    _night(play, Kind.TIMEOUT)
    assert play.totals() == (0, 0, 0, 1, 60)


def test_with_the_site_down_the_control_fails_as_well_and_nobody_pays() -> None:
    """Time-outs everywhere for three hours: exit 3, with no attempt counted."""
    play = Playbook.working("good", *_MANY, workers=4)
    play.succeed(1)
    _night(play, Kind.TIMEOUT, serves=False)
    assert play.machine.run.ending is not None
    assert play.machine.run.ending.reason.startswith("the site was down for 10800 s")
    references = [play.machine.run.queue.take(9) for _ in _MANY]
    assert {reference.attempts for reference in references if reference is not None} == {0}


def test_sessions_that_are_taken_away_from_controls_are_stolen() -> None:
    """Nothing is left but bad references, and between their attempts every fresh login is ended by somebody else."""
    play = Playbook.working("good", "bad", "worse", workers=1)
    play.succeed(1)
    stolen = False
    while play.machine.run.ending is None:
        assert play.now < 10_000.0, "nobody notices"
        slot = play.machine.run.slots[1]
        if play.attempt(1):
            play.take(play.failed(1, Kind.TIMEOUT, steps=_STEPS))
        elif slot.control:
            stolen = not stolen
            gone = ErrandFailed(slot.errand, Kind.SESSION_EXPIRED, "gone", ready=True)
            play.take(play.of(1, gone if stolen else Served(slot.errand)))
        elif slot.errand:
            play.take(play.of(1, LoggedIn(slot.errand, b"new")))
        play.pass_time(1.0)
    assert play.machine.run.ending.code == 3
    assert play.machine.run.ending.reason.startswith("the session was taken away 4 times in a row within 60 s")


def test_where_nothing_was_ever_served_a_login_is_no_proof_that_pages_come() -> None:
    """They are down from the first one on, and logins succeed: exit 3 after three hours."""
    many = tuple(f"R{number}" for number in range(400))
    play = Playbook.working(*many, workers=4)
    assert _night(play, Kind.SERVER_ERROR) == 0
    assert play.machine.run.ending is not None
    assert play.machine.run.ending.reason.startswith("the site was down for 10800 s")


def _acquitted(workers: int = 3) -> Playbook:
    """Bring a run to where many have failed and a control was served."""
    play = Playbook.working("good", *_MANY, workers=workers)
    play.succeed(1)
    for slot in range(1, workers + 1):
        play.take(play.failed(slot, Kind.TIMEOUT))
    while _control(play) is None:
        play.pass_time(5.0)
        for slot in range(1, workers + 1):
            if play.attempt(slot):
                play.take(play.failed(slot, Kind.TIMEOUT))
    slot, errand, ref = _control(play) or (0, 0, "")
    assert ref == "good"
    play.take(play.of(slot, Served(errand)))
    assert play.incidents[-1] == "control_served"
    return play


def test_an_outage_after_a_control_was_served_is_noticed_by_the_next_control() -> None:
    """Three more fail: they are charged, a control is tried; it fails, so the breaker opens and they are forgiven."""
    play = _acquitted()
    breaker = play.machine.run.breaker
    counted: list[AttemptFailed] = []
    while _control(play) is None:
        busy = [slot for slot in (1, 2, 3) if play.attempt(slot)]
        one = busy[len(counted) % len(busy)]
        counted += records(play.take(play.failed(one, Kind.TIMEOUT)), AttemptFailed)
        assert breaker.state is not BreakerState.OPEN
    assert len(counted) == 3
    assert all(record.counted for record in counted)
    for slot in (1, 2, 3):
        if play.attempt(slot):
            play.take(play.failed(slot, Kind.TIMEOUT))
    slot, errand, _ = _control(play) or (0, 0, "")
    commands = play.take(play.of(slot, ErrandFailed(errand, Kind.TIMEOUT, "no", ready=True)))
    assert len(records(commands, AttemptForgiven)) >= 3
    assert breaker.state is BreakerState.OPEN
    assert assigned(commands) == []


def test_a_success_answers_what_a_control_was_to_answer() -> None:
    """What was in flight came meanwhile: nothing has to be asked any more, and work is handed out."""
    play = _acquitted()
    breaker = play.machine.run.breaker
    failed = 0
    while not breaker.asks:
        busy = [slot for slot in (1, 2, 3) if play.attempt(slot)]
        play.take(play.failed(busy[failed % len(busy)], Kind.TIMEOUT))
        failed += 1
    (slot, errand, _) = _control(play) or (0, 0, "")
    (busy_one,) = [slot for slot in (1, 2, 3) if play.attempt(slot)]
    assert assigned(play.succeed(busy_one))
    assert not breaker.asks
    play.take(play.of(slot, Served(errand)))
    assert breaker.state is not BreakerState.OPEN


@pytest.mark.parametrize("kind", [Kind.NOT_FOUND, Kind.PAGE_HUNG, Kind.WORKER_DIED])
def test_a_control_that_tells_nothing_makes_room_for_the_next_and_at_last_for_a_login(kind: Kind) -> None:
    """It was sold meanwhile, or its worker died: that is not the site's being down."""
    policy = msgspec.structs.replace(QUIET, max_retries=0)
    play = Playbook.working("first", "second", "bad", workers=1, policy=policy)
    play.succeed(1)
    play.succeed(1)
    play.take(play.failed(1, Kind.TIMEOUT))
    tried = []
    while (found := _control(play)) is not None:
        slot, errand, ref = found
        tried.append(ref)
        if kind is not Kind.WORKER_DIED:
            play.take(play.of(slot, ErrandFailed(errand, kind, "no", ready=True)))
        if kind is not Kind.NOT_FOUND:  # it may be the worker's fault, which gets a fresh process
            play.take(play.exited(slot))
            play.take(play.gone(slot))
            while play.state(slot) != "starting":
                play.pass_time(1.0)
            play.take(play.of(slot, Ready()))
    assert tried == ["second", "first"] * (1 if kind is Kind.NOT_FOUND else 3)
    assert play.machine.run.breaker.state is BreakerState.CLOSED
    assert play.machine.run.slots[1].errand, "a login is asked instead"


def test_a_control_obeys_limits_and_counts_in_them() -> None:
    """It is a reference like any other to the site."""
    policy = msgspec.structs.replace(QUIET, references_per_minute=6, max_retries=0)
    play = Playbook.working("good", "bad", workers=1, policy=policy)
    play.succeed(1)
    play.pass_time(5.0)
    commands = play.take(play.failed(1, Kind.TIMEOUT))
    assert _control(play) is None, "half of the even distance has to pass first"
    commands = play.pass_time(5.0)
    assert [type(command.message) for command in commands if isinstance(command, co.Send)] == [Revisit]


def test_references_that_always_show_the_login_page_fail_when_the_session_serves_others() -> None:
    """Three of them are all that is left at a restart: a control proves the session, and they are charged at last."""
    entries = tuple(Entry(number, f"bad-{number}") for number in (2, 3, 4))
    play = Playbook.working(workers=1, entries=entries, completed=1, served=("good",))
    controls = 0
    while play.machine.run.ending is None:
        assert play.now < 30_000.0
        errand = play.machine.run.slots[1].errand
        if play.machine.run.slots[1].control:
            controls += 1
            play.take(play.of(1, Served(errand)))
        elif errand:
            play.take(play.of(1, LoggedIn(errand, b"new")))
        elif play.attempt(1):
            play.take(play.failed(1, Kind.SESSION_EXPIRED))
        play.pass_time(1.0)
    assert controls == 1
    assert play.totals() == (0, 0, 0, 1, 3)
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))).code == 1


def test_sessions_that_serve_nothing_stop_the_run_when_a_control_has_confirmed_it() -> None:
    """Somebody else logs in: the control meets the login page as well, and another login would not help."""
    entries = tuple(Entry(number, f"bad-{number}") for number in (2, 3, 4))
    play = Playbook.working(workers=1, entries=entries, completed=1, served=("good",))
    while play.machine.run.ending is None:
        errand = play.machine.run.slots[1].errand
        if play.machine.run.slots[1].control:
            play.take(play.of(1, ErrandFailed(errand, Kind.SESSION_EXPIRED, "the login page", ready=True)))
        elif errand:
            play.take(play.of(1, LoggedIn(errand, b"new")))
        elif play.attempt(1):
            play.take(play.failed(1, Kind.SESSION_EXPIRED))
        play.pass_time(1.0)
    assert play.machine.run.ending.reason.startswith("the session was lost 3 times in a row")


def test_a_proof_that_fails_is_no_control_that_does() -> None:
    """The control is still to be asked when the session is looked at first, after everything stood still."""
    entries = tuple(Entry(number, f"bad-{number}") for number in (2, 3, 4))
    play = Playbook.working(workers=1, entries=entries, completed=1, served=("good",))
    session, slot = play.machine.run.sessions.of(1), play.machine.run.slots[1]
    while not session.in_question:
        play.take(play.of(1, LoggedIn(slot.errand, b"new")) if slot.errand else play.failed(1, Kind.SESSION_EXPIRED))
        play.pass_time(1.0)
    play.take(ev.PauseRequested("operator", "paused"))
    play.take(play.of(1, LoggedIn(slot.errand, b"new")))
    play.take(ev.LoopStalled(600.0))
    assert sent(play.take(ev.ResumeRequested("operator")), ProveSession)
    play.take(play.of(1, ErrandFailed(slot.errand, Kind.SESSION_EXPIRED, "the login page", ready=True)))
    assert play.machine.run.ending is None
    play.take(play.of(1, LoggedIn(slot.errand, b"new")))
    assert slot.control == "good"
    play.take(play.of(1, ErrandFailed(slot.errand, Kind.SESSION_EXPIRED, "the login page", ready=True)))
    assert play.machine.run.ending is not None


def test_a_login_does_not_answer_for_pages_where_a_control_can() -> None:
    """In an outage in which the login works, nobody is charged because somebody logged in."""
    play = Playbook.working("good", *_MANY, workers=3)
    play.succeed(1)
    for slot in (1, 2, 3):
        play.take(play.failed(slot, Kind.SERVER_ERROR))
    while not any(slot.errand for slot in play.machine.run.slots.values()):
        play.pass_time(1.0)
        for slot in (1, 2, 3):
            if play.attempt(slot):
                play.take(play.failed(slot, Kind.SESSION_EXPIRED))
    ((slot, errand),) = [(slot.number, slot.errand) for slot in play.machine.run.slots.values() if slot.errand]
    play.take(play.of(slot, LoggedIn(errand, b"new")))
    assert play.machine.run.breaker.state is BreakerState.PROBING
    (holder,) = [slot for slot in (1, 2, 3) if play.attempt(slot)]
    (record,) = records(play.take(play.failed(holder, Kind.SERVER_ERROR)), AttemptFailed)
    assert not record.counted


def test_the_list_is_short_and_the_latest_comes_first() -> None:
    """Five, each once; what failed as in an outage goes last, what is of no use goes."""
    controls = Controls(("C", "B", "A"))
    for ref in ("D", "E", "F", "D"):
        controls.served(ref)
    assert controls.next() == "D"
    controls.put_last("D")
    assert controls.next() == "F"
    for _ in range(3):
        controls.told_nothing("F")
    left = []
    while (first := controls.next()) is not None:
        left.append(first)
        controls.forget(first)
    assert left == ["E", "C", "B", "D"]
    controls.told_nothing("gone")
    assert controls.next() is None
