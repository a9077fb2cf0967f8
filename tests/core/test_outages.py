"""The breaker: what opens it, what does not, probes, full speed again, pauses that the site asks for."""

import msgspec
import pytest

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.breaker import Breaker, BreakerState
from supervisor.core.records import AttemptFailed, AttemptForgiven
from tests.core.playbook import QUIET, Playbook, assigned, finish, records
from worker.protocol import ErrandFailed, InventoryExported, Kind, LoggedIn, LogIn, Ready, Revisit, Served

_MANY = tuple(f"R{number}" for number in range(40))


def _breaker(play: Playbook) -> Breaker:
    return play.machine.run.breaker


def _outage(workers: int = 3, policy: object = QUIET, *, kind: Kind = Kind.NETWORK) -> Playbook:
    """Bring a run to where the site is known to be down and nobody holds anything."""
    assert isinstance(policy, type(QUIET))
    play = Playbook.working(*_MANY, workers=workers, policy=policy)
    play.succeed(1)
    for slot in range(1, workers + 1):
        play.take(play.failed(slot, kind))
    while busy := [slot for slot in range(1, workers + 1) if play.attempt(slot)]:
        play.take(play.failed(busy[0], kind))
    assert _breaker(play).state is BreakerState.OPEN
    return play


def test_three_references_on_two_workers_open_it_and_are_forgiven() -> None:
    """Nothing is handed out, and what was charged before it was recognised is taken back."""
    play = Playbook.working(*_MANY, workers=3)
    for slot in (1, 2):
        (record,) = records(play.take(play.failed(slot, Kind.SERVER_ERROR)), AttemptFailed)
        assert record.counted
    commands = play.take(play.failed(3, Kind.SERVER_ERROR))
    assert [record.attempt for record in records(commands, AttemptForgiven)] == [1, 2]
    taken_back = [said.attempt for said in play.said if said.text == "not counted after all"]
    assert taken_back == [1, 2], "who reads the log knows"
    (record,) = records(commands, AttemptFailed)
    assert (record.counted, record.retry_in) == (False, 0.0)
    assert assigned(commands) == []
    for slot in (1, 2):
        (record,) = records(play.take(play.failed(slot, Kind.SERVER_ERROR)), AttemptFailed)
        assert not record.counted
    assert play.incidents.count("breaker_opened") == 1
    assert play.machine.next_deadline() == play.now + 5.0


def test_failures_of_other_kinds_in_between_do_not_hide_an_outage() -> None:
    """An outage shows as refused connections here and as errors there; all of them are forgiven."""
    play = Playbook.working(*_MANY, workers=5)
    kinds = (Kind.SERVER_ERROR, Kind.TIMEOUT, Kind.SERVER_ERROR, Kind.STEP_TIMEOUT, Kind.SERVER_ERROR)
    commands = [command for slot, kind in enumerate(kinds, 1) for command in play.take(play.failed(slot, kind))]
    assert len(records(commands, AttemptForgiven)) == 4


def test_one_bad_worker_or_one_bad_reference_does_not_open_it() -> None:
    """Two workers are needed, and three references."""
    play = Playbook.working(*_MANY)
    for _ in range(5):
        play.take(play.failed(1, Kind.SERVER_ERROR))
    assert _breaker(play).state is BreakerState.CLOSED
    play = Playbook.working("A", "B")
    for slot in (1, 2):
        play.take(play.failed(slot, Kind.SERVER_ERROR))
    play.pass_time(5.0)
    for slot in (1, 2):
        play.take(play.failed(slot, Kind.SERVER_ERROR))
    assert _breaker(play).state is BreakerState.CLOSED


