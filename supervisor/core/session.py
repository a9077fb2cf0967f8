"""The session that all workers share: who renews it, since when it holds, how often it was lost for nothing."""


class SharedSession:
    """One session for the fleet, numbered by generation; generation 0 means that nobody has logged in yet."""

    def __init__(self, fruitless_limit: int) -> None:
        self._fruitless_limit = fruitless_limit
        self._content = b""
        self.generation = 0
        self.valid = False
        self.proven = False
        self.since = 0.0
        self.not_before = 0.0
        self.tries = 0
        self._failing_since = 0.0
        self._lost_on_errands = 0
        self._losers: set[int] = set()
        self._known_losers: set[int] = set()

    @property
    def content(self) -> bytes:
        """The opaque bytes for `UseSession`; a secret, never logged."""
        return self._content

    def renewed(self, content: bytes, now: float) -> None:
        """Somebody logged in."""
        self._content = content
        self.generation += 1
        self.valid = True
        self.proven = False
        self.since = now
        self.tries = 0

    def expired(self, generation: int, ref_id: int) -> bool:
        """A worker met the login page with that generation. Say whether this is news: the present one is gone.

        `ref_id` is the reference it met it for, 0 for an errand.
        """
        if not self.valid or generation != self.generation:
            return False
        self.valid = False
        if not ref_id:
            self._lost_on_errands += 1
        elif ref_id not in self._known_losers:
            self._losers.add(ref_id)
        return True

    def doubted(self, generation: int) -> bool:
        """A page was forbidden. Say whether a fresh login may change that: not when the session never proved itself."""
        if not self.valid or not self.proven or generation != self.generation:
            return False
        self.valid = False
        return True

    def ask_again(self) -> None:
        """Log in once more, to learn whether the site answers at all."""
        self.valid = False

    def proved(self) -> None:
        """A reference was completed: the session does serve its purpose."""
        self.proven = True
        self._lost_on_errands = 0
        self._known_losers |= self._losers
        self._losers.clear()

    @property
    def hopeless(self) -> bool:
        """It was lost for several references before anything was completed: to log in once more would not help.

        A reference that met the login page before, while others were served, is that reference's trouble; so is one
        that meets it again and again.
        """
        return len(self._losers) + self._lost_on_errands >= self._fruitless_limit

    def failed(self, now: float, delay: float) -> None:
        """A login came to nothing without being refused: the next try waits `delay` seconds."""
        if not self.tries:
            self._failing_since = now
        self.tries += 1
        self.not_before = now + delay

    def succeeded(self) -> None:
        """The errand that failed before has come to its end."""
        self.tries = 0

    def postpone(self, seconds: float) -> None:
        """Time passed in which nobody could try."""
        self._failing_since += seconds

    def exhausted(self, now: float, limit: float) -> bool:
        """Logins have failed for longer than `limit` seconds, with no success in between."""
        return self.tries > 0 and now - self._failing_since >= limit
