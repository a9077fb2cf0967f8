"""Controls: references that the site has served before, by which a site that is down is told from bad references.

When a control is served while others fail, it is they and not the site; when it fails like them, it is the site. A
login tells less: the pages of the vehicles may be down while it works. So it is asked only before anything was served.
"""

_MOST = 5
"""So that one which was sold meanwhile does not decide."""
_TRIES = 3


class Controls:
    """The references that were served most lately, in the order in which they are asked for."""

    def __init__(self, served: tuple[str, ...]) -> None:
        """`served` before this start of the run, the latest first."""
        self._failures = dict.fromkeys(served[:_MOST], 0)
        """By reference: how often in a row it told nothing."""

    def next(self) -> str | None:
        """Return the one to be tried next; None when nothing was served yet, or nothing of it is left."""
        return next(iter(self._failures), None)

    def served(self, ref: str) -> None:
        """This one was served just now."""
        self.forget(ref)
        self._failures = {ref: 0, **self._failures}
        if len(self._failures) > _MOST:
            self._failures.popitem()

    def proved(self, ref: str) -> None:
        """It was served once more."""
        if ref in self._failures:  # it may have been recalled meanwhile
            self._failures[ref] = 0

    def put_last(self, ref: str) -> None:
        """This one failed as in an outage: the next time another one is asked."""
        if ref in self._failures:
            del self._failures[ref]
            self._failures[ref] = 0

    def told_nothing(self, ref: str) -> None:
        """It failed in another way: the others are asked before it again and, after three times, only they."""
        failures = self._failures.pop(ref, _TRIES) + 1
        if failures < _TRIES:
            self._failures[ref] = failures

    def forget(self, ref: str) -> None:
        """This one tells nothing any more."""
        self._failures.pop(ref, None)
