"""What became of one reference, attempt by attempt, or of all that failed: from the ledger and the evidence folders."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from supervisor.shell.ledger_reader import AttemptRow, LedgerReader, ReferenceRow, Story
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.text import clean, number, plural, size

_EXAMPLES = 10
"""References named for each kind of failure; the others are counted."""


def tell(directory: RunDirectory, story: Story) -> Iterator[str]:
    """Yield the lines of one reference's story."""
    reference = story.reference
    yield f"{clean(reference.ref)}: {_standing(reference)}"
    for attempt in story.attempts:
        yield f"  attempt {attempt.number} (id {attempt.id}): {_attempt(attempt)}"
        if attempt.url or attempt.status:
            yield f"      at {clean(attempt.url or 'an unknown address', 1000)}, status {attempt.status or 'none'}"
        if attempt.steps:
            yield "      steps: " + ", ".join(f"{clean(step.name)} {step.seconds:.1f} s" for step in attempt.steps)
    for incident in story.incidents:
        yield f"  {incident.at}: {incident.what}: {clean(incident.detail, 1000)}"
    for document in story.documents:
        yield f"  document {clean(document.name)}, {size(document.bytes)}, from attempt {document.attempt}"
    folder = directory.failures / reference.folder
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        if path.is_file():
            yield f"  evidence {path.relative_to(directory.path)}"
    yield f"  next: {_next(reference)}"


def failures(reader: LedgerReader, kind: str | None = None) -> Iterator[str]:
    """Yield, for each kind of failure, which references failed for good by it, with one of their sentences."""
    found: dict[str, list[ReferenceRow]] = defaultdict(list)
    for row in reader.failures(kind):
        found[row.error_kind or "unknown"].append(row)
    if not found:
        yield "no reference has failed for good"
    for name, rows in sorted(found.items(), key=lambda pair: -len(pair[1])):
        yield f"{name}: {plural(len(rows), 'reference')}, such as: {clean(rows[0].error_message or '', 1000)}"
        for row in rows[:_EXAMPLES]:
            yield f"  {clean(row.ref)}, {plural(row.attempts, 'attempt')}, evidence in failures/{row.folder}"
        if len(rows) > _EXAMPLES:
            yield f"  and {number(len(rows) - _EXAMPLES)} more"


def _standing(row: ReferenceRow) -> str:
    counted = f"{plural(row.attempts, 'counted attempt')}"
    if row.state == "failed":
        return (
            f"failed for good at {row.finished_at}, {counted}: {row.error_kind}: {clean(row.error_message or '', 1000)}"
        )
    if row.state == "completed":
        return f"completed at {row.finished_at} by worker {row.worker}, {counted}; in documents/{row.folder}"
    return f"{row.state.replace('_', ' ')}, {counted}"


def _attempt(row: AttemptRow) -> str:
    span = f"worker {row.slot}, {row.started_at} to {row.ended_at or 'now'}"
    why = f": {row.kind}: {clean(row.message or '', 1000)}" if row.kind else ""
    return f"{span}, {row.outcome}{why}"


def _next(row: ReferenceRow) -> str:
    match row.state:
        case "completed":
            return "nothing; it is done"
        case "failed":
            return "nothing by itself; run.py retry queues it again"
        case "waiting":
            return f"another attempt, not before {row.retry_at}"
        case "in_progress":
            return f"worker {row.worker} must answer"
        case _:
            return "an attempt, when its turn comes"


def path_of(run_dir: Path) -> RunDirectory:
    """Return the run directory, checked to be one.

    Raises:
        RunDirectoryError: it is none.
    """
    directory = RunDirectory(run_dir)
    directory.check()
    return directory
