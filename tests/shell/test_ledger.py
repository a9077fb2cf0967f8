"""What the ledger records, and what it refuses to."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.core.events import TimePassed, WorkerSpoke
from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.core.records import (
    AttemptForgiven,
    AttemptStarted,
    AttemptSucceeded,
    Entry,
    Incident,
    Record,
    ReferenceGivenUp,
    ReferenceReopened,
    SuccessDoubted,
)
from supervisor.errors import Exit
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_import import Again
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_records import LedgerConflict
from supervisor.shell.ledger_schema import (
    LedgerUnwritableError,
    seconds,
    utc,
)
from supervisor.views.status import Totals
from tests.shell.stores import WALL, Store, pdf
from worker.protocol import Kind, LoggedIn, Ready


def entries(store: Store, *refs: str) -> tuple[Entry, ...]:
    return store.ledger.import_references(refs).entries


def totals(store: Store) -> Totals:
    with LedgerReader(store.run.ledger) as reader:
        assert reader.totals() == reader.counted()
        return reader.totals()


def test_each_reference_is_imported_once(store: Store) -> None:
    """Names that come twice and names that are known are counted, and the new ones keep their order."""
    first = store.ledger.import_references(["B", "A", "B", "b"])
    assert [entry.ref for entry in first.entries] == ["B", "A", "b"]
    assert first.known == 1
    second = store.ledger.import_references(["A", "C", "C", "C", "B"])
    assert [entry.ref for entry in second.entries] == ["C"]
    assert second.known == 4
    folders = {store.ledger.folder_of(entry.ref_id) for entry in first.entries + second.entries}
    assert len({folder.casefold() for folder in folders}) == 4
    assert totals(store) == Totals(total=4, pending=4)


def test_an_import_is_all_or_nothing(store: Store) -> None:
    """When the list breaks off, none of it is in the ledger."""

    def broken() -> Iterator[str]:
        yield "A"
        raise OSError("the pipe broke")

    with pytest.raises(OSError, match="pipe broke"):
        store.ledger.import_references(broken())
    assert not store.ledger.backlog(WALL).has_inventory


def test_a_reference_goes_through_its_states(store: Store) -> None:
    """Started, failed, waiting, started again, completed: every count, time and error is in the ledger."""
    (entry,) = entries(store, "A")
    store.start(entry, 1)
    assert store.state("A") == "in_progress"
    store.fail(entry, 1, retry_in=5.0, crashed=True)
    backlog = store.ledger.backlog(WALL + 2)
    assert backlog.entries == (Entry(entry.ref_id, "A", attempts=1, crashes=1, retry_in=3.0),)
    assert backlog.next_attempt == 2
    assert totals(store) == Totals(total=1, waiting=1)
    store.start(entry, 2, number=2)
    store.succeed(entry, 2, store.stage(2, {"b.pdf": pdf("b"), "a.pdf": pdf("a")}))
    with LedgerReader(store.run.ledger) as reader:
        story = reader.story("A")
        assert reader.story("B") is None
    assert story is not None
    row = story.reference
    assert (row.state, row.attempts, row.worker, row.error_kind) == ("completed", 2, 1, None)
    assert row.finished_at == utc(WALL)
    assert [(a.number, a.outcome, a.kind) for a in story.attempts] == [(1, "failed", "timeout"), (2, "succeeded", None)]
    assert story.attempts[1].steps[0].seconds == 0.5
    assert [document.name for document in story.documents] == ["a.pdf", "b.pdf"]


def test_an_uncounted_attempt_is_taken_back(store: Store) -> None:
    """What was not the reference's fault costs it no attempt, and the try is in the history all the same."""
    (entry,) = entries(store, "A")
    store.start(entry, 1)
    store.fail(entry, 1, counted=False)
    assert store.ledger.backlog(WALL).entries == (Entry(entry.ref_id, "A", attempts=0),)
    with LedgerReader(store.run.ledger) as reader:
        assert [row.outcome for row in reader.story("A").attempts] == ["uncounted"]  # type: ignore[union-attr] # it is there


def test_an_attempt_can_be_forgiven_afterwards(store: Store) -> None:
    """An outage recognised late gives back the attempt, and reopens the reference that had failed by it."""
    one, other = entries(store, "A", "B")
    for attempt, (entry, retry_in) in enumerate([(one, 5.0), (other, None)], start=1):
        store.start(entry, attempt)
        store.fail(entry, attempt, retry_in=retry_in)
    forgiven = [AttemptForgiven(1, one.ref_id, reopen=False), AttemptForgiven(2, other.ref_id, reopen=True)]
    store.ledger.apply(forgiven, WALL)
    assert totals(store) == Totals(total=2, pending=1, waiting=1)
    assert [entry.attempts for entry in store.ledger.backlog(WALL).entries] == [0, 0]
    with pytest.raises(LedgerConflict):
        store.ledger.apply(forgiven[:1], WALL)


