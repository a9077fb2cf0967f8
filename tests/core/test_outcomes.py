"""What becomes of a reference: every kind of failure by the table, retries, poison, sick workers, publishing."""

import msgspec
import pytest

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.failures import RULES
from supervisor.core.records import AttemptFailed, AttemptForgiven, Entry
from tests.core.playbook import DOCUMENT, QUIET, Playbook, assigned, entries, finish, records
from worker.protocol import Kind, LoggedIn, LogIn, Ready, Refresh, ShutDown, Succeeded

_FREE = QUIET.free_returns


def _failure(commands: list[co.Command]) -> AttemptFailed:
    (record,) = records(commands, AttemptFailed)
    assert isinstance(record, AttemptFailed)
    return record


def test_every_kind_has_a_rule() -> None:
    """The table is complete."""
    assert set(RULES) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_costs_what_the_table_says(kind: Kind) -> None:
    """A first failure is counted or not, final or not, a crash or not, and its staging folder is thrown away."""
    rule = RULES[kind]
    play = Playbook.working("A", "B", "C", "D")
    attempt = play.attempt(1)
    commands = play.take(play.failed(1, kind, url="https://site/a", status=503))
    record = _failure(commands)
    assert (record.attempt, record.ref_id, record.kind) == (attempt, 1, kind)
    assert (record.counted, record.crashed) == (rule.counted, rule.crashed)
    assert (record.retry_in is None) == (rule.counted and rule.tries == 1)
    assert (record.url, record.status) == ("https://site/a", 503)
    assert co.Discard(attempt, 1, "A", 1, kind.value, "no") in commands
    assert play.totals()[4] == (record.retry_in is None)


@pytest.mark.parametrize("kind", [kind for kind in Kind if RULES[kind].counted and RULES[kind].alike is None])
def test_each_counted_kind_is_final_after_its_tries(kind: Kind) -> None:
    """Three attempts at most, fewer where the table says so."""
    tries = RULES[kind].tries or 3
    play = Playbook.working("A", workers=1)
    for number in range(1, tries + 1):
        record = _failure(play.take(play.failed(1, kind)))
        assert (record.retry_in is None) == (number == tries)
        play.pass_time(record.retry_in or 0.0)
    assert play.totals() == (0, 0, 0, 0, 1)
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))).code == 1


@pytest.mark.parametrize(
    "kind", [Kind.NETWORK, Kind.OFFLINE, Kind.SESSION_EXPIRED, Kind.LOGIN_FAILED, Kind.EXPORT_INVALID, Kind.INTERRUPTED]
)
def test_what_costs_nothing_costs_something_in_the_end(kind: Kind) -> None:
    """One reference that always comes back uncounted is given up after a bounded number of returns."""
    play = Playbook.working("A", workers=1)
    failures = []
    while play.totals()[4] == 0:
        failures.append(_failure(play.take(play.failed(1, kind))))
        if play.machine.run.slots[1].errand:  # the session is gone, or a login is asked whether the site is there
            play.take(play.of(1, _logged_in(play)))
        play.pass_time(failures[-1].retry_in or 0.0)
    assert [record.counted for record in failures] == [False] * _FREE + [True] * 3


def _logged_in(play: Playbook) -> LoggedIn:
    return LoggedIn(play.machine.run.slots[1].errand, b"again")


def test_a_rate_limit_that_is_known_already_is_never_charged() -> None:
    """While the site asks everybody to wait, a reference that tries whether it may go on pays nothing."""
    play = Playbook.working("A", workers=1)
    for _ in range(3 * _FREE):
        record = _failure(play.take(play.failed(1, Kind.RATE_LIMITED)))
        assert not record.counted
        play.pass_time(QUIET.throttle_pause)
    assert play.attempt(1)


