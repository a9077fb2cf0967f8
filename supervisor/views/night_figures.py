"""What the morning report tells of a run, gathered from the ledger in one pass, however many references there are."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from supervisor.errors import UserError
from supervisor.shell.ledger_reader import AttemptRow, IncidentRow, LedgerReader, Meta, ReferenceRow, RunRow
from supervisor.shell.ledger_schema import seconds
from supervisor.views.status import Totals

COLUMNS = 900
"""Moments in which the timeline of a worker is drawn."""
BUCKETS = 90
"""Spans of time for which the throughput is counted."""
EXAMPLES = 12
"""References shown for each kind of failure; failures.csv has all of them."""
_INCIDENTS = 200
_QUIET = frozenset({"started", "restarted", "logged_in", "inventory"})
_STEPS = 200
NOTHING, WORK, FAILURE = 0, 1, 2

_OUTAGES = {"breaker_opened": "breaker_closed", "paused": "resumed"}
"""Which incident ends what another one began."""


class Failure(msgspec.Struct, frozen=True):
    """One reference that failed for good, and its last attempt."""

    reference: ReferenceRow
    last: AttemptRow | None


class Span(msgspec.Struct, frozen=True):
    """A time in which nothing was handed out. Seconds since the epoch."""

    begin: float
    end: float
    detail: str


class Duration(msgspec.Struct, frozen=True):
    """How long something took, in seconds."""

    name: str
    count: int
    median: float
    p95: float
    longest: float


class Figures(msgspec.Struct, frozen=True):
    """Everything that the report shows but the comparison."""

    meta: Meta
    runs: tuple[RunRow, ...]
    totals: Totals
    begin: float
    end: float
    """Seconds since the epoch; the end is later than the begin."""
    documents: int
    size: int
    """Bytes of the documents."""
    failures: dict[str, tuple[int, tuple[Failure, ...]]]
    """By kind, the most frequent first: how many there are, and examples."""
    unfinished: tuple[ReferenceRow, ...]
    """Examples."""
    attempts: Counter[str]
    """By outcome."""
    tracks: dict[int, bytes]
    """For each slot one byte a column: `NOTHING`, `WORK`, `FAILURE`."""
    marks: tuple[IncidentRow, ...]
    """Kills, deaths and restarts of workers."""
    outages: tuple[Span, ...]
    completed: tuple[int, ...]
    failed: tuple[int, ...]
    """References finished in each bucket."""
    durations: tuple[Duration, ...]
    """Of attempts that succeeded, of those that failed, and of the longest steps."""
    incidents: tuple[IncidentRow, ...]
    incidents_left_out: int


class Change(msgspec.Struct, frozen=True):
    """What differs from an earlier run of the same site."""

    against: str
    new_references: tuple[str, ...]
    gone_references: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]
    """Documents, as ``reference: name``."""
    same: int
    not_compared: int
    """References that were completed in one of the runs only."""


def gather(reader: LedgerReader, now: float) -> Figures:
    """Return the figures of one moment.

    Args:
        reader: of the run.
        now: the end of what goes on still; seconds since the epoch.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with reader.snapshot():
        runs = tuple(reader.runs())
        begin, end = _period(runs, reader.meta(), now)
        builder = _Builder(begin, end)
        for attempt in reader.attempts():
            builder.attempt(attempt)
        counts: Counter[str] = Counter()
        examples: dict[str, list[Failure]] = defaultdict(list)
        unfinished: list[ReferenceRow] = []
        for row in reader.references():
            if row.state == "failed":
                kind = row.error_kind or "unknown"
                counts[kind] += 1
                builder.finished(row, builder.failed)
                if len(examples[kind]) < EXAMPLES:
                    examples[kind].append(Failure(row, reader.attempt(row.attempt) if row.attempt else None))
            elif row.state == "completed":
                builder.finished(row, builder.completed)
            elif len(unfinished) < EXAMPLES:
                unfinished.append(row)
        for incident in reader.incidents():
            builder.incident(incident)
        done = reader.figures()
        return Figures(
            meta=reader.meta(),
            runs=runs,
            totals=reader.totals(),
            begin=begin,
            end=end,
            documents=done.documents,
            size=done.bytes,
            failures={kind: (count, tuple(examples[kind])) for kind, count in counts.most_common()},
            unfinished=tuple(unfinished),
            attempts=builder.outcomes,
            tracks={slot: bytes(track) for slot, track in sorted(builder.tracks.items())},
            marks=tuple(builder.marks),
            outages=builder.closed_outages(),
            completed=tuple(builder.completed),
            failed=tuple(builder.failed),
            durations=builder.durations(),
            incidents=tuple(builder.incidents[-_INCIDENTS:]),
            incidents_left_out=max(0, len(builder.incidents) - _INCIDENTS),
        )