@pytest.mark.parametrize(("stalled", "state"), [(True, BreakerState.OPEN), (False, BreakerState.CLOSED)])
def test_what_broke_in_a_suspend_makes_no_reference_known_to_be_bad(stalled: bool, state: BreakerState) -> None:  # noqa: FBT001 - a parameter of the test
    """It is evidence of an outage as any other; only one that failed by itself while the site answered is none."""
    play = Playbook.working("A", "B", "C", "D", workers=3)
    if stalled:
        play.after(50.0).take(ev.LoopStalled(50.0))
    play.take(play.failed(1, Kind.NETWORK))
    play.succeed(2)
    play.pass_time(5.0)
    assert [play.reference(slot).ref for slot in (1, 2, 3)] == ["D", "A", "C"]
    for slot in (1, 2, 3):
        play.take(play.failed(slot, Kind.NETWORK))
    assert _breaker(play).state is state


def test_a_success_or_an_hour_in_between_does_not_open_it() -> None:
    """Failures must come together."""
    play = Playbook.working(*_MANY, workers=3)
    play.take(play.failed(1, Kind.TIMEOUT))
    play.take(play.failed(2, Kind.TIMEOUT))
    play.succeed(3)
    play.take(play.failed(3, Kind.TIMEOUT))
    assert _breaker(play).state is BreakerState.CLOSED
    play.pass_time(QUIET.breaker_window + 1.0)
    play.take(play.failed(1, Kind.TIMEOUT))
    play.take(play.failed(2, Kind.TIMEOUT))
    assert _breaker(play).state is BreakerState.CLOSED


def test_probes_go_one_at_a_time_with_growing_pauses_each_with_another_reference() -> None:
    """5, 10, 20 seconds; the reference that failed goes to the end, nobody pays, and then a control is the probe."""
    play = _outage()
    tried = []
    for pause in (5.0, 10.0, 20.0):
        (ref,) = assigned(play.pass_time(pause))
        tried.append(ref)
        assert play.pass_time(1.0) == []
        (holder,) = [slot for slot in (1, 2, 3) if play.attempt(slot)]
        (record,) = records(play.take(play.failed(holder, Kind.OFFLINE)), AttemptFailed)
        assert not record.counted
    assert len(set(tried)) == 3
    (control,) = play.pass_time(40.0)
    assert isinstance(control, co.Send)
    assert isinstance(control.message, Revisit)
    assert control.message.ref == "R0"
    play.take(play.of(control.slot, ErrandFailed(control.message.errand, Kind.NETWORK, "no", ready=True)))
    assert play.machine.next_deadline() == play.now + 80.0 or _breaker(play).until == play.now + 80.0


def test_after_a_success_it_goes_back_to_full_speed_step_by_step() -> None:
    """One, two, then everybody; the pause is short again only after a run of successes."""
    play = _outage(workers=5)
    play.pass_time(5.0)
    (holder,) = [slot for slot in range(1, 6) if play.attempt(slot)]
    assert len(assigned(play.succeed(holder))) == 2
    assert _breaker(play).opened_at is None
    (one, _) = [slot for slot in range(1, 6) if play.attempt(slot)]
    assert len(assigned(play.succeed(one))) == 3
    (one, *_) = [slot for slot in range(1, 6) if play.attempt(slot)]
    assert len(assigned(play.succeed(one))) == 2
    assert _breaker(play).state is BreakerState.CLOSED
    assert play.incidents[-1] == "breaker_closed"
    assert _breaker(play)._pause == 10.0
    for _ in range(10):
        play.succeed(one)
    assert _breaker(play)._pause == 5.0