def test_retries_wait_longer_and_longer_up_to_the_limit() -> None:
    """5, 10, 20 seconds and so on, never more than the limit; a Retry-After that is longer is obeyed."""
    policy = msgspec.structs.replace(QUIET, max_retries=9, retry_delay_limit=60.0)
    play = Playbook.working("A", workers=1, policy=policy)
    delays = []
    for _ in range(6):
        delays.append(_failure(play.take(play.failed(1, Kind.RECIPE_ERROR))).retry_in)
        play.pass_time(delays[-1] or 0.0)
    assert delays == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert _failure(play.take(play.failed(1, Kind.RECIPE_ERROR, retry_after=100.0))).retry_in == 100.0


def test_a_retry_is_handed_out_when_its_time_has_come() -> None:
    """The core names the moment, and another worker may take it."""
    play = Playbook.working("A", "B")
    play.take(play.failed(1, Kind.RECIPE_ERROR))
    assert play.machine.next_deadline() == 5.0
    assert assigned(play.pass_time(5.0)) == ["A"]


def test_failures_to_publish_are_failures_of_the_attempt() -> None:
    """What is not in place is not completed; a full disk costs nothing and pauses the run."""
    play = Playbook.working("A", "B", workers=1)
    play.take(play.of(1, Succeeded(1, (DOCUMENT,))))
    record = _failure(play.take(ev.PublishFailed(1, Kind.PUBLISH_FAILED, "other bytes")))
    assert record.counted
    play.take(play.of(1, Succeeded(2, (DOCUMENT,))))
    record = _failure(play.take(ev.PublishFailed(2, Kind.DISK_FULL, "no space")))
    assert not record.counted
    assert list(play.machine.run.pauses) == ["disk"]
    assert play.pass_time(50.0) == []
    assert assigned(play.take(ev.ResumeRequested("disk"))) == ["A"]


def test_poison_is_set_aside_and_fails_at_its_third_crash() -> None:
    """Twice it took its worker down: it is tried last, alone, and then it is given up whatever MAX_RETRIES says."""
    policy = msgspec.structs.replace(QUIET, max_retries=9)
    play = Playbook.working(*"ABCDEF", policy=policy)
    for _ in range(2):
        while play.reference(1).ref != "A":
            play.succeed(1)
        play.take(play.failed(1, Kind.PAGE_CRASHED))
        play.pass_time(30.0)
        if "A" in {play.reference(slot).ref for slot in (1, 2) if play.attempt(slot)} and not play.attempt(1):
            break
        while play.attempt(1) and play.reference(1).ref != "A" and play.totals()[0]:
            play.succeed(1)
    _until_alone(play)
    (holder,) = [slot for slot in (1, 2) if play.attempt(slot)]
    assert play.reference(holder).ref == "A"
    record = _failure(play.take(play.failed(holder, Kind.PAGE_CRASHED)))
    assert record.retry_in is None
    assert record.counted
    assert play.totals() == (0, 0, 0, 5, 1)


def _until_alone(play: Playbook) -> None:
    """Everything but A is completed."""
    for _ in range(20):
        for slot in (1, 2):
            if play.attempt(slot) and play.reference(slot).ref != "A":
                play.succeed(slot)
    play.pass_time(60.0)


def test_poison_waits_until_nobody_else_is_at_work() -> None:
    """A reference with two crashes is not handed out beside another."""
    play = Playbook.working(entries=(Entry(1, "bad", crashes=2, attempts=1), Entry(2, "good")))
    assert [play.reference(slot).ref for slot in (1, 2) if play.attempt(slot)] == ["good"]
    holder = 1 if play.attempt(1) else 2
    assert assigned(play.succeed(holder)) == ["bad"]


