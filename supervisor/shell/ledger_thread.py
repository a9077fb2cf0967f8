"""The ledger's own thread: while one flush is under way the next batches gather, and share the flush after it.

A reference costs two records: that its attempt starts, for which a worker waits, and that it succeeded, for which
nobody does. So successes wait a moment for the next start, and share its flush too. A crash meanwhile costs nothing:
the documents are in place, and the next start adopts them.
"""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from supervisor.core.events import PauseRequested, ResumeRequested
from supervisor.core.records import AttemptSucceeded, Record
from supervisor.shell.inbox import Broken, Durable, Inbox
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_schema import LedgerUnwritableError
from supervisor.views.metrics import Metrics

_RETRY_SECONDS = 1.0
_PATIENCE = 0.2
"""Seconds for which successes wait for something that is more urgent."""
_CAUSE = "ledger"


class LedgerThread:
    """Implements the conductor's ledger port over a real ledger."""

    def __init__(
        self,
        ledger: Ledger,
        inbox: Inbox,
        metrics: Metrics,
        written: Callable[[list[Record]], None] = lambda _: None,
    ) -> None:
        """`written` is told, in this thread, of the records that are on disk."""
        self._ledger = ledger
        self._inbox = inbox
        self._metrics = metrics
        self._written = written
        self._batches: SimpleQueue[tuple[int, tuple[Record, ...]] | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger")
        self.trouble = ""
        """Why nothing can be written at present; nothing when all is well."""

    def start(self) -> None:
        """Begin to write what is submitted."""
        self._thread.start()

    def submit(self, batch: int, records: tuple[Record, ...]) -> None:
        """Begin to write a batch; `Durable` comes when it is on disk."""
        now = time.monotonic()
        for record in records:
            self._metrics.seen(record, now)
        self._batches.put((batch, records))

    def close(self) -> None:
        """Write what was submitted, unless nothing can be written, and end the thread."""
        self._closing.set()
        self._batches.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._write_all()
        except Exception as error:  # noqa: BLE001 - a bug must end the run, or all that waits for the ledger waits for ever
            self._inbox.put(Broken(error))

    def _write_all(self) -> None:
        ended = False
        while not ended:
            waiting = self._gather()
            ended = None in waiting
            batches = [batch for batch in waiting if batch is not None]
            if batches and self._write([record for _, records in batches for record in records]):
                self._inbox.put(Durable(batches[-1][0]))

    def _gather(self) -> list[tuple[int, tuple[Record, ...]] | None]:
        """Wait for something to write; return all that there is then."""
        waiting = [self._batches.get()]
        until = time.monotonic() + _PATIENCE
        while _can_wait(waiting[-1]):
            try:
                waiting.append(self._batches.get(timeout=max(until - time.monotonic(), 0.0)))
            except Empty:
                break
        while True:
            try:
                waiting.append(self._batches.get_nowait())
            except Empty:
                return waiting

    def _write(self, records: list[Record]) -> bool:
        """Write until it is written. Says False when there is no more point in trying.

        Raises:
            LedgerConflict: a bug of ours; nothing of it is written.
        """
        while True:
            try:
                self._ledger.apply(records, time.time())
            except LedgerUnwritableError as error:
                if not self.trouble:
                    self._inbox.put(PauseRequested(_CAUSE, f"the ledger cannot be written: {error}"))
                self.trouble = str(error)
                if self._closing.wait(_RETRY_SECONDS):
                    return False
            else:
                self._written(records)
                if self.trouble:
                    self.trouble = ""
                    self._inbox.put(ResumeRequested(_CAUSE))
                return True


def _can_wait(batch: tuple[int, tuple[Record, ...]] | None) -> bool:
    return batch is not None and all(isinstance(record, AttemptSucceeded) for record in batch[1])
