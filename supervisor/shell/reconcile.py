"""At the start of a run, under its lock: the run directory and the ledger are made to agree again after a crash.

Documents that were renamed into place by an attempt that the ledger still calls under way are adopted, when every hash
is right. Everything else that the ledger does not account for goes into quarantine, and what the ledger promises but
the directory does not hold is fetched again. Documents on record are looked at by name and size only; `verify` reads
every byte.
"""

import itertools
import os
import re
from enum import StrEnum
from pathlib import Path

import msgspec

from supervisor.core.commands import Discard
from supervisor.core.records import AttemptSucceeded
from supervisor.shell import linux
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_backlog import LiveAttempt
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_rows import AttemptRow, ReferenceRow
from supervisor.shell.manifest import condition, quick_faults, read_manifest
from supervisor.shell.placement import finish_replacements
from supervisor.shell.publisher import keep_evidence, remove_staging
from supervisor.shell.run_directory import RunDirectory, RunDirectoryUnwritableError, fsync_directory, stamp
from worker.protocol import Kind


class Trouble(StrEnum):
    """What kind of disagreement was found."""

    ADOPTED = "adopted"  # documents in place whose success the ledger had not yet recorded
    INTERRUPTED = "interrupted"  # a replacement of documents that a crash cut short
    STAGING = "staging"  # left behind by an attempt that is over
    MISSING = "missing"  # a reference without its documents on record
    ALTERED = "altered"  # a reference with documents that are not what was recorded
    MANIFEST = "manifest"  # the documents are right, their manifest is not
    FORMER = "former"  # a document that a newer one has replaced is not what it was
    EXTRA = "extra"  # files or folders that are not on record
    TRACKING = "tracking"  # tracking.json says something else than the ledger
    LEDGER = "ledger"  # the ledger contradicts itself or is damaged
    TOTALS = "totals"  # the totals that the ledger keeps are not the sums of its references


class Finding(msgspec.Struct, frozen=True):
    """One disagreement between the ledger and the run directory."""

    kind: Trouble
    ref: str
    """The reference that it is about, or nothing."""
    path: str
    """Where it was found."""
    sentence: str


def reconcile(run: RunDirectory, ledger: Ledger, wall: float) -> list[Finding]:
    """Bring directory and ledger together; return what was found, each with what was done about it.

    May be interrupted and done again at any point.

    Args:
        run: the run directory; the caller holds its lock.
        ledger: its ledger, before its `backlog` was asked for.
        wall: now, seconds since the epoch.

    Raises:
        LedgerUnwritableError: the ledger could not be written.
        RunDirectoryUnwritableError: something could not be moved or read.
    """
    with LedgerReader(ledger.path) as reader:
        work = _Reconciliation(run, ledger, reader, wall)
        try:
            work.finish_interrupted()
            work.adopt()
            work.clear_staging()
            work.set_aside(work.check_recorded())
            work.clear_leftovers()
        except OSError as error:
            raise RunDirectoryUnwritableError(
                f"the run directory {run.path} cannot be put in order: {error}"
            ) from error
    return work.findings


