"""What became of one reference, attempt by attempt, or of all that failed: from the ledger and the evidence folders."""

import contextlib
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from supervisor.shell import files
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_rows import AttemptRow, IncidentRow, ReferenceRow, RunRow, Story
from supervisor.shell.ledger_schema import seconds
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.kinds import meaning
from supervisor.views.text import as_typed, clean, duration, number, plural, size

_SENTENCE = 1000
"""Characters shown of a message."""
_HEADLINE = re.compile(rb"attempt (\d+) \(number ")
"""The beginning of an error.txt, as the publisher writes it; it names the attempt by its id."""


class Setting(msgspec.Struct, frozen=True):
    """What the ledger does not know and the story needs."""

    active: bool = False
    """A supervisor is at work in the run directory."""
    max_attempts: int = 0
    """That a reference gets; 0 when it is not known."""


def tell(directory: RunDirectory, story: Story, setting: Setting) -> Iterator[str]:
    """Yield the lines of one reference's story, in the order of time."""
    reference = story.reference
    yield f"{clean(reference.ref)}: {_standing(reference)}"
    evidence = _evidence(directory.failures / reference.folder)
    own = {attempt.id for attempt in story.attempts}
    chapters = [(attempt.started_at, list(_attempt(attempt, story, setting))) for attempt in story.attempts]
    chapters += [(row.at, [_incident(row, "")]) for row in story.incidents if row.attempt not in own]
    for _, lines in sorted(chapters, key=lambda chapter: chapter[0]):
        yield ""
        yield from lines
        # The headline of an attempt ends with its id, by which its evidence is found.
        found = evidence.pop(_id_of(lines[0]), None)
        if found is not None:
            yield _files(directory, found)
    for folder in evidence.values():
        yield _files(directory, folder)
    if story.documents:
        yield ""
        yield f"{plural(len(story.documents), 'document')} in documents/{reference.folder}"
        for document in story.documents:
            yield f"    {clean(document.name)}, {size(document.bytes)}, from attempt {document.attempt}"
    yield ""
    yield f"next: {_next(reference, setting)}"
    if reference.state == "failed" and reference.error_kind:
        known = meaning(reference.error_kind)
        yield f"{reference.error_kind} means: {known.means}; {known.helps}"


def failures(directory: RunDirectory, reader: LedgerReader, kind: str | None = None) -> Iterator[str]:
    """Yield, by cause and the commonest first, every reference that failed for good, why, and where its evidence is."""
    found: dict[str, list[ReferenceRow]] = defaultdict(list)
    for row in reader.failures(kind):
        found[row.error_kind or "unknown"].append(row)
    count = sum(map(len, found.values()))
    totals, runs = reader.totals(), reader.runs()
    if runs:
        yield _ending(runs[-1])
    # A reference's folder never begins like this; see `shell.folders`.
    for folder in sorted(directory.failures.glob("_*")):
        yield f"evidence of a failed {clean(folder.name[1:])} is in {clean(str(folder.relative_to(directory.path)))}"
    if not found:
        yield f"no reference has failed for good{f' by {clean(kind)}' if kind else ''}"
        return
    yield f"{number(count)} of {plural(totals.total, 'reference')} failed for good, by {plural(len(found), 'cause')}"
    for name, rows in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        known = meaning(name)
        yield ""
        yield f"{name}, {plural(len(rows), 'reference')}: {known.means}"
        # What most of them say is said once, so that what is special about one can be seen.
        message, times = Counter(row.error_message or "" for row in rows).most_common(1)[0]
        common = message if times > 1 else None
        if common is not None:
            yield f"  {'all' if times == len(rows) else 'most'} of them: {clean(common, _SENTENCE)}"
        width = min(max(len(row.ref) for row in rows), 40)
        for row in rows:
            own = "" if row.error_message == common else f"  {clean(row.error_message or '', _SENTENCE)}"
            evidence = _last_evidence(directory, row)
            yield f"  {clean(row.ref):{width}}  {plural(row.attempts, 'attempt')}  {evidence}{own}"
        yield f"  what helps: {known.helps}"
    place = clean(shlex.quote(as_typed(directory.path)), _SENTENCE)
    example = clean(shlex.quote(next(iter(found.values()))[0].ref), _SENTENCE)
    yield ""
    yield f"one of them in detail: run.py explain {place} {example}"
    yield f"another chance:        run.py retry {place} --failed    (or --kind KIND, or their names)"


