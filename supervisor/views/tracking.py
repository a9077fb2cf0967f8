"""tracking.json: one entry for each reference, written from the ledger as of one moment, however many there are.

One entry stands on one line, so that two versions can be compared line by line, and neither writing nor checking the
file needs memory for more than one entry. References that wait for a retry count as pending here.
"""

import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_rows import AttemptRow, DocumentRow, ReferenceRow, RunRow
from supervisor.shell.ledger_schema import utc
from supervisor.shell.run_directory import RunDirectory, replacing

_BUFFER = 256 * 1024
_NOBODY: tuple[float, list[AttemptRow]] = (math.inf, [])
_NO_START = RunRow(0, "", None, 0, "", 0, None, None)


class TrackedDocument(msgspec.Struct, frozen=True):
    """One published document."""

    name: str
    bytes: int
    sha256: str


class TrackedError(msgspec.Struct, frozen=True):
    """Why the last attempt failed."""

    kind: str
    message: str


class TrackedFailure(msgspec.Struct, frozen=True):
    """An attempt that came to nothing, also where a later one succeeded."""

    attempt: int
    """The number of its folder in failures/<folder>/."""
    kind: str
    message: str
    counted: bool
    """False where it was not the reference's fault."""


class TrackedReference(msgspec.Struct, frozen=True):
    """One reference."""

    ref: str
    state: str
    """``pending``, ``in_progress``, ``completed`` or ``failed``."""
    attempts: int
    worker: int | None
    started_at: str | None
    finished_at: str | None
    documents: list[TrackedDocument]
    error: TrackedError | None
    folder: str
    """Name of its folder in documents/ and failures/."""
    failures: list[TrackedFailure]


class TrackedTotals(msgspec.Struct, frozen=True):
    """References by state; the states add up to the total."""

    total: int
    pending: int
    in_progress: int
    completed: int
    failed: int


class TrackedRun(msgspec.Struct, frozen=True):
    """Which run this is, and its last start. `ended_at` and `exit_code` are null while it goes on."""

    run_id: str
    site: str
    site_name: str
    created_at: str
    starts: int
    started_at: str
    ended_at: str | None
    exit_code: int | None
    reason: str | None
    workers: int
    written_at: str


class Tracking(msgspec.Struct, frozen=True):
    """All of tracking.json."""

    run: TrackedRun
    totals: TrackedTotals
    references: tuple[TrackedReference, ...]


def read_tracking(path: Path) -> Tracking | None:
    """Return what is in tracking.json; None where there is none yet.

    Raises:
        msgspec.MsgspecError: it is not what `write_tracking` writes.
        OSError: it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tracking)
    except FileNotFoundError:
        return None


def write_tracking(run_dir: Path) -> None:
    """Replace tracking.json by what the ledger says now.

    Args:
        run_dir: the run directory.

    Raises:
        LedgerError: the ledger cannot be read.
        OSError: the file cannot be written; the former one is still there.
    """
    run = RunDirectory(run_dir)
    with LedgerReader(run.ledger) as reader, reader.snapshot(), replacing(run.tracking) as file:
        pending = bytearray()
        for line in _lines(reader, time.time()):
            pending += line
            if len(pending) >= _BUFFER:
                file.write(pending)
                pending.clear()
        file.write(pending)


def disagreement(path: Path, reader: LedgerReader) -> str:
    """Return the first thing in which tracking.json differs from the ledger, or nothing.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        # The first line tells of the run and when the file was written; nothing else may differ.
        pairs = itertools.zip_longest(itertools.islice(file, 1, None), itertools.islice(_lines(reader, 0.0), 1, None))
        for number, (found, expected) in enumerate(pairs, start=2):
            if found != expected:
                return f"line {number} is {_excerpt(found)}, and by the ledger {_excerpt(expected)}"
    return ""


def _lines(reader: LedgerReader, wall: float) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    yield b'{"run": ' + encode(_run(reader, wall)) + b",\n"
    yield b'"totals": ' + encode(_totals(reader)) + b",\n"
    yield b'"references": [\n'
    ahead = b""
    unsuccessful = reader.unsuccessful()
    failing, attempts = next(unsuccessful, _NOBODY)
    for reference, documents in reader.with_documents():
        if ahead:
            yield ahead + b",\n"
        own: list[AttemptRow] = []
        while failing <= reference.id:  # one whose reference is not there is damage, which `verify` tells
            own = attempts if failing == reference.id else []
            failing, attempts = next(unsuccessful, _NOBODY)
        ahead = encode(_entry(reference, documents, own))
    if ahead:
        yield ahead + b"\n"
    yield b"]}\n"


def _run(reader: LedgerReader, wall: float) -> TrackedRun:
    meta, runs = reader.meta(), reader.runs()
    last = runs[-1] if runs else _NO_START
    return TrackedRun(
        run_id=meta.run_id,
        site=meta.site,
        site_name=meta.site_name,
        created_at=meta.created_at,
        starts=len(runs),
        started_at=last.started_at,
        ended_at=last.ended_at,
        exit_code=last.exit_code,
        reason=last.reason,
        workers=last.workers,
        written_at=utc(wall),
    )


def _totals(reader: LedgerReader) -> TrackedTotals:
    totals = reader.totals()
    return TrackedTotals(
        total=totals.total,
        pending=totals.pending + totals.waiting,
        in_progress=totals.in_progress,
        completed=totals.completed,
        failed=totals.failed,
    )


def _entry(row: ReferenceRow, documents: list[DocumentRow], failed: list[AttemptRow]) -> TrackedReference:
    return TrackedReference(
        ref=row.ref,
        state="pending" if row.state == "waiting" else row.state,
        attempts=row.attempts,
        worker=row.worker,
        started_at=row.started_at,
        finished_at=row.finished_at,
        documents=[TrackedDocument(d.name, d.bytes, d.sha256) for d in documents],
        error=TrackedError(row.error_kind, row.error_message or "") if row.error_kind else None,
        folder=row.folder,
        failures=[TrackedFailure(a.number, a.kind or "", a.message or "", a.outcome == "failed") for a in failed],
    )


def _excerpt(line: bytes | None) -> str:
    return "not there" if line is None else line.decode("utf-8", "replace").strip().strip(",")[:200]
