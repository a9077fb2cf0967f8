"""How a run is going, counted from the records as they are written. Memory is bounded whatever the run's length."""

import bisect
import math
import statistics
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded, Incident, Record, SuccessDoubted
from supervisor.views.status import DURATION_BOUNDS, MetricsView

_WINDOW = 300.0
"""Seconds over which the present rate is taken."""
_BUCKET = 5.0
_KEPT_DURATIONS = 2_000
_KEPT_BROUGHT = 2_000
"""More than can be doubted: what was brought since the last proof of a session."""
_LAST_DURATIONS = 15
"""So many of the very last attempts say how fast the site is at present."""


class Metrics:
    """Fed with each record and the monotonic time at which it was made; seeded from the ledger on resume.

    Rates and time left speak of this start only, from its first attempt on: what happened at another hour, and the
    time that browsers need to start, say nothing about what is to come.
    """

    def __init__(
        self,
        now: float,
        *,
        attempts: int = 0,
        failures: Mapping[str, int] | None = None,
        kills: int = 0,
        restarts: int = 0,
        documents: int = 0,
        size: int = 0,
    ) -> None:
        self._begun = now
        self._working = False
        self._attempts = attempts
        self._failures: Counter[str] = Counter(failures or {})
        self._kills = kills
        self._restarts = restarts
        self._documents = documents
        self._bytes = size
        self._finished = 0
        self._brought: dict[int, tuple[int, int]] = {}
        """Documents and bytes of the last attempts that brought some: they may be taken back."""
        self._buckets: deque[list[float]] = deque()
        self._running: dict[int, float] = {}
        self._durations: deque[float] = deque(maxlen=_KEPT_DURATIONS)
        self._last: deque[float] = deque(maxlen=_LAST_DURATIONS)
        self._histogram = [0] * (len(DURATION_BOUNDS) + 1)
        self._seconds_sum = 0.0

    def seen(self, record: Record, now: float) -> None:
        """Count one record made at the monotonic time `now`, in seconds."""
        match record:
            case AttemptStarted():
                self._attempts += 1
                if not self._working:
                    self._begun, self._working = now, True
                self._running[record.attempt] = now
            case AttemptSucceeded():
                started = self._running.pop(record.attempt, None)
                if started is not None:
                    self._took(now - started)
                self._bring(record.attempt, len(record.documents), sum(one.bytes for one in record.documents))
                self._finish(now)
            case SuccessDoubted():
                documents, size = self._brought.pop(record.attempt, (0, 0))
                self._documents -= documents
                self._bytes -= size
            case AttemptFailed():
                self._running.pop(record.attempt, None)
                self._failures[str(record.kind)] += 1
                if record.retry_in is None:
                    self._finish(now)
            case Incident(what="killed"):
                self._kills += 1
            case Incident(what="restarted"):
                self._restarts += 1
            case _:
                pass

    def _bring(self, attempt: int, documents: int, size: int) -> None:
        self._documents += documents
        self._bytes += size
        self._brought[attempt] = (documents, size)
        if len(self._brought) > _KEPT_BROUGHT:
            del self._brought[next(iter(self._brought))]

    def _took(self, seconds: float) -> None:
        self._durations.append(seconds)
        self._last.append(seconds)
        self._histogram[bisect.bisect_left(DURATION_BOUNDS, seconds)] += 1
        self._seconds_sum += seconds

    def _finish(self, now: float) -> None:
        self._finished += 1
        start = now - now % _BUCKET
        if self._buckets and self._buckets[-1][0] == start:
            self._buckets[-1][1] += 1
        else:
            self._buckets.append([start, 1])

    def view(self, now: float, remaining: int) -> MetricsView:
        """Return the figures at the monotonic time `now`, with `remaining` references not finished."""
        while self._buckets and self._buckets[0][0] < now - _WINDOW:
            self._buckets.popleft()
        elapsed = now - self._begun
        recent = sum(bucket[1] for bucket in self._buckets)
        span = min(elapsed, _WINDOW)
        rate = recent / span if recent and span > 0 else None
        durations = sorted(self._durations)
        eta, low, high = _time_left(rate, recent, remaining)
        return MetricsView(
            per_minute=None if rate is None else rate * 60,
            per_minute_overall=self._finished / elapsed * 60 if self._finished and elapsed > 0 else None,
            seconds_median=quantile(durations, 0.5) if durations else None,
            seconds_p95=quantile(durations, 0.95) if durations else None,
            seconds_recent=statistics.median(self._last) if len(self._durations) > 2 * _LAST_DURATIONS else None,
            seconds_sum=self._seconds_sum,
            seconds_counts=tuple(self._histogram),
            attempts=self._attempts,
            failures=dict(self._failures.most_common()),
            kills=self._kills,
            restarts=self._restarts,
            bytes=self._bytes,
            documents=self._documents,
            eta_seconds=eta,
            eta_low=low,
            eta_high=high,
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile of an ascending sequence that is not empty; `share` is 0.5 for its median."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _time_left(rate: float | None, counted: float, remaining: int) -> tuple[float | None, float | None, float | None]:
    """Return the seconds left and a range that holds about 19 times in 20 when the present rate goes on.

    Arrivals are taken as Poisson: of n counted, the rate is uncertain by 2 over the square root of n on either side.
    With four or fewer there is no upper end.
    """
    if remaining == 0:
        return 0.0, 0.0, 0.0
    if rate is None:
        return None, None, None
    error = 2 / math.sqrt(counted)
    eta = remaining / rate
    return eta, eta / (1 + error), eta / (1 - error) if error < 1 else None
