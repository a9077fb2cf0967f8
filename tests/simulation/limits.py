"""How much the site is asked in any minute, as the site itself would count it."""

from collections import deque

from supervisor.core.policy import Policy
from tests.simulation.oracle import demand

_MINUTE = 60.0
_LEDGER = 1.0
"""Seconds by which a start may be late because the ledger was slow, without being counted again."""
_MOST = 16
"""Requests that one reference takes."""


class Limits:
    """Raises `Violation` when more goes out in a minute than the policy allows, across crashes and restarts."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._handed_out: deque[float] = deque()
        self._left: deque[float] = deque()
        self._requests: deque[tuple[float, int]] = deque()
        self._total = 0
        """Requests of the last minute."""

    def restarted(self, recorded: list[float]) -> None:
        """A run begins: what was handed to a ledger that did not keep it never left."""
        self._handed_out = deque(recorded)

    def handed_out(self, now: float) -> None:
        """An attempt was handed to the ledger."""
        self._count(self._handed_out, now, _MINUTE - 1e-6)

    def left(self, now: float) -> None:
        """A reference went out to a worker."""
        self._count(self._left, now, _MINUTE - _LEDGER)

    def _count(self, starts: deque[float], now: float, minute: float) -> None:
        limit = self._policy.references_per_minute
        if limit:
            starts.append(now)
            while starts[0] <= now - minute:
                starts.popleft()
            demand(len(starts) <= limit, "{} references within a minute, {} are allowed", len(starts), limit)

    def asked(self, requests: int, now: float) -> None:
        """The site was asked: a quarter more than allowed, and one reference beyond what was expected, may happen."""
        limit = self._policy.requests_per_minute
        self._requests.append((now, requests))
        self._total += requests
        while self._requests[0][0] <= now - _MINUTE:
            self._total -= self._requests.popleft()[1]
        total = self._total
        demand(total <= 1.25 * limit + 2 * _MOST, "{} requests within a minute, {} are allowed", total, limit)
