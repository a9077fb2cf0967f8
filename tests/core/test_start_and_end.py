"""From the start of a run to its end: children, login, inventory, the first references, the exit code."""

import pytest

from supervisor.core import commands as co
from supervisor.core import events as ev
from supervisor.core.records import (
    AttemptStarted,
    AttemptSucceeded,
    Entry,
    ReferenceGivenUp,
    ReferenceReopened,
)
from tests.core.playbook import DOCUMENT, QUIET, Playbook, assigned, entries, finish, records
from worker.protocol import (
    Assign,
    BrowserStarted,
    ErrandFailed,
    ExportInventory,
    Heartbeat,
    Hello,
    InventoryExported,
    Kind,
    LoggedIn,
    LogIn,
    Ready,
    ShutDown,
    Succeeded,
    UseSession,
)


def test_a_whole_run() -> None:
    """Two workers, a login, an export, one reference; then everybody leaves and the run ends with 0."""
    with Playbook.new(workers=2, has_inventory=False) as play:
        play >> ev.TimePassed() << co.Spawn(1, 1) << co.Spawn(2, 2)
        play >> play.of(1, Hello(1, 100))
        play >> play.of(1, BrowserStarted(101, 102, "156"))
        play >> play.of(1, Ready()) << co.Send(1, 1, LogIn(1, "/s/errand-1", 120.0))
        play >> play.of(2, Ready())
        play >> play.of(1, LoggedIn(1, b"s")) << co.Send(1, 1, ExportInventory(2, "/s/errand-2", 120.0))
        play >> play.of(1, InventoryExported(2, "i.csv", "Stock", ",", "utf-8"))
        play << co.LoadInventory(2, "i.csv", "Stock", ",", "utf-8")
        play >> ev.InventoryLoaded((Entry(1, "A"),))
        play << co.Write(AttemptStarted(1, 1, 1, 1, 1))
        play << co.Send(1, 1, Assign(1, "A", 1, last=False, staging="/s/1", deadline=180.0))
        play >> play.of(1, Succeeded(1, (DOCUMENT,))) << co.Publish(1, 1, "A", 1, (DOCUMENT,))
        play >> ev.Published(1, (DOCUMENT,)) << co.Write(AttemptSucceeded(1, 1, (DOCUMENT,), ()))
        play << co.Send(1, 1, ShutDown()) << co.Send(2, 2, ShutDown())
        play >> play.exited(1, 0) << co.Kill(1, 1, "left", evidence=False)
        play >> play.exited(2, 0) << co.Kill(2, 2, "left", evidence=False)
        play >> play.gone(1)
        play >> play.gone(2) << co.Finish(0, "finished: all 1 references completed")
        play >> ev.TimePassed()
        assert play.machine.next_deadline() == play.now + 60.0


def test_an_inventory_on_another_night_brings_back_what_is_done_again() -> None:
    """What was completed or had failed is counted where it is now; a retry that came too late adds nothing."""
    with Playbook.new(workers=1, has_inventory=False, completed=3, failed=2) as play:
        play >> ev.TimePassed() << co.Spawn(1, 1)
        play >> play.of(1, Ready()) << co.Send(1, 1, LogIn(1, "/s/errand-1", 120.0))
        play >> play.of(1, LoggedIn(1, b"s")) << co.Send(1, 1, ExportInventory(2, "/s/errand-2", 120.0))
        play >> play.of(1, InventoryExported(2, "i.csv", "Stock", ",", "utf-8"))
        play << co.LoadInventory(2, "i.csv", "Stock", ",", "utf-8")
        loaded = (Entry(1, "A"), Entry(5, "E"), Entry(6, "F"))
        play >> ev.InventoryLoaded(loaded, completed_before=1, failed_before=(5,))
        play << co.Write(AttemptStarted(1, 1, 1, 1, 1))
        play << co.Send(1, 1, Assign(1, "A", 1, last=False, staging="/s/1", deadline=180.0))
        totals = play.machine.run.queue.totals()
        assert (totals.total, totals.ready, totals.in_progress, totals.completed, totals.failed) == (6, 2, 1, 2, 1)
        play >> ev.RetryRequested((Entry(5, "E"),))
        assert play.machine.run.queue.totals() == totals
        play.machine.check_invariants()


def test_the_session_goes_to_the_others_before_their_first_reference() -> None:
    """Login happens once; whoever did not log in gets the session, once, before the reference."""
    with Playbook.new("A", "B", "C") as play:
        play.take(ev.TimePassed())
        play.take(play.of(1, Ready()))
        play.take(play.of(2, Ready()))
        play >> play.of(1, LoggedIn(1, b"s"))
        play << co.Write << co.Send(1, 1, Assign(1, "A", 1, last=False, staging="/s/1", deadline=180.0))
        play << co.Write << co.Send(2, 2, UseSession(b"s")) << co.Send
        play >> play.of(2, Succeeded(2, ())) << co.Publish << co.Write << co.Send