class _Reconciliation:
    def __init__(self, run: RunDirectory, ledger: Ledger, reader: LedgerReader, wall: float) -> None:
        self.findings: list[Finding] = []
        self._run = run
        self._ledger = ledger
        self._reader = reader
        self._wall = wall
        self._stamp = stamp(wall)

    def finish_interrupted(self) -> None:
        for place, finished in finish_replacements(self._run):
            fate = "the former ones were kept beside the new ones" if finished else "the former ones were put back"
            self._found(Trouble.INTERRUPTED, "", place, f"replacing documents had been interrupted: {fate}")

    def adopt(self) -> None:
        for live in self._ledger.live_attempts():
            folder = self._run.documents / live.folder
            manifest = read_manifest(folder)
            if manifest is None or (manifest.attempt, manifest.ref) != (live.attempt, live.ref):
                continue
            if not condition(folder, manifest.documents).sound:
                continue  # it is set aside, as what is in a place and not on record
            fsync_directory(self._run.documents)
            self._ledger.apply(
                [AttemptSucceeded(live.attempt, live.ref_id, manifest.as_documents(), steps=())], self._wall
            )
            self._found(Trouble.ADOPTED, live.ref, folder, _adopted(live))

    def clear_staging(self) -> None:
        if not self._run.staging_root.is_dir():
            return
        for staging in sorted(self._run.staging_root.iterdir()):
            attempt = self._reader.attempt(int(staging.name)) if _is_number(staging.name) else None
            reference = self._reader.reference_by_id(attempt.reference_id) if attempt else None
            if attempt and reference and attempt.outcome != "succeeded":
                keep_evidence(self._run, reference.folder, _discard(reference, attempt))
            remove_staging(staging)
            ref = reference.ref if reference else ""
            self._found(Trouble.STAGING, ref, staging, "what an attempt had left behind was removed, evidence kept")

    def check_recorded(self) -> set[str]:
        """Look for the documents on record; return the names of the folders that are of none.

        A start waits for it, so it is one system call a document and none a folder: name and size are what a crash, a
        full disk or a careless hand changes. What changes neither is found by `verify`.
        """
        names = set(os.listdir(self._run.documents))  # noqa: PTH208 - names alone, and there may be a million
        # Those that are done once more, or were and have failed, keep what came before until something takes its place.
        for reference, documents in itertools.chain(self._reader.with_documents("completed"), self._reader.kept()):
            folder = self._run.documents / reference.folder
            there = reference.folder in names or os.path.lexists(folder)
            names.discard(reference.folder)
            wrong = quick_faults(folder, [(d.name, d.bytes) for d in documents])
            if not documents and there:  # which is seldom: then the manifest can be looked at as well
                wrong = _forgotten(folder, reference.ref)
            if wrong or not there:
                kind, text = (Trouble.MISSING, "its documents are gone")
                if there:
                    kind, text = Trouble.ALTERED, ", ".join(wrong)
                reopen(self._run, self._ledger, reference, text, self._wall)
                fate = "it stays failed" if reference.state == "failed" else "it is fetched again"
                self._found(kind, reference.ref, folder, f"{text}; {fate}")
        return names

    def set_aside(self, names: set[str]) -> None:
        """Set aside what the ledger does not account for: the folders with these names."""
        for name in sorted(names):
            reference = self._reader.in_folder(name)
            path = self._run.documents / name
            kept = self._run.set_aside(path, self._stamp)
            text = f"documents that the ledger does not account for were moved to {kept}"
            self._found(Trouble.EXTRA, reference.ref if reference else "", path, text)

    def clear_leftovers(self) -> None:
        """Remove what processes that are gone had begun to write with `run_directory.replacing`."""
        for path in self._run.path.glob(".*.new"):
            writer = re.search(r"\.(\d{1,9})(-\d+)?\.new$", path.name)
            if writer and linux.stat(int(writer[1])) is None:
                path.unlink(missing_ok=True)

    def _found(self, kind: Trouble, ref: str, path: Path, sentence: str) -> None:
        self.findings.append(Finding(kind, ref, str(path), sentence))


def reopen(run: RunDirectory, ledger: Ledger, reference: ReferenceRow, why: str, wall: float) -> None:
    """Take documents off the record, and put what there is in their folder into quarantine; see `strike_documents`.

    Raises:
        OSError: it could not be moved.
        LedgerUnwritableError: the ledger could not be written.
    """
    # The ledger first: a crash in between leaves documents without a row, which the next start sets aside.
    ledger.strike_documents(reference.id, why, wall)
    folder = run.documents / reference.folder
    if os.path.lexists(folder):
        run.set_aside(folder, stamp(wall))


def _forgotten(folder: Path, ref: str) -> tuple[str, ...]:
    """Return what is wrong where the ledger has no documents for a reference that has a folder."""
    manifest = read_manifest(folder)
    if manifest is None or manifest.ref != ref or not manifest.documents:
        return ()
    return ("the ledger knows of none of its documents",)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 19  # noqa: PLR2004 - what fits into SQLite's 64 bits


def _adopted(live: LiveAttempt) -> str:
    return f"the documents of attempt {live.attempt} were in place and are complete; it counts as succeeded"


def _discard(reference: ReferenceRow, attempt: AttemptRow) -> Discard:
    return Discard(
        attempt=attempt.id,
        ref_id=reference.id,
        ref=reference.ref,
        number=attempt.number,
        kind=attempt.kind or Kind.SUPERVISOR_LOST.value,
        message=attempt.message or "the supervisor or the machine went down during the attempt",
    )
