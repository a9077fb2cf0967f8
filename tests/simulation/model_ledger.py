"""The ledger's semantics without SQLite: what a record changes, from which state it may, and what a crash leaves."""

from collections.abc import Iterable

from supervisor.core.backlog import Backlog
from supervisor.core.records import (
    AttemptFailed,
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
from tests.simulation.oracle import Violation, demand
from worker.protocol import Kind

_MINUTE = 60.0


class Row:
    """One reference."""

    __slots__ = ("attempt", "attempts", "crashes", "error", "ref", "ref_id", "retry_at", "state")

    def __init__(self, ref_id: int, ref: str) -> None:
        self.ref_id = ref_id
        self.ref = ref
        self.state = "pending"
        self.attempts = 0
        self.crashes = 0
        self.attempt = 0
        self.retry_at = 0.0
        self.error: Kind | None = None


def _last(row: Row) -> int:
    return row.attempt


class ModelLedger:
    """What is durable. `applied` counts the records."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.outcomes: dict[int, str] = {}
        self.applied = 0
        self.started: list[float] = []
        self.doubted: set[int] = set()
        """Attempts whose documents do not count any more."""
        self.max_attempts = 1

    def load(self, refs: Iterable[str]) -> tuple[Entry, ...]:
        """Take references that are new; durable at once."""
        known = {row.ref for row in self.rows.values()}
        entries = []
        for ref in refs:
            if ref not in known:
                ref_id = len(self.rows) + 1
                self.rows[ref_id] = Row(ref_id, ref)
                entries.append(Entry(ref_id, ref))
        return tuple(entries)

    def apply(self, records: Iterable[Record], now: float) -> None:
        """Apply one batch.

        Raises:
            Violation: a record does not follow from what is there.
        """
        for record in records:
            self.applied += 1
            match record:
                case AttemptStarted(attempt=attempt, ref_id=ref_id, number=number):
                    row = self._row(record, ref_id, "pending", "waiting")
                    demand(attempt not in self.outcomes, "{}: the attempt's id was used before", record)
                    row.state, row.attempt, row.attempts = "in_progress", attempt, row.attempts + 1
                    demand(row.attempts == number, "{}: the ledger counts {}", record, row.attempts)
                    demand(number <= self.max_attempts, "{}: more attempts than allowed", record)
                    self.outcomes[attempt] = "running"
                    self.started.append(now)
                case AttemptSucceeded(attempt=attempt, ref_id=ref_id):
                    row = self._row(record, ref_id, "in_progress", attempt=attempt)
                    row.state = "completed"
                    self.outcomes[attempt] = "succeeded"
                case SuccessDoubted(attempt=attempt, ref_id=ref_id):
                    row = self._row(record, ref_id, "completed", attempt=attempt)
                    row.state, row.attempts, row.error = "pending", row.attempts - 1, Kind.SESSION_EXPIRED
                    self.outcomes[attempt] = "uncounted"
                    self.doubted.add(attempt)
                case AttemptFailed(attempt=attempt, ref_id=ref_id):
                    row = self._row(record, ref_id, "in_progress", attempt=attempt)
                    row.attempts -= not record.counted
                    row.crashes += record.crashed
                    row.error = record.kind
                    row.state = "failed" if record.retry_in is None else "waiting" if record.retry_in else "pending"
                    row.retry_at = now + (record.retry_in or 0.0)
                    self.outcomes[attempt] = "failed" if record.counted else "uncounted"
                case AttemptForgiven(attempt=attempt, ref_id=ref_id, reopen=reopen):
                    states = ("failed",) if reopen else ("pending", "waiting", "in_progress")
                    row = self._row(record, ref_id, *states)
                    demand(self.outcomes.get(attempt) == "failed", "{}: {}", record, self.outcomes.get(attempt))
                    demand(row.attempts > 0, "{}: nothing is counted", record)
                    row.attempts -= 1
                    row.state = "pending" if reopen else row.state
                    self.outcomes[attempt] = "uncounted"
                case ReferenceGivenUp(ref_id=ref_id, kind=kind):
                    row = self._row(record, ref_id, "pending", "waiting")
                    demand(row.attempts >= self.max_attempts, "{}: given up after {}", record, row.attempts)
                    row.state, row.error = "failed", kind
                case ReferenceReopened(ref_id=ref_id):
                    row = self._row(record, ref_id, "failed")
                    row.state, row.attempts, row.crashes = "pending", 0, 0
                case Incident():
                    pass

    def _row(self, record: Record, ref_id: int, *states: str, attempt: int | None = None) -> Row:
        row = self.rows[ref_id]
        if row.state not in states or (attempt is not None and row.attempt != attempt):
            raise Violation(f"ledger conflict: {record}, but it is {row.state}, last attempt {row.attempt}")
        return row

    def recover(self, published: dict[int, int], now: float) -> Backlog:
        """After a crash: adopt what was published by an attempt still under way, close the others; then the backlog.

        Args:
            published: attempt that published, by reference.
            now: the time.

        Raises:
            Violation: documents and rows disagree.
        """
        for ref_id, row in self.rows.items():
            by = published.get(ref_id)
            if row.state == "in_progress":
                adopted = by == row.attempt
                row.state = "completed" if adopted else "pending"
                self.outcomes[row.attempt] = "succeeded" if adopted else "failed"
                row.error = None if adopted else Kind.SUPERVISOR_LOST
            if row.state == "completed":
                demand(
                    by == row.attempt, "{} is completed by {}, but its documents are of {}", row.ref, row.attempt, by
                )
            else:
                demand(
                    by is None,
                    "{} is {}, but documents of attempt {} are in place",
                    row.ref,
                    row.state,
                    by,
                )
        rows = self.rows.values()
        return Backlog(
            next_attempt=max(self.outcomes, default=0) + 1,
            entries=tuple(
                Entry(row.ref_id, row.ref, row.attempts, row.crashes, max(0.0, row.retry_at - now))
                for row in rows
                if row.state in {"pending", "waiting"}
            ),
            completed=sum(row.state == "completed" for row in rows),
            failed=sum(row.state == "failed" for row in rows),
            has_inventory=bool(self.rows),
            served=tuple(row.ref for row in sorted(rows, key=_last, reverse=True) if row.state == "completed")[:5],
            started=tuple(now - at for at in self.started[-1000:] if now - at < _MINUTE),
        )
