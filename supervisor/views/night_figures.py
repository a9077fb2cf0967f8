"""What the morning report tells of a run, gathered from the ledger in one pass, however many references there are."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_rows import AttemptRow, IncidentRow, Meta, ReferenceRow, RunRow
from supervisor.shell.ledger_schema import seconds
from supervisor.views.metrics import quantile
from supervisor.views.status import Totals

COLUMNS = 900
"""Moments in which the timeline of a worker is drawn."""
BUCKETS = 90
"""Spans of time for which the throughput is counted."""
EXAMPLES = 12
"""References shown for each kind of failure; failures.csv has all of them."""
_INCIDENTS = 200
_QUIET = frozenset({"started", "restarted", "logged_in", "inventory", "control_served"})
_STEPS = 200
_CLASSES = 40
_SHORTEST = 0.05
"""Seconds; what took less counts as this."""
NOTHING, WORK, FAILURE = 0, 1, 2

_OUTAGES = {"breaker_opened": "breaker_closed", "paused": "resumed", "halted": "resumed"}
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
    empty: tuple[int, tuple[ReferenceRow, ...]]
    """References that were completed without any document: how many there are, and examples."""
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
    spread_bounds: tuple[float, ...]
    """Seconds, ascending, each the same multiple of the one before; from one to the next is a class of durations."""
    spread_succeeded: tuple[int, ...]
    spread_failed: tuple[int, ...]
    """Attempts in each class."""
    incidents: tuple[IncidentRow, ...]
    incidents_left_out: int


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
        empty: list[ReferenceRow] = []
        without = 0
        for row, documents in reader.with_documents():
            if row.state == "failed":
                kind = row.error_kind or "unknown"
                counts[kind] += 1
                builder.finished(row, builder.failed)
                if len(examples[kind]) < EXAMPLES:
                    examples[kind].append(Failure(row, reader.attempt(row.attempt) if row.attempt else None))
            elif row.state == "completed":
                builder.finished(row, builder.completed)
                if not documents:
                    without += 1
                    empty += [row] if len(empty) < EXAMPLES else []
            elif len(unfinished) < EXAMPLES:
                unfinished.append(row)
        for incident in reader.incidents():
            builder.incident(incident)
        done = reader.figures()
        bounds, succeeded, failed = builder.spread()
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
            empty=(without, tuple(empty)),
            attempts=builder.outcomes,
            tracks={slot: bytes(track) for slot, track in sorted(builder.tracks.items())},
            marks=tuple(builder.marks),
            outages=builder.closed_outages(),
            completed=tuple(builder.completed),
            failed=tuple(builder.failed),
            durations=builder.durations(),
            spread_bounds=bounds,
            spread_succeeded=succeeded,
            spread_failed=failed,
            incidents=tuple(builder.incidents[-_INCIDENTS:]),
            incidents_left_out=max(0, len(builder.incidents) - _INCIDENTS),
        )


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
            took = max(0.0, ended - began)  # the clock may have been put back
            self._took[f"attempts that {row.outcome}"].append(took)
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

    def spread(self) -> tuple[tuple[float, ...], tuple[int, ...], tuple[int, ...]]:
        """Return the bounds of classes of durations, and how many attempts in each succeeded and failed."""
        succeeded, failed = list(self._took.values())[:2]
        longest = max([*succeeded, *failed, _SHORTEST * 2])
        bounds = tuple(_SHORTEST * (longest * 1.01 / _SHORTEST) ** (index / _CLASSES) for index in range(_CLASSES + 1))

        def counted(values: "array[float]") -> tuple[int, ...]:
            counts = [0] * _CLASSES
            for value in values:
                share = math.log(max(value, _SHORTEST) / _SHORTEST) / math.log(bounds[-1] / _SHORTEST)
                counts[min(int(share * _CLASSES), _CLASSES - 1)] += 1
            return tuple(counts)

        return bounds, counted(succeeded), counted(failed)

    def _place(self, at: float, places: int) -> int:
        return min(places - 1, max(0, int((at - self._begin) / self._length * places)))


def _duration(name: str, values: "array[float]") -> Duration:
    ordered = sorted(values)
    return Duration(
        name=name,
        count=len(ordered),
        median=quantile(ordered, 0.5),
        p95=quantile(ordered, 0.95),
        longest=ordered[-1],
    )
