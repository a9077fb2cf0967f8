"""The ledger's thread: batches are written in their order, and a disk that is full for a while loses none of them."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from supervisor.core.events import PauseRequested, ResumeRequested
from supervisor.core.records import AttemptSucceeded, Incident, Record
from supervisor.shell import ledger_thread
from supervisor.shell.inbox import Broken, Durable, Inbox, Item
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_records import LedgerConflict
from supervisor.shell.ledger_schema import LedgerUnwritableError
from supervisor.shell.ledger_thread import LedgerThread
from supervisor.views.metrics import Metrics


class Stubborn(Ledger):
    """A ledger whose disk is full for the first calls."""

    refusals = 0
    error: type[Exception] = LedgerUnwritableError

    def apply(self, records: Sequence[Record], wall: float) -> None:
        if self.refusals:
            self.refusals -= 1
            raise self.error("the disk is full")
        super().apply(records, wall)


def wait_for(inbox: Inbox, wanted: type, seconds: float = 10.0) -> list[Item]:
    """Collect what comes until something of the wanted kind does."""
    import select  # noqa: PLC0415 - only this helper waits

    items: list[Item] = []
    deadline = time.monotonic() + seconds
    while not any(isinstance(item, wanted) for item in items):
        left = deadline - time.monotonic()
        assert left > 0, f"no {wanted.__name__} came, only {items}"
        select.select([inbox], [], [], left)
        items += inbox.take()
    return items


def test_batches_are_reported_when_they_are_on_disk(tmp_path: Path) -> None:
    """`Durable` names the newest batch of a flush, and every record of it can be read by somebody else."""
    inbox = Inbox()
    with Ledger.create(tmp_path / "ledger.db", site="x", wall=0.0) as ledger:
        thread = LedgerThread(ledger, inbox, Metrics(0.0))
        thread.start()
        for batch in range(1, 21):
            thread.submit(batch, (Incident("started", f"batch {batch}"),))
        seen = 0
        while seen < 20:
            seen = max(item.batch for item in wait_for(inbox, Durable) if isinstance(item, Durable))
        thread.close()
    with Ledger.open(tmp_path / "ledger.db") as again:
        assert again._connection.execute("SELECT count(*) FROM incident").fetchone() == (20,)
    inbox.close()


def test_a_full_disk_pauses_the_run_and_loses_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is tried again until it is written; the run is paused meanwhile and goes on by itself."""
    monkeypatch.setattr(ledger_thread, "_RETRY_SECONDS", 0.01)
    inbox = Inbox()
    with Stubborn.create(tmp_path / "ledger.db", site="x", wall=0.0) as ledger:
        ledger.refusals = 3
        thread = LedgerThread(ledger, inbox, Metrics(0.0))
        thread.start()
        thread.submit(1, (Incident("started", "it counts"),))
        items = wait_for(inbox, Durable)
        kinds = [type(item) for item in items]
        assert kinds.count(PauseRequested) == 1
        assert kinds.index(PauseRequested) < kinds.index(ResumeRequested) < kinds.index(Durable)
        assert not thread.trouble
        thread.close()
    inbox.close()


@pytest.mark.parametrize("bug", [LedgerConflict, RuntimeError])
def test_a_bug_of_ours_ends_the_run(tmp_path: Path, bug: type[Exception]) -> None:
    """A conflict, or what nobody thought of, reaches the loop as such; nothing is called durable, and nobody waits."""
    inbox = Inbox()
    with Stubborn.create(tmp_path / "ledger.db", site="x", wall=0.0) as ledger:
        ledger.refusals, ledger.error = 1, bug
        thread = LedgerThread(ledger, inbox, Metrics(0.0))
        thread.start()
        thread.submit(1, (Incident("started", "wrong"),))
        items = wait_for(inbox, Broken)
        assert not any(isinstance(item, Durable) for item in items)
        thread.close()
    inbox.close()


@pytest.mark.parametrize(
    ("patience", "batches"),
    [
        (60.0, [(AttemptSucceeded(1, 1, (), ()),), (Incident("started", "urgent"),)]),
        (0.01, [(AttemptSucceeded(1, 1, (), ()),)]),
    ],
    ids=["until something urgent comes", "for a moment"],
)
def test_successes_wait_to_share_a_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, batches: list[tuple[Record, ...]]
) -> None:
    """Nobody waits for them: two records of two batches are one transaction, and one alone is not kept for long."""
    monkeypatch.setattr(ledger_thread, "_PATIENCE", patience)
    applied: list[list[Record]] = []
    monkeypatch.setattr(Ledger, "apply", lambda _, records, wall: applied.append(list(records)))
    inbox = Inbox()
    with Ledger.create(tmp_path / "ledger.db", site="x", wall=0.0) as ledger:
        thread = LedgerThread(ledger, inbox, Metrics(0.0))
        thread.start()
        for number, records in enumerate(batches, 1):
            thread.submit(number, records)
        items = wait_for(inbox, Durable, 30.0)
        thread.close()
    assert items == [Durable(len(batches))]
    assert applied == [[record for records in batches for record in records]]
    inbox.close()


def test_closing_gives_up_on_a_disk_that_stays_full(tmp_path: Path) -> None:
    """The end of the run does not hang on a disk that never takes anything again."""
    inbox = Inbox()
    with Stubborn.create(tmp_path / "ledger.db", site="x", wall=0.0) as ledger:
        ledger.refusals = 1_000_000
        thread = LedgerThread(ledger, inbox, Metrics(0.0))
        thread.start()
        thread.submit(1, (Incident("started", "never"),))
        wait_for(inbox, PauseRequested)
        closer = threading.Thread(target=thread.close)
        closer.start()
        closer.join(10.0)
        assert not closer.is_alive()
    inbox.close()
