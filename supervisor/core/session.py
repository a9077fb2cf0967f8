"""The session that all workers share: who renews it, since when it holds, how often it was lost for nothing."""


class SharedSession:
    """One session for the fleet, numbered by generation; generation 0 means that nobody has logged in yet."""

    def __init__(self, fruitless_limit: int) -> None:
        self._fruitless_limit = fruitless_limit
        self._content = b""
        self.generation = 0
        self.valid = False
        self.since = 0.0
        self.not_before = 0.0
        self.tries = 0
        self._failing_since = 0.0
        self._fruitless = 0

    @property
    def content(self) -> bytes:
        """The opaque bytes for `UseSession`; a secret, never logged."""
        return self._content

    def renewed(self, content: bytes, now: float) -> None:
        """Somebody logged in."""
        self._content = content
        self.generation += 1
        self.valid = True
        self.since = now
        self.tries = 0

    def expired(self, generation: int) -> bool:
        """A worker met the login page with that generation. Say whether this is news: the present one is gone."""
        if not self.valid or generation != self.generation:
            return False
        self.valid = False
        self._fruitless += 1
        return True

    def proved(self) -> None:
        """A reference was completed: the session does serve its purpose."""
        self._fruitless = 0

    @property
    def hopeless(self) -> bool:
        """It was lost several times in a row before anything was completed: to log in once more would not help."""
        return self._fruitless >= self._fruitless_limit

    def failed(self, now: float, delay: float) -> None:
        """A login came to nothing without being refused: the next try waits `delay` seconds."""
        if not self.tries:
            self._failing_since = now
        self.tries += 1
        self.not_before = now + delay

    def exhausted(self, now: float, limit: float) -> bool:
        """Logins have failed for longer than `limit` seconds, with no success in between."""
        return self.tries > 0 and now - self._failing_since >= limit
