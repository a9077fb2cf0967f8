"""The simulated website: the truth about each reference, outages, rate limits, sessions."""

from random import Random
from typing import NamedTuple

from tests.simulation.outage import KINDS
from tests.simulation.trouble import Night, Trouble
from worker.protocol import Kind

_FLAKY = (
    Kind.TIMEOUT,
    Kind.STEP_TIMEOUT,
    Kind.SERVER_ERROR,
    Kind.NETWORK,
    Kind.DOCUMENT_INVALID,
    Kind.DOCUMENT_STALLED,
    Kind.DOWNLOAD_REFUSED,
    Kind.DOCUMENTS_MISSING,
    Kind.PAGE_HUNG,
    Kind.RECIPE_ERROR,
    Kind.SESSION_EXPIRED,
    Kind.RATE_LIMITED,
    Kind.LOGIN_FAILED,
)
_BAD = (
    Kind.NOT_FOUND,
    Kind.HTTP_ERROR,
    Kind.CERTIFICATE,
    Kind.TIMEOUT,
    Kind.STEP_TIMEOUT,
    Kind.SERVER_ERROR,
    Kind.NETWORK,
    Kind.DOCUMENT_INVALID,
    Kind.DOCUMENTS_MISSING,
    Kind.RECIPE_ERROR,
    Kind.SESSION_EXPIRED,
    Kind.EXPORT_INVALID,
    Kind.INTERRUPTED,
)
_CRASHES = (Kind.WORKER_DIED, Kind.BROWSER_LOST, Kind.PAGE_CRASHED)
_OUTAGES = tuple(sorted(KINDS))


class Truth:
    """What there is to know about one reference: it fails `times` times as `kind`, then succeeds."""

    __slots__ = ("kind", "seconds", "times")

    def __init__(self, kind: Kind | None, times: int, seconds: float) -> None:
        self.kind = kind
        self.times = times
        self.seconds = seconds

    def __repr__(self) -> str:
        return "fine" if self.kind is None else f"{self.kind} {self.times} times"


FOR_EVER = 1_000_000
_FEW = 2


class Window(NamedTuple):
    """A time of trouble for everyone."""

    begin: float
    end: float
    kinds: tuple[Kind, ...]
    retry_after: float | None
    login: bool = False
    """The login works all the same."""
    instead: str = ""
    """The page that comes in place of every document."""


class Website:
    """The truth, and what it does at a given moment."""

    def __init__(self, night: Night, rng: Random, horizon: float) -> None:
        self.rng = rng
        self.refs = [f"R{number}" for number in range(1, night.references + 1)]
        self.truths = {ref: self._truth(night) for ref in self.refs}
        self.windows: list[Window] = []
        self.session = 0
        self.exclusive = Trouble.EXCLUSIVE in night.troubles
        self.thefts = 0
        self.errands_fail_until = rng.uniform(0, horizon) if Trouble.ERRANDS in night.troubles else 0.0
        self.refuses_from = rng.uniform(0, horizon) if Trouble.REFUSAL in night.troubles else float("inf")
        for ref in [ref for ref in self.refs if self.truths[ref].kind is Kind.SESSION_EXPIRED][_FEW:]:
            # More of them are taken for a stolen session, but for those that never come, when others have come before.
            if self.truths[ref].times < FOR_EVER or int(ref[1:]) <= len(self.refs) // 2:
                self.truths[ref] = Truth(None, 0, 2.0)
        if Trouble.OUTAGE in night.troubles:
            self.windows += [self._outage(horizon) for _ in range(rng.randint(1, 3))]
        if Trouble.PAGES in night.troubles:
            self.windows.append(self._outage(horizon)._replace(login=True))
        if Trouble.INSTEAD in night.troubles:
            outage = self._outage(horizon)
            self.windows.append(outage._replace(kinds=(Kind.DOCUMENT_INVALID,), login=True, instead="we are moving"))
        if Trouble.MAINTENANCE in night.troubles:
            self.windows.append(self._outage(horizon)._replace(kinds=(Kind.SESSION_EXPIRED,)))
        if Trouble.THROTTLE in night.troubles:
            self.windows += [self._throttle(horizon) for _ in range(rng.randint(1, 3))]
        if Trouble.ALIKE in night.troubles:
            kind = rng.choice((Kind.TIMEOUT, Kind.SERVER_ERROR, Kind.NETWORK))
            spread = rng.sample(self.refs, len(self.refs) // 12 + 1)
            for ref in spread if night.seed % 2 else self.refs[-(len(self.refs) // 3) :]:  # or all that is left
                self.truths[ref] = Truth(kind, FOR_EVER, 2.0)
        if Trouble.FORBIDDEN in night.troubles:
            first = rng.randrange(len(self.refs))
            for ref in self.refs[first : first + rng.randint(1, 12)]:
                self.truths[ref] = Truth(Kind.FORBIDDEN, FOR_EVER, 2.0)

    def _truth(self, night: Night) -> Truth:
        rng = self.rng
        seconds = rng.uniform(0.5, 8.0)
        roll = rng.random()
        if Trouble.SLOW in night.troubles and rng.random() < 0.1:
            seconds = rng.uniform(30.0, 70.0)
        if Trouble.BAD in night.troubles and roll < 0.05:
            return Truth(rng.choice(_BAD), FOR_EVER, seconds)
        if Trouble.FLAKY in night.troubles and roll < 0.25:
            return Truth(rng.choice(_FLAKY), rng.randint(1, 2), seconds)
        if Trouble.POISON in night.troubles and roll > 0.97:
            return Truth(rng.choice(_CRASHES), rng.choice((1, 2, FOR_EVER)), seconds)
        return Truth(None, 0, seconds)

    def _outage(self, horizon: float) -> Window:
        begin = self.rng.uniform(0, horizon)
        kinds = self.rng.sample(_OUTAGES, self.rng.choice((1, 1, 2)))
        return Window(begin, begin + self.rng.choice((20, 120, 600, 1500, 5000)), tuple(kinds), None)

    def _throttle(self, horizon: float) -> Window:
        begin = self.rng.uniform(0, horizon)
        asked = self.rng.choice((None, None, 0.0, 20.0, 300.0))
        return Window(begin, begin + self.rng.choice((10, 60, 900)), (Kind.RATE_LIMITED,), asked)

    def trouble(self, now: float) -> Window | None:
        """Return the trouble that everyone meets now."""
        for window in self.windows:
            if window.begin <= now < window.end:
                return window
        return None

    def down_for(self, begin: float, end: float) -> float:
        """Return the longest trouble for everyone between these two; gaps of less than 200 s count as trouble."""
        longest, since, until = 0.0, begin, begin
        for window in sorted(self.windows):
            if window.begin >= end or window.end <= begin:
                continue
            if window.begin > until + 200.0:
                since = window.begin
            until = max(until, min(window.end, end))
            longest = max(longest, until - max(since, begin))
        return longest