def test_new_evidence_on_the_way_to_full_speed_opens_it_again_but_known_bad_references_do_not() -> None:
    """A reference that failed in the outage and fails again after the site has answered is charged for it."""
    policy = msgspec.structs.replace(QUIET, breaker_references=2)
    play = Playbook.working("A", "B", "C", "D", "E", "F", "G", workers=5, policy=policy)
    for slot in (1, 2):
        play.take(play.failed(slot, Kind.TIMEOUT))
    assert _breaker(play).state is BreakerState.OPEN
    for slot in (3, 4, 5):
        play.take(play.failed(slot, Kind.TIMEOUT))
    play.pass_time(5.0)
    (holder,) = [slot for slot in range(1, 6) if play.attempt(slot)]
    assert play.reference(holder).ref == "F"
    play.succeed(holder)
    busy = {play.reference(slot).ref: slot for slot in range(1, 6) if play.attempt(slot)}
    assert set(busy) == {"G", "B"}
    (record,) = records(play.take(play.failed(busy["B"], Kind.TIMEOUT)), AttemptFailed)
    assert record.counted
    assert _breaker(play).state is BreakerState.RAMPING
    commands = play.take(play.failed(busy["G"], Kind.TIMEOUT))
    assert _breaker(play).state is BreakerState.OPEN
    assert [record.ref_id for record in records(commands, AttemptForgiven)] == [2]


def test_when_every_reference_has_failed_a_login_tells_whether_the_site_is_back() -> None:
    """Only bad references are left: they would be probes for hours, and the run would stop for an outage."""
    play = Playbook.working("A", "B", "C", workers=3)
    for slot in (1, 2, 3):
        play.take(play.failed(slot, Kind.TIMEOUT))
    (login,) = [c for c in play.pass_time(5.0) if isinstance(c, co.Send)]
    assert isinstance(login.message, LogIn)
    play.take(play.of(login.slot, LoggedIn(login.message.errand, b"new")))
    for _ in range(200):
        for slot in (1, 2, 3):
            if play.attempt(slot):
                play.take(play.failed(slot, Kind.TIMEOUT))
        play.pass_time(1.0)
    assert play.totals() == (0, 0, 0, 0, 3)


def test_an_outage_that_lasts_too_long_stops_the_run_but_a_pause_of_the_operator_does_not_count() -> None:
    """Exit 3, resumable, after three hours without an answer."""
    play = _outage()
    play.take(ev.PauseRequested("operator", "lunch"))
    play.take(ev.PauseRequested("operator", "again"))
    play.pass_time(50_000.0)
    play.take(ev.ResumeRequested("operator"))
    play.take(ev.ResumeRequested("operator"))
    assert play.machine.run.ending is None
    while play.machine.run.ending is None:
        play.pass_time(60.0)
        for slot in (1, 2, 3):
            if play.attempt(slot):
                play.take(play.failed(slot, Kind.NETWORK))
            errand = play.machine.run.slots[slot].errand
            if errand:
                play.take(play.of(slot, ErrandFailed(errand, Kind.NETWORK, "no", ready=True)))
    assert play.machine.run.ending.code == 3
    assert 60_000 < play.now < 62_000
    commands = []
    for slot in (1, 2, 3):
        play.take(play.exited(slot, 0))
        commands += play.take(play.gone(slot))
    assert finish(commands).reason.startswith("the site was down for 10800 s")


def test_retry_after_is_obeyed_by_everybody() -> None:
    """A pause that the site asks for is kept whoever asks again, and longer ones prolong it."""
    play = Playbook.working(*_MANY)
    play.take(play.failed(1, Kind.RATE_LIMITED, retry_after=100.0))
    play.take(play.failed(2, Kind.RATE_LIMITED, retry_after=10.0))
    assert _breaker(play).until == 100.0
    assert play.pass_time(99.0) == []
    assert len(assigned(play.pass_time(1.0))) == 1
    play = Playbook.working(*_MANY)
    play.take(play.failed(1, Kind.RATE_LIMITED, retry_after=1e9))
    assert _breaker(play).until == QUIET.throttle_pause_limit
    play.take(ev.LoopStalled(50.0))
    assert _breaker(play).until == QUIET.throttle_pause_limit + 50.0


