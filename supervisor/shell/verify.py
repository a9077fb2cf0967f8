"""Checking a whole run directory, every byte of every document, and repairing what can be repaired."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from supervisor.shell import previous
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_rows import DocumentRow, ReferenceRow
from supervisor.shell.manifest import MANIFEST, Listed, Manifest, condition, formers, read_manifest, unrecorded
from supervisor.shell.reconcile import Finding, Trouble, reconcile, reopen
from supervisor.shell.run_directory import RunDirectory, RunDirectoryUnwritableError, atomic_write, stamp
from supervisor.views.tracking import disagreement, write_tracking


class Verification(msgspec.Struct, frozen=True):
    """What was checked and what was found; sound when nothing was found."""

    findings: tuple[Finding, ...]
    references: int
    """Completed references that were checked."""
    documents: int
    bytes: int
    active: bool
    """A run is going on: what only a finished run can be asked was left out."""


def verify(run: RunDirectory) -> Verification:
    """Check that the run directory is what its ledger says. Changes nothing; may be done during a run.

    Raises:
        RunDirectoryError: it is no run directory, or cannot be read.
        LedgerError: the ledger cannot be used at all.
    """
    run.check()
    active = run.owner() is not None
    with LedgerReader(run.ledger) as reader:
        inspection = _Inspection(run, reader, active=active)
        try:
            findings = tuple(inspection.findings())
        except OSError as error:
            raise RunDirectoryUnwritableError(f"the run directory {run.path} cannot be read: {error}") from error
    return Verification(findings, inspection.references, inspection.documents, inspection.bytes, active)


class _Inspection:
    def __init__(self, run: RunDirectory, reader: LedgerReader, *, active: bool) -> None:
        self.references = self.documents = self.bytes = 0
        self._run = run
        self._reader = reader
        self._active = active

    def findings(self) -> Iterator[Finding]:
        yield from (self._about_ledger(text) for text in self._reader.damage())
        with self._reader.snapshot():
            if self._reader.totals() != self._reader.counted():
                text = "its totals are not the sums of its references"
                yield Finding(Trouble.TOTALS, "", str(self._run.ledger), text)
            for reference, documents in self._reader.with_documents("completed"):
                self.references += 1
                self.documents += len(documents)
                self.bytes += sum(document.bytes for document in documents)
                yield from self._recorded(reference, documents)
            # What is done once more, or was and has failed, keeps what came before. In a run that changes at any time.
            for reference, documents in () if self._active else self._reader.kept():
                yield from self._recorded(reference, documents)
        if not self._active:
            yield from self._extra_folders()
            yield from self._leftovers()
            yield from self._tracking()

    def _about_ledger(self, text: str) -> Finding:
        return Finding(Trouble.LEDGER, "", str(self._run.ledger), f"the ledger is wrong: {text}")

    def _recorded(self, reference: ReferenceRow, documents: list[DocumentRow]) -> Iterator[Finding]:
        folder = self._run.documents / reference.folder
        listed = [listed_as(row) for row in documents]
        found = condition(folder, listed)
        if found.missing or found.wrong:
            kind = Trouble.MISSING if found.missing else Trouble.ALTERED
            yield Finding(kind, reference.ref, str(folder), ", ".join(found.wrong) or "its documents are gone")
            return  # it will be fetched again as a whole, so what else is wrong there does not matter
        manifest = read_manifest(folder)
        if manifest and manifest.ref == reference.ref and (lost := unrecorded(folder, manifest, found.extra)):
            text = f"the ledger does not know of {', '.join(lost)}, which its manifest lists"
            yield Finding(Trouble.ALTERED, reference.ref, str(folder), text)
            return  # nobody knows what else the ledger has forgotten: it will be fetched again as a whole
        for name in found.extra:
            yield Finding(Trouble.EXTRA, reference.ref, str(folder / name), f"{name} does not belong there")
        expected = {(document.name, document.bytes, document.sha256) for document in listed}
        if manifest is None:
            yield Finding(Trouble.MANIFEST, reference.ref, str(folder / MANIFEST), "its manifest cannot be read")
        elif (manifest.ref, manifest.contents()) != (reference.ref, expected):
            yield Finding(Trouble.MANIFEST, reference.ref, str(folder / MANIFEST), "its manifest lists something else")
        else:
            yield from self._former(reference, folder, manifest)

    def _former(self, reference: ReferenceRow, folder: Path, manifest: Manifest) -> Iterator[Finding]:
        found = previous.faults(folder, manifest)
        if found.manifest:
            yield Finding(Trouble.MANIFEST, reference.ref, str(folder / MANIFEST), found.manifest)
        for kind, faults in ((Trouble.FORMER, found.altered), (Trouble.EXTRA, found.extra)):
            for path, text in faults:
                yield Finding(kind, reference.ref, str(path), text)

    def _extra_folders(self) -> Iterator[Finding]:
        with os.scandir(self._run.documents) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                reference = self._reader.in_folder(entry.name)
                if reference is None:
                    yield Finding(Trouble.EXTRA, "", entry.path, f"{entry.name} belongs to no reference of the ledger")
                elif reference.state != "completed" and not self._reader.documents(reference.id):
                    text = f"there are documents, and by the ledger the reference is {reference.state}"
                    yield Finding(Trouble.EXTRA, reference.ref, entry.path, text)

    def _leftovers(self) -> Iterator[Finding]:
        places = ((Trouble.STAGING, self._run.staging_root), (Trouble.INTERRUPTED, self._run.replaced))
        for kind, place in places:
            for path in sorted(place.iterdir()) if place.is_dir() else ():
                yield Finding(kind, "", str(path), "left behind by a run that was cut off; the next start clears it up")

    def _tracking(self) -> Iterator[Finding]:
        path = self._run.tracking
        if not path.exists():
            # Before the first supervisor got so far there is nothing to be wrong about.
            if self._reader.totals().total:
                yield Finding(Trouble.TRACKING, "", str(path), "tracking.json is missing")
        elif not path.is_file():
            yield Finding(Trouble.TRACKING, "", str(path), "tracking.json is no file")
        elif difference := disagreement(path, self._reader):
            yield Finding(Trouble.TRACKING, "", str(path), f"tracking.json is not what the ledger says: {difference}")


def repair(run: RunDirectory, wall: float) -> list[str]:
    """Do what a start would do, then repair what `verify` still finds; say in a sentence each what was done.

    Extra and altered files go into quarantine, references without their right documents are pending again,
    manifests and tracking.json are written anew. A damaged ledger cannot be repaired.

    Raises:
        InUse: a run is going on.
        LedgerError: the ledger cannot be used.
        RunDirectoryError: something could not be moved or written.
    """
    with run.lock(), Ledger.open(run.ledger, any_totals=True) as ledger:
        done = ["the ledger's totals were counted again"] if ledger.recount() else []
        done += [_tell(finding) for finding in reconcile(run, ledger, wall)]
        ledger.close_lost_attempts(wall)
        with LedgerReader(run.ledger) as reader:
            try:
                findings = tuple(_Inspection(run, reader, active=False).findings())
                done += [text for finding in findings if (text := _repair(run, ledger, reader, finding, wall))]
            except OSError as error:
                raise RunDirectoryUnwritableError(f"{run.path} cannot be repaired: {error}") from error
    try:
        write_tracking(run.path)
    except OSError as error:
        raise RunDirectoryUnwritableError(f"{run.tracking} cannot be written: {error.strerror}") from error
    return done


def _repair(run: RunDirectory, ledger: Ledger, reader: LedgerReader, finding: Finding, wall: float) -> str:
    """Repair one finding, and say what was done."""
    path = Path(finding.path)
    reference = reader.reference(finding.ref) if finding.ref else None
    documents = reader.documents(reference.id) if reference else []
    recorded = reference is not None and (reference.state == "completed" or bool(documents))
    match finding.kind:
        case Trouble.MISSING | Trouble.ALTERED if reference and recorded:
            reopen(run, ledger, reference, finding.sentence, wall)
            fate = "is pending again" if reference.state == "completed" else f"is still {reference.state}, without them"
            return f"{finding.ref} {fate}: {finding.sentence}"
        case Trouble.EXTRA if os.path.lexists(path) and not (recorded and path.parent == run.documents):
            return f"{path} was moved to {run.set_aside(path, stamp(wall))}"
        case Trouble.MANIFEST if reference and recorded:
            number = documents[0].attempt if documents else reference.attempt or 0
            attempt = reader.attempt(number)
            listed = tuple(listed_as(row) for row in documents)
            manifest = Manifest(reference.ref, number, attempt.number if attempt else 1, listed)
            manifest = msgspec.structs.replace(manifest, former=formers(path.parent, manifest))
            if path.is_dir() and not path.is_symlink():
                run.set_aside(path, stamp(wall))
            atomic_write(path, manifest.encode(), via=run.path)
            return f"the manifest of {finding.ref} was written anew from the ledger"
        case Trouble.TRACKING:
            if path.is_dir() and not path.is_symlink():
                run.set_aside(path, stamp(wall))
            return "tracking.json was written anew from the ledger"
        case Trouble.LEDGER | Trouble.FORMER:
            what = "the ledger" if finding.kind is Trouble.LEDGER else "it"
            return f"not repaired: {finding.sentence}; put a copy of {what} back"
        case _:
            return ""


def _tell(finding: Finding) -> str:
    return f"{finding.ref or finding.path}: {finding.sentence}"


def listed_as(row: DocumentRow) -> Listed:
    """Return a document of the ledger as a manifest lists it."""
    return Listed(row.name, row.url, row.bytes, row.sha256, row.pages, row.attempt, row.format, row.protected)
