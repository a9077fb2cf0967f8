"""Publishing, discarding and reading exports, in threads of their own; the answers come back as events."""

import shutil
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from supervisor.core.commands import Discard, DiscardErrand, LoadInventory, Publish, Withdraw
from supervisor.core.events import InventoryLoaded, InventoryRejected, PublishFailed
from supervisor.shell.evidence_limits import EvidenceLimits
from supervisor.shell.inbox import Broken, Inbox
from supervisor.shell.journal import Journal
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_schema import LedgerError, LedgerUnwritableError
from supervisor.shell.manifest import unsafe_name
from supervisor.shell.publisher import Publisher, remove_staging
from supervisor.shell.references_file import ReferencesError, read_references
from supervisor.shell.run_directory import RunDirectory, replacing
from worker.protocol import Kind

_THREADS = 3
"""Flushing documents waits for the disk, so that several at a time cost little."""


class Store:
    """Implements the conductor's store port over the run directory."""

    def __init__(
        self,
        directory: RunDirectory,
        ledger: Ledger,
        inbox: Inbox,
        journal: Journal,
        limits: EvidenceLimits,
        *,
        done_before: float | None = None,
    ) -> None:
        """`done_before`, seconds since the epoch: what an export names and was done before then is done again."""
        self._directory = directory
        self._ledger = ledger
        self._inbox = inbox
        self._journal = journal
        self._done_before = done_before
        self._limits = limits
        self._publisher = Publisher(directory, ledger.folder_of, self._keep_within_limits)
        self._threads = ThreadPoolExecutor(_THREADS, "store")

    def publish(self, command: Publish) -> None:
        """Check, flush and rename into place what an attempt staged."""
        self._begin(lambda: self._publish(command))

    def discard(self, command: Discard) -> None:
        """Keep the evidence of a failed attempt, remove the rest."""
        self._begin(lambda: self._discard(command))

    def withdraw(self, command: Withdraw) -> None:
        """Move documents that do not count any more into quarantine."""
        self._begin(lambda: self._withdraw(command))

    def discard_errand(self, command: DiscardErrand) -> None:
        """Keep the evidence of a failed login or export, remove the rest."""
        self._begin(lambda: self._journal.note(self._publisher.discard_errand(command)))

    def load_inventory(self, command: LoadInventory) -> None:
        """Read an export and write its references into the ledger."""
        self._begin(lambda: self._load_inventory(command))

    def close(self) -> None:
        """Finish what was begun, and remove what an errand that was interrupted has left."""
        self._threads.shutdown(wait=True)
        for staging in self._directory.staging_root.glob("errand-*"):
            self._remove(staging)

    def _remove(self, staging: Path) -> None:
        try:
            remove_staging(staging)
        except OSError as error:
            self._journal.note(f"{staging} could not be removed: {error}", "WARNING")

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

    def _withdraw(self, command: Withdraw) -> None:
        try:
            kept = self._publisher.withdraw(command, time.time())
        except OSError as error:
            text = f"the doubted documents of {command.ref} could not be taken away, which the next start does: {error}"
            self._journal.note(text, "WARNING")
            return
        if kept is not None:
            self._journal.note(f"the doubted documents of {command.ref} are in {kept}")

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
        if source.parent != folder or folder.is_symlink() or not _is_ordinary(source):
            self._reject(command, "the worker named a file that it did not bring")
            return
        try:
            found = read_references(
                source, column=command.column, delimiter=command.delimiter, encoding=command.encoding
            )
            with source.open("rb") as exported, replacing(self._directory.inventory) as kept:
                shutil.copyfileobj(exported, kept)
            imported = self._ledger.import_references(found.names, done_before=self._done_before)
        except ReferencesError as error:
            place = f"{command.place}: " if command.place else ""
            self._reject(command, place + str(error).replace(str(source), "the export"), source)
            return
        except (LedgerUnwritableError, OSError) as error:
            self._reject(command, f"it could not be written down: {error}")
            return
        self._remove(folder)
        if found.duplicates:
            self._journal.note(f"{found.duplicates} references stand in the export more than once; each is done once")
        self._inbox.put(InventoryLoaded(imported.entries, imported.again.completed, imported.again.failed))

    def _reject(self, command: LoadInventory, reason: str, source: Path | None = None) -> None:
        """Refuse an export; what is in it is the best evidence."""
        if source is not None:
            try:
                _make_evidence(source)
            except OSError as error:
                self._journal.note(f"the refused export could not be kept: {error}", "WARNING")
        discard = DiscardErrand(command.errand, "export", Kind.EXPORT_INVALID.value, reason)
        self._journal.note(self._publisher.discard_errand(discard))
        self._inbox.put(InventoryRejected(reason))


def _make_evidence(export: Path) -> None:
    """Move a file into the evidence beside it; the site chose its name, and may have chosen any."""
    name = "export" if unsafe_name(export.name) else export.name
    aside = export.rename(export.with_name(".export"))
    evidence = export.with_name("evidence")
    evidence.mkdir(exist_ok=True)
    aside.rename(evidence / name)


def _is_ordinary(file: Path) -> bool:
    """Say whether it is a file, and no link to one; any text may stand for its name."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except (OSError, ValueError):
        return False
