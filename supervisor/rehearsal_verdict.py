"""The verdict of a rehearsal: what came of it, beside what the website knows to be true, and whether it is clean."""

from collections import Counter
from statistics import median

import msgspec

from supervisor import demo_site
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_schema import LedgerError
from supervisor.shell.run_directory import RunDirectory, RunDirectoryError
from supervisor.shell.verify import verify
from supervisor.views.text import clean, number, plural, size
from supervisor.views.tracking import TrackedReference, read_tracking

_FEWEST = 6
"""Samples of which growth can be said."""
_NAMED = 5
"""Of what is wrong, so many are named."""


class Sample(msgspec.Struct, frozen=True):
    """What a supervisor held in one moment, all of its workers being there."""

    supervisor: int
    """The so-manyth of the rehearsal."""
    memory: int
    """Its resident bytes."""
    descriptors: int
    temporary: int
    """Bytes of all temporary and staged files of the run."""


class Chaos(msgspec.Struct, frozen=True):
    """What was done to a run, and seen meanwhile."""

    supervisors: int
    blows: dict[str, int]
    samples: tuple[Sample, ...]
    seconds: float
    ended: bool
    """The last supervisor said that the run is finished."""


class Left(msgspec.Struct, frozen=True):
    """What was there although the last supervisor had ended."""

    processes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """What was in the place for temporary files, and in the staging folder."""


