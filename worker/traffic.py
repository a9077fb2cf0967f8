"""Counts the requests of this worker by host, for the limits of the fleet, which the supervisor keeps."""

from collections import Counter
from urllib.parse import urlsplit

_MOST_HOSTS = 64
"""Told apart in one report; pages of advertising may ask hundreds, of which a limit needs the busiest."""


class Traffic:
    """What was asked since it was last taken.

    Args:
        counting: False where the run has no limit on requests, so that nothing is spent on counting.
    """

    def __init__(self, *, counting: bool) -> None:
        self.counting = counting
        self._requests: Counter[str] = Counter()

    def count(self, url: str) -> None:
        """Count one request, whatever came of it. What asks no host (``data:``, ``blob:``) does not count."""
        if not self.counting:
            return
        try:
            parts = urlsplit(url)
            host = parts.hostname if parts.scheme in {"http", "https"} else None
        except ValueError:
            return  # no browser could have asked it either
        if host:
            self._requests[host[:255]] += 1

    def take(self) -> dict[str, int]:
        """Return the requests by host, and begin anew."""
        taken, self._requests = self._requests, Counter()
        return dict(taken.most_common(_MOST_HOSTS))
