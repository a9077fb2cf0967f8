"""The sessions of a run: which worker uses which, and whether somebody takes them away."""

from collections.abc import Iterable, Mapping

from supervisor.core.fleet import Slot, SlotState
from supervisor.core.policy import Policy
from supervisor.core.session import Session
from supervisor.core.thefts import Rivals, Thief


class Sessions:
    """The sessions of a run: one that all workers share, or, where the site wants it so, one for each slot."""

    def __init__(self, policy: Policy) -> None:
        self.own = policy.own_logins
        self._fruitless_limit = policy.fruitless_sessions
        self._by_slot: dict[int, Session] = {}
        self.thief = Thief(policy.stolen_sessions, policy.stolen_window)
        self.rivals = Rivals(policy.stolen_sessions)

    def of(self, slot: int) -> Session:
        """Return the session that the worker in this slot uses."""
        key = slot if self.own else 0
        session = self._by_slot.get(key)
        if session is None:
            session = self._by_slot[key] = Session(self._fruitless_limit)
        return session

    def renewed(self, slot: int, content: bytes, now: float) -> None:
        """The worker in this slot has logged in."""
        self.of(slot).renewed(content, now)
        self.rivals.logged_in(slot, now)

    def lost(self, slot: int, who: int | str, now: float, *, young: bool) -> None:
        """The worker in this slot found its session gone, for this reference or control (0: neither)."""
        self.thief.lost(self.of(slot), slot, who, now, young=young)
        if self.own:
            self.rivals.lost(self._by_slot, slot, who, now)

    def served(self, who: int | str) -> None:
        """A reference was completed, or a control was served."""
        self.thief.served(who)
        self.rivals.served(who)

    @property
    def all(self) -> Iterable[Session]:
        """Every session there is."""
        return self._by_slot.values()

    @property
    def established(self) -> bool:
        """Somebody has logged in at some time of this start."""
        return any(session.generation for session in self.all)

    @property
    def oldest(self) -> float | None:
        """Since when the oldest present session holds."""
        return min((session.since for session in self.all if session.valid), default=None)

    def postpone(self, seconds: float) -> None:
        """Time passed in which nobody could try to log in."""
        for session in self.all:
            session.postpone(seconds)

    def exported(self) -> None:
        """The inventory has come: whoever tried to export it, and could not, has nothing more to try."""
        for session in self.all:
            if session.valid:
                session.succeeded()

    def in_vain(self, now: float, limit: float, slots: Mapping[int, Slot]) -> str:
        """Return what somebody has tried for longer than `limit` seconds, and no session was seen alive since.

        The session of a slot whose worker has left for good is tried by nobody, and hopes for nothing.
        """
        trying = [
            session
            for number, session in self._by_slot.items()
            if session.tries and (number not in slots or slots[number].state is not SlotState.RETIRED)
        ]
        if not trying or any(session.dead_for(now) < limit for session in self.all):
            return ""
        return "export the inventory" if all(session.valid for session in trying) else "log in"
