"""The world's own judgement whether an outage can be recognised; stricter than the core may be, never laxer."""

from typing import NamedTuple

from tests.simulation.oracle import demand
from worker.protocol import Kind

GROUPS = (
    frozenset({Kind.NETWORK, Kind.OFFLINE}),
    frozenset({Kind.SERVER_ERROR, Kind.DOWNLOAD_REFUSED}),
    frozenset({Kind.TIMEOUT, Kind.STEP_TIMEOUT, Kind.DOCUMENT_STALLED}),
)
_WINDOW = 100.0
_REFERENCES = 3
_SLOTS = 2


class _Suspect(NamedTuple):
    at: float
    kind: Kind
    slot: int
    ref_id: int
    attempt: int
    charged: bool
    first: bool


KINDS = frozenset().union(*GROUPS)
"""How the site's being down may show."""


class OutageWatch:
    """`dark` from the moment when everybody must know that the site is down, until it answers."""

    def __init__(self) -> None:
        self.dark = False
        self._barren_since: float | None = None
        self._seen: set[int] = set()
        self._suspects: list[_Suspect] = []

    def answered(self) -> None:
        """The site answered sensibly."""
        self.dark = False
        self._suspects.clear()

    def bore_fruit(self) -> None:
        """A reference got its answer: the site does more than to let people log in."""
        self._barren_since = None

    def barren_for(self, now: float) -> float:
        """Return for how many seconds every reference has failed as in an outage, and none was charged for it."""
        return 0.0 if self._barren_since is None else now - self._barren_since

    def clear(self) -> None:
        """What came before has nothing to do with what follows."""
        self._suspects.clear()

    def forgiven(self, attempt: int) -> None:
        """An attempt was taken back."""
        self._suspects = [one._replace(charged=one.charged and one.attempt != attempt) for one in self._suspects]

    def reopened(self, ref_id: int) -> None:
        """A reference begins anew."""
        self._suspects = [one for one in self._suspects if one.ref_id != ref_id]

    def failed(self, now: float, kind: Kind, slot: int, ref_id: int, attempt: int, *, charged: bool) -> None:
        """An attempt failed as in an outage: nobody pays for it from the moment when the outage is recognised.

        Raises:
            Violation: somebody does.
        """
        if charged:
            self._barren_since = None
        elif self._barren_since is None:
            self._barren_since = now
        self._suspects = [one for one in self._suspects if one.at >= now - _WINDOW]
        self._suspects.append(_Suspect(now, kind, slot, ref_id, attempt, charged, ref_id not in self._seen))
        self._seen.add(ref_id)
        self.dark = self.dark or any(self._is_outage(group) for group in GROUPS)
        if self.dark:
            unforgiven = [one.attempt for one in self._suspects if one.charged]
            demand(not unforgiven, "attempts {} are charged in an outage", unforgiven)
            self._suspects.clear()

    def _is_outage(self, group: frozenset[Kind]) -> bool:
        alike = [one for one in self._suspects if one.kind in group and one.first]
        references, slots = {one.ref_id for one in alike}, {one.slot for one in alike}
        return len(references) >= _REFERENCES and len(slots) >= _SLOTS
