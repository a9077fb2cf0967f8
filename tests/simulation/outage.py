"""The world's own judgement whether an outage can be recognised; stricter than the core may be, never laxer."""

from typing import NamedTuple

from tests.simulation.oracle import demand
from worker.protocol import Kind

GROUPS = (
    frozenset({Kind.NETWORK, Kind.OFFLINE}),
    frozenset({Kind.SERVER_ERROR, Kind.DOWNLOAD_REFUSED}),
    frozenset({Kind.TIMEOUT, Kind.STEP_TIMEOUT, Kind.DOCUMENT_STALLED}),
    frozenset({Kind.DOCUMENT_INVALID}),  # with the same page instead
)
SILENT = GROUPS[2]
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
    mark: str
    """What must be the same beside the group."""


KINDS = frozenset().union(*GROUPS[:3])
"""How the site's being down may show, beside the same page in place of every document."""


class OutageWatch:
    """`dark` from the moment when everybody must know that the site is down, until it answers."""

    def __init__(self) -> None:
        self.dark = False
        self._acquitted = False
        """A control was served: the core asks the next one before it takes anything for an outage."""
        self._barren_since: float | None = None
        self._seen: set[int] = set()
        self._suspects: list[_Suspect] = []

    def answered(self) -> None:
        """The site answered sensibly."""
        self.dark = False
        self._suspects.clear()

    def control_served(self) -> None:
        """The site does serve what it served before."""
        self.answered()
        self.bore_fruit()
        self._acquitted = True

    def opened(self) -> None:
        """The breaker opened: whoever was charged since the last control was served must have been forgiven.

        Raises:
            Violation: somebody was not.
        """
        if self._acquitted:
            self._demand_forgiveness()
        self._acquitted, self.dark = False, True

    def bore_fruit(self) -> None:
        """A reference got its answer: the site does more than to let people log in."""
        self._barren_since = None

    def barren_for(self, now: float) -> float:
        """Return for how many seconds every reference has failed as in an outage, and none was charged for it."""
        return 0.0 if self._barren_since is None else now - self._barren_since

    def paused(self) -> None:
        """The site asked for a pause: what came before has nothing to do with what follows."""
        self._suspects.clear()
        self._acquitted = False

    def errand_failed(self) -> None:
        """What failed before is forgiven, and no evidence of anything any more."""
        if not self._acquitted:
            self._suspects.clear()

    def forgiven(self, attempt: int) -> None:
        """An attempt was taken back."""
        self._suspects = [one._replace(charged=one.charged and one.attempt != attempt) for one in self._suspects]

    def reopened(self, ref_id: int) -> None:
        """A reference begins anew."""
        self._suspects = [one for one in self._suspects if one.ref_id != ref_id]

    def failed(self, now: float, kind: Kind, mark: str, *, slot: int, ref_id: int, attempt: int, charged: bool) -> None:
        """An attempt failed as in an outage: nobody pays for it from the moment when the outage is recognised.

        Raises:
            Violation: somebody does.
        """
        if charged:
            self._barren_since = None
        elif self._barren_since is None:
            self._barren_since = now
        self._suspects = [one for one in self._suspects if one.at >= now - _WINDOW]
        self._suspects.append(_Suspect(now, kind, slot, ref_id, attempt, charged, ref_id not in self._seen, mark))
        self._seen.add(ref_id)
        if self._acquitted:
            return
        self.dark = self.dark or any(self._is_outage(group, mark) for group in GROUPS)
        if self.dark:
            self._demand_forgiveness()

    def _demand_forgiveness(self) -> None:
        unforgiven = [one.attempt for one in self._suspects if one.charged]
        demand(not unforgiven, "attempts {} are charged in an outage", unforgiven)
        self._suspects.clear()

    def _is_outage(self, group: frozenset[Kind], mark: str) -> bool:
        alike = [one for one in self._suspects if one.kind in group and one.mark == mark and one.first]
        references, slots = {one.ref_id for one in alike}, {one.slot for one in alike}
        return len(references) >= _REFERENCES and len(slots) >= _SLOTS
