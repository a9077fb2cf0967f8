"""Publishing, discarding and reading exports, in threads of their own; the answers come back as events."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from supervisor.core.commands import Discard, LoadInventory, Publish
from supervisor.core.events import InventoryLoaded, InventoryRejected, PublishFailed
from supervisor.shell.evidence_limits import EvidenceLimits
from supervisor.shell.inbox import Broken, Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_schema import LedgerError, LedgerUnwritableError
from supervisor.shell.publisher import Publisher, remove_staging
from supervisor.shell.references_file import ReferencesError, read_references
from supervisor.shell.run_directory import RunDirectory, replacing
from worker.protocol import Kind

_THREADS = 3
"""Flushing documents waits for the disk, so that several at a time cost little."""


class Store:
    """Implements the conductor's store port over the run directory."""

    def __init__(
        self, directory: RunDirectory, ledger: Ledger, inbox: Inbox, journal: Journal, limits: EvidenceLimits
    ) -> None:
        self._directory = directory
        self._ledger = ledger
        self._inbox = inbox
        self._journal = journal
        self._limits = limits
        self._publisher = Publisher(directory, ledger.folder_of, self._keep_within_limits)
        self._threads = ThreadPoolExecutor(_THREADS, "store")

    def publish(self, command: Publish) -> None:
        """Check, flush and rename into place what an attempt staged."""
        self._begin(lambda: self._publish(command))

    def discard(self, command: Discard) -> None:
        """Keep the evidence of a failed attempt, remove the rest."""
        self._begin(lambda: self._discard(command))

    def load_inventory(self, command: LoadInventory) -> None:
        """Read an export and write its references into the ledger."""
        self._begin(lambda: self._load_inventory(command))

    def close(self) -> None:
        """Finish what was begun."""
        self._threads.shutdown(wait=True)

    def _begin(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a bug in a thread must end the run, not vanish in its future
                self._inbox.put(Broken(error))

        self._threads.submit(guarded)

    def _publish(self, command: Publish) -> None:
        try:
            answer = self._publisher.publish(command)
        except OSError as error:
            answer = PublishFailed(
                command.attempt, Kind.PUBLISH_FAILED, f"the documents could not be put in place: {error}"
            )
        self._inbox.put(answer)

    def _discard(self, command: Discard) -> None:
        try:
            trouble = self._publisher.discard(command)
        except OSError as error:
            trouble = f"the evidence of attempt {command.attempt} could not be kept: {error}"
        if trouble:
            self._journal.note(trouble, "WARNING")

    def _keep_within_limits(self, folder: Path) -> None:
        try:
            thinned = self._limits.added(folder)
        except LedgerError as error:
            self._journal.note(f"the evidence could not be kept within its limits: {error}", "WARNING")
            return
        if thinned:
            self._journal.note(
                f"the evidence of {thinned} attempts was reduced to error.txt, to keep within evidence_limit"
                " and evidence_bytes"
            )

    def _load_inventory(self, command: LoadInventory) -> None:
        folder = self._directory.errand_staging(command.errand)
        source = folder / command.file
        if source.parent != folder or not source.is_file():
            self._inbox.put(InventoryRejected("the worker named a file that it did not bring"))
            return
        try:
            found = read_references(
                source, column=command.column, delimiter=command.delimiter, encoding=command.encoding
            )
            with source.open("rb") as exported, replacing(self._directory.inventory) as kept:
                shutil.copyfileobj(exported, kept)
            imported = self._ledger.import_references(found.names)
        except ReferencesError as error:
            place = f"{command.place}: " if command.place else ""
            self._inbox.put(InventoryRejected(place + str(error).replace(str(source), "the export")))
            return
        except (LedgerUnwritableError, OSError) as error:
            self._inbox.put(InventoryRejected(f"it could not be written down: {error}"))
            return
        if found.duplicates:
            self._journal.note(f"{found.duplicates} references stand in the export more than once; each is done once")
        remove_staging(folder)
        self._inbox.put(InventoryLoaded(imported.entries))