class Growth(msgspec.Struct, frozen=True):
    """Medians of what something was at first and later on, which may be a tenth more, and `allowed` beyond that."""

    first: float
    later: float
    allowed: float

    @property
    def flat(self) -> bool:
        """It did not grow, as far as so few samples can tell."""
        return self.later <= 1.1 * self.first + self.allowed


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal came to."""

    references: int
    completed: int
    failed: int
    unfair: tuple[str, ...]
    """References that failed for good though the website has the documents."""
    unfinished: int
    """References that were still to be done when the rehearsal was given up."""
    lost: tuple[str, ...]
    """Of the website's, not in tracking.json; or neither completed nor failed, though the run says that it is done."""
    duplicated: tuple[str, ...]
    """In tracking.json twice, or completed twice."""
    wrong: tuple[str, ...]
    """Completed with other documents on the disk than the website has, or unknown to it."""
    unsound: tuple[str, ...]
    """What `verify` finds in the run directory."""
    left: Left
    chaos: Chaos

    @property
    def growth(self) -> dict[str, Growth]:
        """Of memory and descriptors from each supervisor's youth to its age, of temporary files over the whole time."""
        young, old = [], []
        for supervisor in sorted({sample.supervisor for sample in self.chaos.samples}):
            life = [sample for sample in self.chaos.samples if sample.supervisor == supervisor]
            if len(life) >= _FEWEST:
                young += life[: len(life) // 2]
                old += life[len(life) // 2 :]
        third = len(self.chaos.samples) // 3
        first, last = self.chaos.samples[:third], self.chaos.samples[-third:]
        if not young or len(first) < _FEWEST // 2:
            return {}
        return {
            "memory": Growth(median(s.memory for s in young), median(s.memory for s in old), 8e6),
            "descriptors": Growth(median(s.descriptors for s in young), median(s.descriptors for s in old), 5),
            "temporary files": Growth(median(s.temporary for s in first), median(s.temporary for s in last), 10e6),
        }

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """Return what is against it: what kind of fault, and the names of what it is about."""
        faults = {
            "failed though the site has the documents": self.unfair,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "wrong bytes": self.wrong,
            "unsound": self.unsound,
            "processes left": self.left.processes,
            "folders left": self.left.folders,
            "grew": tuple(what for what, growth in self.growth.items() if not growth.flat),
        }
        return {what: names for what, names in faults.items() if names}

    @property
    def clean(self) -> bool:
        """It came to its end, and nothing is lost, twice, wrong, unsound, left behind or growing."""
        return self.chaos.ended and not self.faults

    def lines(self) -> list[str]:
        """Return it for a terminal."""
        blows = ", ".join(f"{what} {times}" for what, times in sorted(self.chaos.blows.items()))
        lines = [
            (
                f"{'clean' if self.clean else 'NOT CLEAN'} after {self.chaos.seconds:.0f} s"
                f"{'' if self.chaos.ended else ', given up before its end'}"
            ),
            (
                f"  references      {number(self.references)}: {number(self.completed)} completed, "
                f"{number(self.failed)} failed for good, {len(self.unfair)} of them though the site has the documents"
                f"{f'; {number(self.unfinished)} were still to be done' if self.unfinished else ''}"
            ),
            f"  lost {len(self.lost)}, duplicated {len(self.duplicated)}, wrong bytes {len(self.wrong)}",
            f"  verify          {plural(len(self.unsound), 'finding')}",
            f"  left behind     {len(self.left.processes)} processes, {plural(len(self.left.folders), 'folder')}",
            f"  {'flat' if 'grew' not in self.faults else 'NOT FLAT':15} {_growth(self.growth)}",
            f"  supervisors     {self.chaos.supervisors}",
            f"  blows           {blows or 'none'}",
        ]
        return lines + [f"  {what}: {_some(names)}" for what, names in self.faults.items()]


def judge(directory: RunDirectory, truth: demo_site.Truth, chaos: Chaos, left: Left) -> Verdict:
    """Compare what a run came to with what the website knows to be true."""
    tracking = read_tracking(directory.tracking)
    references = tracking.references if tracking is not None else ()
    times = Counter(entry.ref for entry in references) + _successes(directory)
    ends = {entry.ref: entry for entry in references if entry.state in {"completed", "failed"}}
    completed = {ref: entry for ref, entry in ends.items() if entry.state == "completed"}
    failed = [ref for ref in ends if ref not in completed]
    wrong = [
        entry.ref
        for entry in references
        if entry.ref not in truth.references
        or (entry.ref in completed and not _is_true(directory, entry, truth.references[entry.ref]))
    ]
    staged = [path.name for path in directory.staging_root.iterdir()] if directory.staging_root.is_dir() else []
    return Verdict(
        references=len(truth.references),
        completed=len(completed),
        failed=len(failed),
        unfair=tuple(ref for ref in failed if ref in truth.references and not truth.references[ref].permanent),
        unfinished=0 if chaos.ended else len(times.keys() & truth.references.keys() - ends.keys()),
        lost=tuple(ref for ref in truth.references if ref not in (ends if chaos.ended else times)),
        duplicated=tuple(ref for ref, count in times.items() if count > 1 + (ref in completed)),
        wrong=tuple(wrong),
        unsound=_unsound(directory),
        left=Left(left.processes, (*left.folders, *staged)),
        chaos=chaos,
    )


def _successes(directory: RunDirectory) -> Counter[str]:
    """Count how often each reference was completed; what was recalled, as its session had ended, does not count."""
    try:
        with LedgerReader(directory.ledger) as ledger:
            names = {row.id: row.ref for row in ledger.references()}
            return Counter(names[row.reference_id] for row in ledger.attempts() if row.outcome == "succeeded")
    except LedgerError:
        return Counter()  # `verify` says so


def _unsound(directory: RunDirectory) -> tuple[str, ...]:
    try:
        return tuple(f"{finding.ref} {finding.sentence}".strip() for finding in verify(directory).findings)
    except (LedgerError, RunDirectoryError) as error:
        return (str(error),)


def _is_true(directory: RunDirectory, entry: TrackedReference, vehicle: demo_site.Vehicle) -> bool:
    there = demo_site.hashes(directory.documents / entry.folder)
    said = {document.name: document.sha256 for document in entry.documents}
    return there == said == {document.name: document.sha256 for document in vehicle.documents}


def _growth(growth: dict[str, Growth]) -> str:
    if not growth:
        return "too short to tell of memory, descriptors and temporary files"
    memory, descriptors, temporary = growth.values()
    return (
        f"supervisor {size(round(memory.first))}, then {size(round(memory.later))}; "
        f"descriptors {descriptors.first:.0f}, then {descriptors.later:.0f}; "
        f"temporary files {size(round(temporary.first))}, then {size(round(temporary.later))}"
    )


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(clean(name, 200) for name in names[:_NAMED]) + more