def _ending(run: RunRow) -> str:
    if run.ended_at is None:
        return f"run: started at {run.started_at}, {clean(run.reason or 'and has not ended', _SENTENCE)}"
    return f"run: ended at {run.ended_at} with exit code {run.exit_code}: {clean(run.reason or '', _SENTENCE)}"


def _last_evidence(directory: RunDirectory, row: ReferenceRow) -> str:
    folder = directory.failures / row.folder
    there = _evidence(folder).get(row.attempt or 0, folder)
    return clean(str(there.relative_to(directory.path))) if there.is_dir() else "no evidence"


def _evidence(folder: Path) -> dict[int, Path]:
    """Return the evidence folders of one reference by the id of their attempt; a stray one gets a number below 0."""
    found: dict[int, Path] = {}
    with contextlib.suppress(OSError):  # there is none, or it is closed to us: then we know of none
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                found[_attempt_id(path) or -1 - len(found)] = path
    return found


def _attempt_id(evidence: Path) -> int | None:
    try:
        match = _HEADLINE.match(files.read(evidence / "error.txt", 64))
    except OSError:
        return None
    return int(match[1]) if match else None


def _id_of(headline: str) -> int:
    match = re.match(r"attempt .*?\(id (\d+)\)", headline)
    return int(match[1]) if match else 0


def _files(directory: RunDirectory, folder: Path) -> str:
    place = clean(str(folder.relative_to(directory.path)))
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        return f"    evidence in {place}, which cannot be read: {(error.strerror or str(error)).lower()}"
    return f"    evidence in {place}: {', '.join(map(clean, names)) or 'nothing'}"


def _standing(row: ReferenceRow) -> str:
    counted = f"{plural(row.attempts, 'counted attempt')}"
    if row.state == "failed":
        message = clean(row.error_message or "", _SENTENCE)
        return f"failed for good at {row.finished_at}, {counted}: {row.error_kind}: {message}"
    if row.state == "completed":
        return f"completed at {row.finished_at} by worker {row.worker}, {counted}; in documents/{row.folder}"
    return f"{row.state.replace('_', ' ')}, {counted}"


def _attempt(row: AttemptRow, story: Story, setting: Setting) -> Iterator[str]:
    most = f" of {setting.max_attempts}" if row.number <= setting.max_attempts else ""
    yield f"attempt {row.number}{most} (id {row.id}), worker {row.slot}: {_outcome(row)}"
    spent = _seconds(row.started_at, row.ended_at)
    yield f"    {row.started_at} to {row.ended_at or 'now'}" + (f", {_span(spent)}" if spent is not None else "")
    if row.url or row.status:
        yield f"    at {clean(row.url or 'an unknown address', _SENTENCE)}, status {row.status or 'none'}"
    begun = 0.0
    for step in row.steps:
        yield f"    {begun:8.1f} s  {clean(step.name)}, {step.seconds:.1f} s"
        begun += step.seconds
    for incident in story.incidents:
        if incident.attempt == row.id:
            yield _incident(incident, "    ")


def _incident(row: IncidentRow, indent: str) -> str:
    return f"{indent}{row.at} {row.what}: {clean(row.detail, _SENTENCE)}"


def _outcome(row: AttemptRow) -> str:
    words = {"running": "under way", "uncounted": "failed, not counted"}.get(row.outcome, row.outcome)
    return f"{words}: {row.kind}: {clean(row.message or '', _SENTENCE)}" if row.kind else words


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)  # noqa: PLR2004 - a minute


def _seconds(begin: str, end: str | None) -> float | None:
    if end is None:
        return None
    return max(0.0, seconds(end) - seconds(begin))


def _next(row: ReferenceRow, setting: Setting) -> str:
    match row.state:
        case "completed":
            return "nothing; it is done"
        case "failed":
            return "nothing by itself; run.py retry queues it again"
        case _ if not setting.active:
            return "nothing while no run is active; the start command goes on with it"
        case "waiting":
            return f"another attempt, not before {row.retry_at}"
        case "in_progress":
            return f"worker {row.worker} must answer"
        case _:
            return "an attempt, when its turn comes"