def test_a_worker_that_fails_where_others_succeed_gets_a_fresh_browser_then_a_fresh_process() -> None:
    """Three failures in a row, while others complete theirs: Refresh; three more: out with it."""
    play = Playbook.working(*(f"R{number}" for number in range(20)))
    for _ in range(2):
        play.take(play.failed(1, Kind.RECIPE_ERROR))
        play.succeed(2)
    commands = play.take(play.failed(1, Kind.RECIPE_ERROR))
    assert co.Send(1, 1, Refresh()) in commands
    assert play.state(1) == "recovering"
    play.take(play.of(1, Ready()))
    for _ in range(2):
        play.take(play.failed(1, Kind.RECIPE_ERROR))
    commands = play.take(play.failed(1, Kind.RECIPE_ERROR))
    assert co.Send(1, 1, ShutDown()) in commands


def test_a_worker_that_fails_as_the_others_do_is_left_alone() -> None:
    """With nobody succeeding, it is not the worker's fault."""
    play = Playbook.working(*(f"R{number}" for number in range(20)), workers=1)
    for _ in range(4):
        assert not [c for c in play.take(play.failed(1, Kind.RECIPE_ERROR)) if getattr(c, "message", 0) == Refresh()]


def test_a_success_makes_a_worker_well_again() -> None:
    """The failures of a worker are counted in a row."""
    play = Playbook.working(*(f"R{number}" for number in range(20)))
    for _ in range(2):
        play.take(play.failed(1, Kind.RECIPE_ERROR))
        play.succeed(2)
    play.succeed(1)
    play.take(play.failed(1, Kind.RECIPE_ERROR))
    assert play.state(1) == "busy"


def test_an_expired_session_is_renewed_once_while_the_others_wait() -> None:
    """The reference goes back uncounted; a second worker that met the login page too asks for no second login."""
    with Playbook.working("A", "B", "C", "D") as play:
        play >> play.failed(1, Kind.SESSION_EXPIRED) << co.Write << co.Discard
        play << co.Send(1, 1, LogIn(2, "/s/errand-2", 120.0))
        play >> play.failed(2, Kind.SESSION_EXPIRED) << co.Write << co.Discard
    assert play.totals() == (4, 0, 0, 0, 0)


def test_sessions_lost_by_several_references_stop_the_run() -> None:
    """Nothing works with a fresh session: three different references met the login page, each twice at most."""
    play = Playbook.working(*"ABCDE", workers=1)
    met = []
    while play.machine.run.ending is None:
        met.append(play.reference(1).ref)
        play.take(play.failed(1, Kind.SESSION_EXPIRED))
        if play.machine.run.slots[1].errand:
            play.take(play.of(1, _logged_in(play)))
    assert met == ["A", "A", "B", "B", "C"]
    play.take(play.exited(1, 0))
    end = finish(play.take(play.gone(1)))
    assert end.code == 3
    assert end.reason.startswith("the session was lost 3 times in a row")


def test_references_known_to_lose_the_session_are_no_sign_of_a_thief() -> None:
    """They met the login page before, while others were served: it is their trouble, and in the end they pay."""
    play = Playbook.working("A", "B", "good", workers=1)
    while play.reference(1).ref != "good":
        play.take(play.failed(1, Kind.SESSION_EXPIRED))
        play.take(play.of(1, _logged_in(play)))
    play.succeed(1)
    for _ in range(5):
        play.take(play.failed(1, Kind.SESSION_EXPIRED))
        play.take(play.of(1, _logged_in(play)))
    assert play.machine.run.ending is None


def test_forbidden_pages_cost_one_login_each_time_the_session_was_good() -> None:
    """A dozen forbidden references in a row log in once, fail at their second attempt, and never stop the run."""
    play = Playbook.working("good", *(f"R{number}" for number in range(6)), workers=1)
    play.succeed(1)
    commands = play.take(play.failed(1, Kind.FORBIDDEN))
    assert co.Send(1, 1, LogIn(2, "/s/errand-2", 120.0)) in commands
    play.take(play.of(1, _logged_in(play)))
    while play.totals()[4] < 6:
        commands = play.take(play.failed(1, Kind.FORBIDDEN)) if play.attempt(1) else play.pass_time(5.0)
        assert not [c for c in commands if isinstance(c, co.Send) and isinstance(c.message, LogIn)]
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))).code == 1