def test_nothing_to_do_ends_at_once() -> None:
    """A run that is complete already starts nobody."""
    commands = Playbook.new(completed=3).take(ev.TimePassed())
    assert commands == [co.Finish(0, "finished: all 3 references completed")]
    commands = Playbook.new(completed=3, failed=1).take(ev.TimePassed())
    assert commands == [co.Finish(1, "finished: 3 references completed, 1 failed")]


def test_no_more_children_than_references() -> None:
    """One reference needs one worker."""
    assert len(Playbook.new("A", workers=5).take(ev.TimePassed())) == 1


def test_what_has_no_attempt_left_is_given_up_at_the_start() -> None:
    """A reference that takes the machine down with it is not tried for ever; its last failure is recorded."""
    play = Playbook.new(entries=entries("A", attempts=3))
    commands = play.take(ev.TimePassed())
    (given_up,) = records(commands, ReferenceGivenUp)
    assert (given_up.ref_id, given_up.kind) == (1, Kind.SUPERVISOR_LOST)
    assert finish(commands).code == 1


def test_attempts_go_on_where_the_last_run_left_them() -> None:
    """Numbers of attempts are never used twice, and the last attempt is told that it is the last."""
    play = Playbook.new(entries=entries("A", attempts=2), next_attempt=41, workers=1)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    commands = play.take(play.of(1, LoggedIn(1, b"s")))
    assert records(commands, AttemptStarted) == [AttemptStarted(41, 1, 3, 1, 1)]
    assign = commands[-1]
    assert isinstance(assign, co.Send)
    assert isinstance(assign.message, Assign)
    assert assign.message.last


def test_an_export_that_is_no_inventory_ends_the_run() -> None:
    """Exit 2, with the sentence of what was found."""
    play = Playbook.new(workers=1, has_inventory=False)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    play.take(play.of(1, LoggedIn(1, b"s")))
    play.take(play.of(1, InventoryExported(2, "i.csv", "Stock", ",", "utf-8")))
    play.take(ev.InventoryRejected("it is a web page"))
    play.take(play.exited(1, 0))
    end = finish(play.take(play.gone(1)))
    assert (end.code, end.reason) == (2, "the inventory export cannot be used: it is a web page")


@pytest.mark.parametrize(
    ("kind", "code"),
    [(Kind.LOGIN_REFUSED, 4), (Kind.RECIPE_ERROR, 2), (Kind.CERTIFICATE, 2)],
)
def test_a_first_login_that_cannot_succeed_ends_the_run_at_once(kind: Kind, code: int) -> None:
    """Nobody tries again: the account would be locked, or the recipe is wrong."""
    play = Playbook.new("A", workers=1)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    commands = play.take(play.of(1, ErrandFailed(1, kind, "no", ready=True)))
    assert commands == [co.DiscardErrand(1, "login", kind.value, "no"), co.Send(1, 1, ShutDown())]
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))).code == code


def test_a_refused_login_in_mid_run_lets_the_others_finish_and_never_logs_in_again() -> None:
    """The session ends, the new login is refused: exit 4 when what is in flight is done."""
    play = Playbook.working("A", "B", "C")
    play.take(play.failed(1, Kind.SESSION_EXPIRED))
    commands = play.take(play.of(1, ErrandFailed(2, Kind.LOGIN_REFUSED, "locked", ready=True)))
    assert commands == [co.DiscardErrand(2, "login", "login_refused", "locked"), co.Send(1, 1, ShutDown())]
    play.succeed(2)
    for slot in (1, 2):
        play.take(play.exited(slot, 0))
    play.take(play.gone(1))
    assert finish(play.take(play.gone(2))) == co.Finish(4, "the site refused the login: locked")


def test_a_refused_login_in_mid_attempt_ends_the_run_too() -> None:
    """A recipe that logs in by itself and is refused must not do so again and again."""
    play = Playbook.working("A", "B", workers=1)
    play.take(play.failed(1, Kind.LOGIN_REFUSED))
    play.take(play.exited(1, 0))
    assert finish(play.take(play.gone(1))).code == 4
    assert play.totals() == (2, 0, 0, 0, 0)


