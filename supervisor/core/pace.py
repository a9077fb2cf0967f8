"""How fast the whole fleet may go: references a minute, and requests a minute to one host. 0 for as fast as it can.

References are counted when they are handed out, and again when the ledger kept one back: never more than the limit in
any minute, and no two closer than half of their even distance, so that a minute's share is not used up in its first
seconds. Requests are counted by the workers, which tell every second; what is held back is a whole reference, until
each host has room for as many requests as the last references took at most. So a single minute may see a quarter
more than the limit (and what one reference takes beyond those before it); over several minutes the limit holds.
"""

from collections import deque

from supervisor.core.policy import Policy

_MINUTE = 60.0
_BURST = 0.25
"""The share of a minute's requests that may be saved up."""
_SAMPLES = 20
_MOST_HOSTS = 256
_ROUNDING = 1e-6
"""A wait that is shorter than this is over: its end may not even be a later moment in floating point."""


class _Host:
    """The account of one host: it fills evenly, requests draw on it, and it may be overdrawn by one reference."""

    __slots__ = ("_at", "_rate", "_samples", "capacity", "most", "tokens")

    def __init__(self, limit: int, tokens: float, now: float) -> None:
        self._rate = limit / _MINUTE
        self.capacity = limit * _BURST
        self.tokens = min(tokens, self.capacity)
        self.most = 0
        """Requests of the last references, each: the largest."""
        self._samples: deque[int] = deque(maxlen=_SAMPLES)
        self._at = now

    def draw(self, requests: int, now: float) -> None:
        """Count requests that were made."""
        self.tokens = min(self.tokens + (now - self._at) * self._rate, self.capacity) - requests
        self._at = now

    def took(self, requests: int) -> None:
        """A reference that was answered took so many."""
        self._samples.append(requests)
        self.most = max(self._samples)

    def wait(self, reserved: float, now: float) -> float:
        """Return for how many seconds the next reference must wait, when those under way may still draw `reserved`."""
        self.draw(0, now)
        missing = reserved + min(self.most, self.capacity) - self.tokens
        return missing / self._rate if missing > _ROUNDING else 0.0


class Pace:
    """Decides when the next reference may go out."""

    def __init__(self, policy: Policy, started: tuple[float, ...], now: float) -> None:
        """`started` are the attempts of the minute before this start of the run, in seconds ago, the oldest first."""
        self._references = policy.references_per_minute
        self._requests = policy.requests_per_minute
        self._starts: deque[float] = deque((now - ago for ago in started), maxlen=max(self._references, 1))
        self._saved = 0.0 if started else float("inf")
        """After a restart nobody knows what was asked in the last minute, so nothing counts as saved up."""
        self._hosts: dict[str, _Host] = {}
        self._known = False
        """A reference was answered, so it is known what one takes."""
        self._under_way: dict[int, dict[str, int]] = {}
        """By slot: the requests of what it works on."""

    def started(self, slot: int, now: float) -> None:
        """A reference goes out."""
        self._starts.append(now)
        self._under_way[slot] = {}

    def delayed(self, now: float) -> None:
        """One that was handed out before has not left yet: it starts now, or later."""
        self._starts.append(now)

    def postpone(self, seconds: float) -> None:
        """Nobody did anything for so long, and what was about to leave leaves now."""
        self._starts = deque((at + seconds for at in self._starts), maxlen=self._starts.maxlen)

    def asked(self, slot: int, requests: dict[str, int], now: float) -> None:
        """A worker made so many requests to these hosts."""
        if not self._requests:
            return
        own = self._under_way.get(slot)
        for name, count in requests.items():
            host = self._hosts.get(name)
            if host is None:
                if len(self._hosts) >= _MOST_HOSTS:
                    continue
                host = self._hosts[name] = _Host(self._requests, self._saved, now)
            host.draw(count, now)
            if own is not None:
                own[name] = own.get(name, 0) + count

    def ended(self, slot: int, *, answered: bool) -> None:
        """What the slot worked on is over; what it took tells what the next one will take, if it came to an answer."""
        took = self._under_way.pop(slot, {})
        if answered:
            self._known = True
            for name, count in took.items():
                self._hosts[name].took(count)

    def wait(self, now: float) -> float:
        """Return for how many seconds the next reference must wait; 0 for none."""
        if not self._references and not self._requests:
            return 0.0
        wait = 0.0
        if self._references and self._starts:
            wait = self._starts[-1] + _MINUTE / self._references / 2 - now
            if len(self._starts) == self._references:
                wait = max(wait, self._starts[0] + _MINUTE - now)
        if self._requests:
            if not self._known and self._under_way:
                return max(wait, _MINUTE)  # the first one shows what a reference takes; its answer ends the wait
            for name, host in self._hosts.items():
                reserved = 0
                for own in self._under_way.values():
                    reserved += max(0, host.most - own.get(name, 0))
                wait = max(wait, host.wait(reserved, now))
        return wait if wait > _ROUNDING else 0.0

    def next_deadline(self, now: float) -> float | None:
        """When the wait ends; None when there is none."""
        wait = self.wait(now)
        return now + wait if wait else None