@pytest.mark.parametrize(("pause", "said"), [(100.0, "100 s"), (1.0, "1 s"), (0.4, "0.4 s")])
def test_a_pause_is_told_with_its_length(pause: float, said: str) -> None:
    """A short one as well: nobody is told that nothing happens for no time at all."""
    play = Playbook.working(*_MANY)
    play.take(play.failed(1, Kind.RATE_LIMITED, retry_after=pause))
    assert [say.text for say in play.said if say.incident == "throttled"] == [
        f"the site asked for a pause: nothing is handed out for {said}"
    ]


def test_an_answer_to_what_was_in_flight_does_not_end_a_pause() -> None:
    """The site asked for it."""
    play = Playbook.working(*_MANY)
    play.take(play.failed(1, Kind.RATE_LIMITED))
    play.succeed(2)
    assert _breaker(play).state is BreakerState.OPEN


def test_a_login_that_finds_the_site_down_or_busy_opens_it() -> None:
    """Nobody hammers at the door; the breaker's pauses hold for logins too."""
    for kind, asked, until in ((Kind.NETWORK, None, 5.0), (Kind.RATE_LIMITED, 40.0, 40.0)):
        play = Playbook.working(*_MANY)
        play.succeed(1)
        play.take(play.failed(1, Kind.SESSION_EXPIRED))
        errand = play.machine.run.slots[1].errand
        play.take(play.failed(2, Kind.SESSION_EXPIRED))
        commands = play.take(play.of(1, ErrandFailed(errand, kind, "no", ready=True, retry_after=asked)))
        assert commands == [co.DiscardErrand(errand, "login", kind.value, "no")]
        assert _breaker(play).until == until
        (login,) = play.pass_time(until)
        assert isinstance(login, co.Send)
        assert isinstance(login.message, LogIn)


def test_logins_that_fail_for_hours_stop_the_run() -> None:
    """Exit 3 after the same time as an outage."""
    play = Playbook.working(*_MANY, workers=1)
    play.succeed(1)
    play.take(play.failed(1, Kind.SESSION_EXPIRED))
    while play.machine.run.ending is None:
        errand = play.machine.run.slots[1].errand
        if errand:
            play.take(play.of(1, ErrandFailed(errand, Kind.LOGIN_FAILED, "no", ready=True)))
        play.pass_time(60.0)
    assert play.machine.run.ending.reason == "nobody could log in for 10800 s"


def test_an_export_that_meets_the_login_page_logs_in_again() -> None:
    """And stops when that happens again and again."""
    play = Playbook.new(workers=1, has_inventory=False)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    for errand in (1, 3, 5):
        play.take(play.of(1, LoggedIn(errand, b"s")))
        play.take(play.of(1, ErrandFailed(errand + 1, Kind.SESSION_EXPIRED, "no", ready=True)))
    assert play.machine.run.ending is not None
    assert play.take(play.of(1, InventoryExported(6, "", "", "", ""))) == []


def _errand_of(play: Playbook) -> tuple[int, int]:
    """Return the slot that is on an errand, and the errand."""
    ((slot, errand),) = [(slot.number, slot.errand) for slot in play.machine.run.slots.values() if slot.errand]
    return slot, errand


def test_with_too_few_references_left_a_control_tells_an_outage_from_bad_ones() -> None:
    """One reference is left and the site answers with errors: nobody pays, even when it was its last attempt."""
    policy = msgspec.structs.replace(QUIET, max_retries=0)
    play = Playbook.working("A", "B", workers=2, policy=policy)
    play.succeed(1)
    (record,) = records(play.take(play.failed(2, Kind.SERVER_ERROR)), AttemptFailed)
    assert record.counted
    assert record.retry_in is None
    assert play.machine.run.ending is None
    slot, errand = _errand_of(play)
    commands = play.take(play.of(slot, ErrandFailed(errand, Kind.SERVER_ERROR, "503", ready=True)))
    assert co.DiscardErrand(errand, "control", "server_error", "503") in commands
    assert [(record.attempt, record.reopen) for record in records(commands, AttemptForgiven)] == [(2, True)]
    assert co.Say("INFO", "not counted after all, and no longer failed for good", 0, "B", 2) in play.said
    assert _breaker(play).state is BreakerState.OPEN
    play.pass_time(5.0)
    slot, errand = _errand_of(play)
    assert assigned(play.take(play.of(slot, Served(errand)))) == ["B"]
    play.succeed_all()
    assert play.totals() == (0, 0, 0, 2, 0)