def compare(reader: LedgerReader, earlier: Path) -> Change:
    """Return what differs between a run and an earlier one, document by document, by their SHA-256.

    Raises:
        UserError: the other ledger is that of another site.
        LedgerError: it cannot be read.
    """
    with LedgerReader(earlier) as other:
        mine, theirs = reader.meta(), other.meta()
        if (mine.site_name or mine.site) != (theirs.site_name or theirs.site):
            raise UserError(
                f"{earlier.parent} is a run of {theirs.site_name or theirs.site}, "
                f"this one of {mine.site_name or mine.site}; runs of one site can be compared"
            )
        before, after = _published(other), _published(reader)
    changes: dict[str, list[str]] = defaultdict(list)
    same = not_compared = 0
    for ref, now in after.items():
        was = before.get(ref)
        if ref not in before:
            changes["new_references"].append(ref)
        if was is None or now is None:
            not_compared += ref in before and was is not now
            continue
        for name in sorted(now.keys() | was.keys()):
            if name not in was:
                changes["new"].append(f"{ref}: {name}")
            elif name not in now:
                changes["gone"].append(f"{ref}: {name}")
            elif now[name] != was[name]:
                changes["changed"].append(f"{ref}: {name}")
            else:
                same += 1
    return Change(
        against=str(earlier.parent),
        new_references=tuple(changes["new_references"]),
        gone_references=tuple(ref for ref in before if ref not in after),
        new=tuple(changes["new"]),
        gone=tuple(changes["gone"]),
        changed=tuple(changes["changed"]),
        same=same,
        not_compared=not_compared,
    )


def _published(reader: LedgerReader) -> dict[str, dict[str, str] | None]:
    """Return for each reference its documents' names and sums; None where it is not completed."""
    return {
        row.ref: {document.name: document.sha256 for document in documents} if row.state == "completed" else None
        for row, documents in reader.with_documents()
    }


def _period(runs: Sequence[RunRow], meta: Meta, now: float) -> tuple[float, float]:
    begin = seconds(runs[0].started_at if runs else meta.created_at)
    last = runs[-1].ended_at if runs else None
    return begin, max(seconds(last) if last else now, begin + 1.0)


class _Builder:
    """Collects row by row."""

    def __init__(self, begin: float, end: float) -> None:
        self._begin = begin
        self._length = end - begin
        self._end = end
        self.outcomes: Counter[str] = Counter()
        self.tracks: dict[int, bytearray] = defaultdict(lambda: bytearray(COLUMNS))
        self.marks: list[IncidentRow] = []
        self.incidents: list[IncidentRow] = []
        self.completed = [0] * BUCKETS
        self.failed = [0] * BUCKETS
        self._open: dict[str, IncidentRow] = {}
        self._outages: list[Span] = []
        self._took: dict[str, array[float]] = {
            "attempts that succeeded": array("d"),
            "attempts that failed": array("d"),
        }

    def attempt(self, row: AttemptRow) -> None:
        self.outcomes[row.outcome] += 1
        began, ended = seconds(row.started_at), seconds(row.ended_at) if row.ended_at else self._end
        value = FAILURE if row.kind else WORK
        track = self.tracks[row.slot]
        for column in range(self._place(began, COLUMNS), self._place(ended, COLUMNS) + 1):
            track[column] = max(track[column], value)
        if row.outcome in {"succeeded", "failed"}:
            self._took[f"attempts that {row.outcome}"].append(ended - began)
        for step in row.steps:
            name = f"step: {step.name}"
            if name in self._took or len(self._took) < _STEPS:
                self._took.setdefault(name, array("d")).append(step.seconds)

    def finished(self, row: ReferenceRow, counts: list[int]) -> None:
        if row.finished_at:
            counts[self._place(seconds(row.finished_at), BUCKETS)] += 1

    def incident(self, row: IncidentRow) -> None:
        if row.what in {"killed", "died", "restarted"}:
            self.marks.append(row)
        if row.what in _OUTAGES:
            self._open.setdefault(row.what, row)
        for begun, over in _OUTAGES.items():
            # The end of a run ends its pauses and outages too.
            if row.what in {over, "ending"} and begun in self._open:
                first = self._open.pop(begun)
                self._outages.append(Span(seconds(first.at), seconds(row.at), first.detail))
        if row.what not in _QUIET:
            self.incidents.append(row)

    def closed_outages(self) -> tuple[Span, ...]:
        still = [Span(seconds(row.at), self._end, row.detail) for row in self._open.values()]
        return tuple(self._outages + still)

    def durations(self) -> tuple[Duration, ...]:
        found = [_duration(name, values) for name, values in self._took.items() if values]
        attempts, steps = found[:2], [one for one in found if one.name.startswith("step: ")]
        attempts = [one for one in attempts if not one.name.startswith("step: ")]
        return (*attempts, *sorted(steps, key=lambda one: -one.count * one.median)[:EXAMPLES])

    def _place(self, at: float, places: int) -> int:
        return min(places - 1, max(0, int((at - self._begin) / self._length * places)))


def _duration(name: str, values: "array[float]") -> Duration:
    ordered = sorted(values)
    return Duration(
        name=name,
        count=len(ordered),
        median=ordered[len(ordered) // 2],
        p95=ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
        longest=ordered[-1],
    )
