"""The store: what it does to files is done in threads, and what becomes of it is said."""

from contextlib import closing

from supervisor.core.commands import Withdraw
from supervisor.shell.evidence_limits import EvidenceLimits
from supervisor.shell.inbox import Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.store import Store as Threads
from tests.shell.stores import Store


def test_doubted_documents_are_taken_away_and_the_log_says_where_they_are(store: Store) -> None:
    """In a thread, so that the loop waits for no disk; closing waits for what was begun."""
    (entry,) = store.ledger.import_references(["A"]).entries
    folder = store.complete(entry, 1)
    with (
        closing(Inbox()) as inbox,
        closing(Journal(store.run.logs / "supervisor.log", as_json=False, rotation=10**7, retention=1)) as journal,
    ):
        threads = Threads(store.run, store.ledger, inbox, journal, EvidenceLimits(store.run, 10, 10**6))
        threads.withdraw(Withdraw(1, entry.ref_id, entry.ref))
        threads.close()
    assert not folder.exists()
    (kept,) = store.run.quarantine.glob("*/*")
    assert str(kept) in (store.run.logs / "supervisor.log").read_text()