def test_a_first_login_that_fails_otherwise_is_tried_three_times() -> None:
    """With growing pauses; then the run stops, resumable."""
    play = Playbook.new("A", workers=1)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    for errand, pause in ((1, 5.0), (2, 10.0)):
        commands = play.take(play.of(1, ErrandFailed(errand, Kind.LOGIN_FAILED, "no", ready=True)))
        assert commands == [co.DiscardErrand(errand, "login", "login_failed", "no")]
        assert play.machine.next_deadline() == play.now + pause
        assert play.pass_time(pause) == [co.Send(1, 1, LogIn(errand + 1, f"/s/errand-{errand + 1}", 120.0))]
    play.take(play.of(1, ErrandFailed(3, Kind.LOGIN_FAILED, "no", ready=False)))
    end = finish(play.take(play.gone(1)))
    assert (end.code, end.reason) == (3, "the login did not succeed in 3 tries: no")


def test_a_failed_export_is_forgotten_when_the_next_succeeds() -> None:
    """Hours later, nobody takes it for a login that never succeeds."""
    play = Playbook.new(workers=1, has_inventory=False, policy=QUIET)
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    play.take(play.of(1, LoggedIn(1, b"s")))
    commands = play.take(play.of(1, ErrandFailed(2, Kind.TIMEOUT, "slow", ready=True)))
    assert commands == [co.DiscardErrand(2, "export", "timeout", "slow")]
    assert play.pass_time(10.0) == [co.Send(1, 1, ExportInventory(3, "/s/errand-3", 120.0))]
    play.take(play.of(1, InventoryExported(3, "i.csv", "Stock", ",", "utf-8")))
    play.take(ev.InventoryLoaded(entries("A")))
    play.take(ev.LoopStalled(20_000.0))
    play.now += 20_000.0
    play.take(ev.TimePassed())
    assert play.machine.run.ending is None


def test_a_worker_that_dies_on_an_errand_has_failed_it() -> None:
    """Another worker logs in, after the tree is dead and the pause is over; not before."""
    play = Playbook.new("A", "B")
    play.take(ev.TimePassed())
    play.take(play.of(1, Ready()))
    play.take(play.of(2, Ready()))
    assert [type(command) for command in play.take(play.exited(1))] == [co.Kill]
    assert [type(command) for command in play.take(play.gone(1))] == [co.DiscardErrand, co.Spawn]
    assert play.pass_time(5.0) == [co.Send(2, 2, LogIn(2, "/s/errand-2", 120.0))]


def test_wrong_answers_change_nothing() -> None:
    """Old incarnations, other attempts, errands of others, second answers: no command follows."""
    with Playbook.working("A", "B", "C", "D") as play:
        attempt = play.attempt(1)
        play >> ev.WorkerSpoke(1, 99, Succeeded(attempt, ()))
        play >> ev.WorkerSpoke(9, 1, Succeeded(attempt, ()))
        play >> play.of(2, Succeeded(attempt, ()))
        play >> play.of(1, LoggedIn(1, b"x"))
        play >> play.of(1, InventoryExported(1, "x", "y", ",", "utf-8"))
        play >> play.of(1, ErrandFailed(1, Kind.LOGIN_REFUSED, "", ready=True))
        play >> play.of(1, Ready())
        play >> play.of(1, Heartbeat(attempt, "open", float("inf")))
        play >> ev.Published(attempt, ())
        play >> ev.PublishFailed(attempt, Kind.DISK_FULL, "")
        play >> ev.TreeGone(1, 1)
        assert play.machine.run.slots[1].step == "open"
        play.take(play.of(1, Succeeded(attempt, ())))
        play >> play.of(1, Succeeded(attempt, ()))


def test_time_never_goes_back() -> None:
    """The clock of the core is monotonic, or it is a bug of the shell's."""
    play = Playbook.working("A", workers=1)
    play.now -= 1.0
    with pytest.raises(AssertionError, match="time went back"):
        play.take(ev.TimePassed())


def test_statistics_are_logged_every_watchdog_interval() -> None:
    """They add up."""
    play = Playbook.working("A", "B", "C")
    play.pass_time(60.0)
    assert play.said[-1].text == (
        "queue: 0 completed, 0 failed, 2 in progress, 0 waiting for a retry, 1 pending, 3 in all"
    )


def test_references_reopened_while_the_last_workers_leave_go_on() -> None:
    """A run that was finished goes on, with the workers that are started anew."""
    play = Playbook.working("A", workers=1)
    commands = play.take(play.failed(1, Kind.NOT_FOUND))
    assert commands[-1] == co.Send(1, 1, ShutDown())
    commands = play.take(ev.RetryRequested(entries("A")))
    assert records(commands, ReferenceReopened) == [ReferenceReopened(1)]
    play.take(play.exited(1, 0))
    assert [type(command) for command in play.take(play.gone(1))] == [co.Spawn]
    assert assigned(play.take(play.of(1, Ready()))) == ["A"]
    assert play.take(ev.RetryRequested(entries("A"))) == []