def test_a_success_that_is_doubted_makes_its_reference_pending_without_documents(store: Store) -> None:
    """The attempt is taken back, and what it brought is no longer accounted for."""
    (entry,) = entries(store, "A")
    store.start(entry, 1)
    store.ledger.apply([AttemptSucceeded(1, entry.ref_id, store.stage(1, {"a.pdf": pdf("a")}), ())], WALL)
    store.ledger.apply([SuccessDoubted(1, entry.ref_id)], WALL)
    assert totals(store) == Totals(total=1, pending=1)
    assert [one.attempts for one in store.ledger.backlog(WALL).entries] == [0]
    with LedgerReader(store.run.ledger) as reader:
        assert not reader.documents(entry.ref_id)
        attempt = reader.attempt(1)
        assert attempt is not None
        assert (attempt.outcome, attempt.kind) == ("uncounted", "session_expired")


def test_a_reference_is_given_up_and_reopened(store: Store) -> None:
    """Given up without an attempt it has failed, with its reason; reopened it begins anew."""
    (entry,) = entries(store, "A")
    store.ledger.apply([ReferenceGivenUp(entry.ref_id, Kind.SUPERVISOR_LOST, "no attempt is left")], WALL)
    with LedgerReader(store.run.ledger) as reader:
        assert [row.error_message for row in reader.failures("supervisor_lost")] == ["no attempt is left"]
        assert list(reader.failures("timeout")) == []
    assert store.ledger.backlog(WALL).failed == 1
    store.ledger.apply([ReferenceReopened(entry.ref_id), Incident("retried", "asked for", ref_id=entry.ref_id)], WALL)
    assert store.ledger.backlog(WALL).entries == (entry,)
    with LedgerReader(store.run.ledger) as reader:
        assert [row.what for row in reader.incidents()] == ["retried"]
        assert list(reader.incidents(after=1)) == []


@pytest.mark.parametrize(
    "record",
    [
        AttemptStarted(2, 1, 2, slot=1, incarnation=1),
        AttemptSucceeded(9, 1, (), ()),
        AttemptSucceeded(1, 2, (), ()),
        AttemptStarted(1, 2, 1, slot=1, incarnation=1),
        AttemptStarted(2, 99, 1, slot=1, incarnation=1),
        ReferenceReopened(1),
        SuccessDoubted(1, 1),
        ReferenceGivenUp(1, Kind.TIMEOUT, ""),
        AttemptForgiven(1, 1, reopen=False),
    ],
)
def test_a_record_that_does_not_follow_refuses_its_whole_batch(store: Store, record: Record) -> None:
    """A second live attempt, an answer of a dead one, a reopening of what goes on: nothing of the batch is written."""
    first, _ = entries(store, "A", "B")
    store.start(first, 1)
    with pytest.raises(LedgerConflict):
        store.ledger.apply([Incident("before", "in the same batch"), record], WALL)
    with LedgerReader(store.run.ledger) as reader:
        assert list(reader.incidents()) == []
    assert totals(store) == Totals(total=2, pending=1, in_progress=1)
    store.fail(first, 1)


def test_the_attempt_of_a_lost_supervisor_stays_counted(store: Store) -> None:
    """After a crash its reference is pending with the attempt counted, and the attempt has failed as lost."""
    (entry,) = entries(store, "A")
    store.start(entry, 7)
    assert [(live.attempt, live.ref, live.folder) for live in store.ledger.live_attempts()] == [(7, "A", "A")]
    backlog = store.ledger.backlog(WALL)
    assert (backlog.entries, backlog.next_attempt) == ((Entry(entry.ref_id, "A", attempts=1),), 8)
    with LedgerReader(store.run.ledger) as reader:
        row = reader.attempt(7)
    assert row is not None
    assert (row.outcome, row.kind) == ("failed", "supervisor_lost")


def test_a_start_knows_what_was_started_in_the_last_minute(store: Store) -> None:
    """Limits on references a minute hold across a restart; a clock that was put back counts them as of now."""
    first, second, third = entries(store, "A", "B", "C")
    for later, entry in ((0.0, first), (30.0, second), (50.0, third)):
        store.wall = WALL + later
        store.start(entry, entry.ref_id)
    assert store.ledger.backlog(WALL + 60.0).started == (30.0, 10.0)
    assert store.ledger.backlog(WALL + 40.0).started == (40.0, 10.0, 0.0)
    assert store.ledger.backlog(WALL + 500.0).started == ()


def test_a_restart_goes_on_within_the_minute_of_the_former_start(tmp_path: Path) -> None:
    """Three a minute: what the ledger says was started before the supervisor died counts for the next one."""
    store = Store(tmp_path / "run")
    for number, entry in enumerate(entries(store, *"ABCDEF")[:3], 1):
        attempt = AttemptStarted(number, entry.ref_id, 1, slot=1, incarnation=1)
        store.ledger.apply([attempt], WALL + 10.0 * number)
    store.close()
    with Ledger.open(store.run.ledger) as ledger:
        backlog = ledger.backlog(WALL + 35.0)
    machine = Machine(Policy(references_per_minute=3, worker_delay=0.0, heartbeat_timeout=1e6), 1, backlog, now=1000.0)
    machine.handle(TimePassed(), 1000.0)
    machine.handle(WorkerSpoke(1, 1, Ready()), 1001.0)
    machine.handle(WorkerSpoke(1, 1, LoggedIn(1, b"session")), 1002.0)
    assert not machine.run.attempts
    machine.handle(TimePassed(), 1034.9)
    assert not machine.run.attempts
    machine.handle(TimePassed(), 1035.0)
    assert len(machine.run.attempts) == 1, "60 s after the first of the three"


