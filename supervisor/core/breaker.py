"""The breaker between the fleet and a site that is down for everyone.

    CLOSED    work is handed out freely
    OPEN      nothing is handed out until `until`
    PROBING   one reference at a time may try whether the site is back
    RAMPING   it is: the allowed number doubles with every success, up to the whole fleet

It opens when several references on several workers failed alike and nothing succeeded in between, when a login finds
the site down, or when the site asked for a pause. Where references cannot tell an outage from bad ones, because too few
are left (`RunState.in_doubt`) or several probes have failed, a control is asked (`core.controls`). One that is served
acquits the site: from then on more evidence has the control asked before anybody pauses, so that a thousand bad
references are given up one after the other, and an outage is noticed all the same. When it opens, what failed so since
the site last answered is forgiven; long ago only what was not known to be bad. One bad reference or one sick worker
never opens it, nor do many bad ones that were seen to fail before, while the site answered: they are no evidence. The
pause doubles with every probe that fails, and goes back to its first length only after a run of successes, so that it
does not flap.
"""

from enum import Enum

import msgspec

from supervisor.core.likeness import Likeness
from supervisor.core.policy import Policy
from supervisor.core.queue import Reference

_MOST_SUSPECTS = 500
"""Failures since the site last answered that are kept in mind."""


class BreakerState(Enum):
    """See the module's table."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    RAMPING = "ramping"


class Suspect(msgspec.Struct, frozen=True):
    """A failure that may have been the site's."""

    at: float
    alike: Likeness
    slot: int
    attempt: int
    reference: Reference
    charged: bool
    """The attempt was counted; taken back when this turns out to be an outage."""