def test_with_too_few_references_left_bad_ones_are_given_up_all_the_same() -> None:
    """What was served before is served again, so it is the reference; the breaker never opens, and the run ends."""
    play = Playbook.working("A", "B", workers=2)
    play.succeed(1)
    asked = 0
    while play.machine.run.ending is None:
        if play.attempt(1) or play.attempt(2):
            slot = 1 if play.attempt(1) else 2
            assert records(play.take(play.failed(slot, Kind.TIMEOUT)), AttemptFailed)[0].counted
        elif any(slot.errand for slot in play.machine.run.slots.values()):
            slot, errand = _errand_of(play)
            play.take(play.of(slot, Served(errand)))
            asked += 1
        else:
            play.pass_time(1.0)
        assert _breaker(play).state is BreakerState.CLOSED
    assert play.totals() == (0, 0, 0, 1, 1)
    assert asked == 3


def test_a_page_that_speaks_of_maintenance_with_status_200_blames_nobody() -> None:
    """It bears no mark of being logged in, and no login succeeds: the run waits until one does."""
    play = Playbook.working(*_MANY, workers=3)
    play.succeed(1)
    commands = [command for slot in (1, 2, 3) for command in play.take(play.failed(slot, Kind.SESSION_EXPIRED))]
    assert not any(record.counted for record in records(commands, AttemptFailed))
    begun = play.now
    while play.now < begun + 7200.0:
        if any(slot.errand for slot in play.machine.run.slots.values()):
            slot, errand = _errand_of(play)
            assert assigned(play.take(play.of(slot, ErrandFailed(errand, Kind.LOGIN_FAILED, "no", ready=True)))) == []
        play.pass_time(10.0)
    while not any(slot.errand for slot in play.machine.run.slots.values()):
        play.pass_time(10.0)
    slot, errand = _errand_of(play)
    assert len(assigned(play.take(play.of(slot, LoggedIn(errand, b"new"))))) == 3
    assert play.machine.run.ending is None


def test_an_outage_in_which_the_login_works_is_not_waited_out_for_ever() -> None:
    """No page comes for three hours although logins succeed: exit 3, and no reference has paid.

    A control fails as well, whoever logs in meanwhile.
    """
    many = tuple(f"R{number}" for number in range(400))
    play = Playbook.working(*many, workers=4)
    play.succeed(1)
    counted = 0
    while play.machine.run.ending is None:
        assert play.now < 20_000.0
        for slot in (1, 2, 3, 4):
            if play.attempt(slot):
                commands = play.take(play.failed(slot, Kind.SERVER_ERROR))
                counted += sum(record.counted for record in records(commands, AttemptFailed))
                counted -= len(records(commands, AttemptForgiven))
            elif play.machine.run.slots[slot].control:
                errand = play.machine.run.slots[slot].errand
                kind = Kind.SESSION_EXPIRED if errand % 5 == 0 else Kind.SERVER_ERROR
                commands = play.take(play.of(slot, ErrandFailed(errand, kind, "no", ready=True)))
                counted -= len(records(commands, AttemptForgiven))
            elif play.machine.run.slots[slot].errand:
                play.take(play.of(slot, LoggedIn(play.machine.run.slots[slot].errand, b"new")))
        play.pass_time(1.0)
    assert play.machine.run.ending.code == 3
    assert play.machine.run.ending.reason.startswith("the site was down for 10800 s")
    assert counted == 0