def test_a_start_knows_some_references_that_were_served_before(store: Store) -> None:
    """The latest five that brought documents, the latest first; a doubted one does not count."""
    for number, entry in enumerate(entries(store, *"ABCDEFGH"), 1):
        store.start(entry, number)
        if entry.ref in "BG":
            store.ledger.apply([AttemptSucceeded(number, entry.ref_id, (), ())], WALL)
        elif entry.ref != "C":
            store.succeed(entry, number, store.stage(number, {"a.pdf": pdf("a")}))
        if entry.ref == "F":
            store.ledger.apply([SuccessDoubted(number, entry.ref_id)], WALL)
    assert store.ledger.backlog(WALL).served == ("H", "E", "D", "A")


def test_every_start_of_a_supervisor_is_recorded(store: Store) -> None:
    """An orderly end has its code and reason; a start that was never ended is told when the next one begins."""
    store.ledger.begin_run(pid=11, workers=5, wall=WALL)
    assert store.ledger.begin_run(pid=12, workers=3, wall=WALL) == 2
    store.ledger.end_run(3, "interrupted", WALL + 60)
    with LedgerReader(store.run.ledger) as reader:
        lost, ended = reader.runs()
    assert (lost.exit_code, lost.ended_at, lost.reason) == (
        None,
        None,
        "the supervisor or the machine went down during the run",
    )
    assert (ended.exit_code, ended.workers, ended.reason, ended.ended_at) == (3, 3, "interrupted", utc(WALL + 60))
    assert seconds(utc(WALL + 0.25)) == WALL + 0.25


def test_anybody_may_read_while_the_run_writes(store: Store) -> None:
    """A reader in the middle of its queries neither blocks a record nor sees half a batch."""
    one, other = entries(store, "A", "B")
    with LedgerReader(store.run.ledger) as reader:
        with reader.snapshot():
            assert reader.totals().pending == 2
            store.start(one, 1)
            store.start(other, 2)
            assert reader.totals().pending == 2
        assert reader.totals().in_progress == 2


def test_several_threads_may_write(store: Store) -> None:
    """Records and imports from different threads come one after the other, each whole."""
    held = entries(store, *(f"A-{n}" for n in range(20)))
    threads = [threading.Thread(target=store.start, args=(entry, entry.ref_id)) for entry in held]
    threads.append(threading.Thread(target=entries, args=(store, *(f"B-{n}" for n in range(200)))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(store) == Totals(total=220, pending=200, in_progress=20)


def test_a_batch_that_cannot_be_written_can_be_tried_again(store: Store) -> None:
    """A full disk refuses the batch as a whole; when there is room, the same batch goes in."""
    held = entries(store, *(f"A-{n}" for n in range(50)))
    batch: list[Record] = [AttemptStarted(entry.ref_id, entry.ref_id, 1, slot=1, incarnation=1) for entry in held]
    batch += [Incident("note", "x" * 4000)] * 100
    connection = store.ledger._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerUnwritableError, match="full") as caught:
        store.ledger.apply(batch, WALL)
    assert caught.value.exit_code == Exit.MACHINE
    assert totals(store) == Totals(total=50, pending=50)
    connection.execute("PRAGMA max_page_count = 1000000")
    store.ledger.apply(batch, WALL)
    assert totals(store) == Totals(total=50, in_progress=50)


def test_references_that_are_done_are_imported_again_only_when_that_is_asked_for(tmp_path: Path) -> None:
    """Their documents stay on record until others take their place; what is not named stays as it is."""
    store = Store(tmp_path / "run")
    done, failed, other = entries(store, "done", "failed", "other")
    for number, entry in enumerate((done, other), 1):
        store.complete(entry, number)
    store.start(failed, 3)
    store.fail(failed, 3, retry_in=None)
    assert store.ledger.import_references(["done", "failed"]).again == Again()
    assert store.ledger.import_references(["done", "failed"], done_before=WALL).again == Again()
    assert (store.ledger.has_done(WALL), store.ledger.has_done(WALL + 1)) == (False, True)
    found = store.ledger.import_references(["new", "failed", "done", "done"], done_before=WALL + 1)
    assert [entry.ref for entry in found.entries] == ["new", "failed", "done"]
    assert [entry.attempts for entry in found.entries] == [0, 0, 0]
    assert (found.again, found.known) == (Again(completed=1, failed=(failed.ref_id,)), 1)
    assert totals(store) == Totals(total=4, pending=3, waiting=0, in_progress=0, completed=1, failed=0)
    with LedgerReader(store.run.ledger) as reader:
        assert len(reader.documents(done.ref_id)) == 1
        assert reader.totals() == reader.counted()
    store.complete(done, 4)
    assert store.ledger.import_references(["done"], done_before=WALL + 1).entries == (Entry(done.ref_id, "done"),)
    store.close()