class Breaker:
    """Decides how many references may be in flight."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.state = BreakerState.CLOSED
        self.until = 0.0
        self.opened_at: float | None = None
        self.reason = ""
        self.answers = 0
        """How often the site has answered sensibly."""
        self.asks = False
        """A control has to say whether what fails now is the site; nothing is handed out until it has."""
        self._acquitted = False
        """A control was served while others failed."""
        self._failed_probes = 0
        self._pause = policy.breaker_pause
        self._allowed = 0
        self._successes = 0
        self._suspects: list[Suspect] = []

    def allows(self, in_flight: int, now: float) -> bool:
        """Say whether one more reference may go out now."""
        if self.state is BreakerState.OPEN and now >= self.until:
            self.state = BreakerState.PROBING
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.PROBING:
                return in_flight == 0
            case BreakerState.RAMPING:
                return in_flight < self._allowed

    def next_deadline(self) -> float | None:
        """When the pause ends."""
        return self.until if self.state is BreakerState.OPEN else None

    def answered(self, slots: int, *, proof: bool) -> bool:
        """The site answered sensibly. Say whether this closed the breaker.

        `proof` is False for a login: the site is there, but whether it brings references is still to be seen, so the
        time for which it has brought none goes on.
        """
        self._suspects.clear()
        self.asks = False
        if proof and self.state is not BreakerState.OPEN:
            self.opened_at = None
        self.answers += 1
        self._failed_probes = 0
        self._successes += 1
        if self._successes >= self._policy.breaker_calm:
            self._pause = self._policy.breaker_pause
        match self.state:
            case BreakerState.PROBING:
                self.state = BreakerState.RAMPING
                self._allowed = 2
            case BreakerState.RAMPING:
                self._allowed *= 2
            case BreakerState.CLOSED | BreakerState.OPEN:
                return False  # what was in flight when it opened proves nothing, and an asked-for pause is kept
        if self._allowed < slots:
            return False
        self.state = BreakerState.CLOSED
        return True

    def acquit(self, slots: int) -> bool:
        """A control was served: what failed meanwhile is to blame itself. Say whether this closed the breaker."""
        self._acquitted = self.state is not BreakerState.OPEN
        return self.answered(slots, proof=True)

    def suspect(self, suspect: Suspect, slots: int) -> tuple[Suspect, ...] | None:
        """Take a failure that may be the site's. Returns the failures that opened the breaker; None: it stays closed.

        A probe that fails opens it again. While the fleet goes back to full speed one piece of evidence is enough.
        """
        self._successes = 0
        self._suspects = [*self._suspects[1 - _MOST_SUSPECTS :], suspect]
        self._failed_probes += self.state is BreakerState.PROBING
        outage = self._is_outage(suspect, slots)
        self.asks |= outage and self._acquitted
        if not outage or self._acquitted:
            if suspect.charged and suspect.reference.suspicious:
                self.opened_at = None  # it is this reference, and not the site, that is given up by and by
            return None
        since = suspect.at - self._policy.breaker_window
        opening = tuple(one for one in self._suspects if one.at >= since or not one.reference.suspicious)
        self.open(suspect.alike.group.value, suspect.at)
        return opening

    def _is_outage(self, suspect: Suspect, slots: int) -> bool:
        match self.state:
            case BreakerState.OPEN | BreakerState.PROBING:
                return True
            case BreakerState.RAMPING if not self._acquitted:
                return not suspect.reference.suspicious
            case BreakerState.RAMPING | BreakerState.CLOSED:
                since = suspect.at - self._policy.breaker_window
                evidence = [
                    one
                    for one in self._suspects
                    if one.at >= since and not one.reference.suspicious and one.alike == suspect.alike
                ]
                references = {one.reference.ref_id for one in evidence}
                workers = {one.slot for one in evidence}
                return len(references) >= self._policy.breaker_references and len(workers) >= min(2, slots)

    def doubts(self, reference: Reference) -> bool:
        """Say whether another probe with a reference, this one, would tell little: is it the site, or are they all bad?

        So it is when several probes have failed, or when every reference has since the site last answered.
        """
        enough = self._failed_probes >= self._policy.breaker_references or reference.suspected == self.answers
        return self.state is BreakerState.PROBING and enough

    def uncharge(self, attempt: int) -> None:
        """This attempt was taken back; what it says about the site stands."""
        self._suspects = [
            msgspec.structs.replace(one, charged=False) if one.attempt == attempt else one for one in self._suspects
        ]

    def forget(self, ref_ids: set[int]) -> None:
        """These references begin anew: what was charged to them before is no longer anybody's business."""
        self._suspects = [one for one in self._suspects if one.reference.ref_id not in ref_ids]

    def open(self, reason: str, now: float, pause: float | None = None) -> None:
        """Hand nothing out for `pause` seconds, or for the present length of the growing pause.

        While it is open already, an asked-for pause can only prolong it, and failures of what was in flight do not.
        """
        self._successes = 0
        self._suspects.clear()
        self.asks = self._acquitted = False
        if self.opened_at is None:
            self.opened_at = now
        if self.state is BreakerState.OPEN:
            if pause is not None:
                self.until = max(self.until, now + pause)
            return
        self.state = BreakerState.OPEN
        self.reason = reason
        self.until = now + (self._pause if pause is None else pause)
        if pause is None:
            self._pause = min(self._pause * 2, self._policy.breaker_pause_limit)

    def exhausted(self, now: float) -> bool:
        """The site has brought no reference for longer than the run is willing to wait, and does not now."""
        if self.opened_at is None or self.state not in {BreakerState.OPEN, BreakerState.PROBING}:
            return False
        return now - self.opened_at >= self._policy.outage_limit

    @property
    def unresolved(self) -> bool:
        """References were charged for what may have been the site's fault, and it has not answered since."""
        if self.state is not BreakerState.CLOSED or not self._suspects:
            return False
        return any(one.charged for one in self._suspects)

    def accused(self) -> tuple[Suspect, ...]:
        """Return, once, the failures since the site last answered."""
        suspects, self._suspects = tuple(self._suspects), []
        return suspects

    def excuse(self, seconds: float) -> None:
        """For so long the operator had nobody try."""
        if self.opened_at is not None:
            self.opened_at += seconds

    def postpone(self, seconds: float) -> None:
        """Time passed in which nobody could try."""
        self.until += seconds
        self.excuse(seconds)