def test_forgiving_spares_what_cannot_be_forgiven() -> None:
    """What was retried by the operator since, or given up as poison, is not reopened by an outage."""
    policy = msgspec.structs.replace(QUIET, max_retries=0)
    play = Playbook.working(*(f"R{number}" for number in range(8)), workers=3, policy=policy)
    play.take(play.failed(1, Kind.SERVER_ERROR))
    play.take(ev.RetryRequested((Entry(1, "R0"),)))
    play.take(play.failed(2, Kind.SERVER_ERROR))
    play.take(play.failed(3, Kind.SERVER_ERROR))
    assert play.totals()[4] == 2
    commands = play.take(play.failed(1, Kind.SERVER_ERROR))
    forgiven = records(commands, AttemptForgiven)
    assert sorted(record.ref_id for record in forgiven) == [2, 3]
    assert all(record.reopen for record in forgiven)
    assert play.totals()[4] == 0
    play.machine.run.queue.check_each()
    assert entries("x")[0].ref_id == 1


def test_what_a_sick_worker_was_charged_with_is_taken_back() -> None:
    """Three failures in a row where the others succeed: a fresh browser, and its references pay nothing for them."""
    play = Playbook.working(*[f"R{number}" for number in range(30)], workers=3)
    play.take(play.failed(1, Kind.PAGE_HUNG))
    play.succeed(2)
    play.take(play.failed(1, Kind.RECIPE_ERROR))
    commands = play.take(play.failed(1, Kind.NOT_FOUND))
    assert [record.ref_id for record in records(commands, AttemptForgiven)] == [1, 4]
    assert any(isinstance(c, co.Send) and isinstance(c.message, Refresh) for c in commands)
    assert play.state(1) == "recovering"
    play.take(play.of(1, Ready()))
    commands = [c for _ in range(3) for c in play.take(play.failed(1, Kind.PAGE_HUNG))]
    assert any(isinstance(c, co.Send) and isinstance(c.message, ShutDown) for c in commands), "a fresh process"
    assert len(records(commands, AttemptForgiven)) == 3
    assert play.incidents.count("sick") == 2


def test_poison_fails_with_that_verdict() -> None:
    """The last message says how often it took its browser down, and that it was tried alone."""
    policy = msgspec.structs.replace(QUIET, max_retries=5)
    play = Playbook.working("A", workers=1, policy=policy)
    for _ in range(2):
        record = _failure(play.take(play.failed(1, Kind.BROWSER_LOST)))
        assert "at last alone" not in record.message
        play.pass_time(record.retry_in or 0.0)
    record = _failure(play.take(play.failed(1, Kind.BROWSER_LOST)))
    assert record.retry_in is None
    assert record.message == "no; it took its browser or worker down 3 times, at last alone"


@pytest.mark.parametrize("gap", [ev.LoopStalled(50.0), ev.MachineSlept(50.0)])
def test_time_outs_of_a_machine_that_stood_still_cost_nothing(gap: ev.Event) -> None:
    """What was under way in a suspend is not charged for a deadline, nor is the site suspected; later attempts are."""
    play = Playbook.working("A", "B", "C", "D", workers=3)
    play.take(gap)
    for slot, kind in ((1, Kind.TIMEOUT), (2, Kind.PAGE_HUNG), (3, Kind.BROWSER_LOST)):
        record = _failure(play.take(play.failed(slot, kind)))
        assert (record.counted, record.crashed) == (False, False)
    assert _failure(play.take(play.failed(1, Kind.PAGE_HUNG))).counted
    play = Playbook.working("A", "B", workers=2)
    play.take(gap)
    assert _failure(play.take(play.failed(1, Kind.NOT_FOUND))).counted
