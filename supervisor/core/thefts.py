"""Who takes sessions away: somebody else who uses the account, or the workers' own logins."""

from collections import deque
from collections.abc import Mapping

from supervisor.core.session import Session

_LOGINS_KEPT = 64


class _OneMoment:
    """One moment may end all sessions: a loss that another one explains does not count, once for each worker."""

    def __init__(self) -> None:
        self._counted_at = -1.0
        self._excused: set[int] = set()

    def counts(self, slot: int, alive: float, now: float) -> bool:
        """Say whether the loss that the worker in this slot found now counts; its session was `alive` then."""
        if alive > self._counted_at or slot in self._excused:
            self._counted_at = now
            return True
        self._excused.add(slot)
        return False

    def clear(self) -> None:
        """Every worker may be excused again."""
        self._excused.clear()


class Thief:
    """Recognises that somebody takes the session away again and again, soon after each login.

    A loss speaks of a thief only when the session was young, and when the reference that met the login page was served
    with a later session: its page is not to blame. A session that was seen alive when it was old acquits.
    """

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self._window = window
        self._suspects: set[int | str] = set()
        """Ids of references, and controls by their names."""
        self._confirmed = 0
        self._one_moment = _OneMoment()

    def lost(self, session: Session, slot: int, who: int | str, now: float, *, young: bool) -> None:
        """A session was found gone by the worker in this slot, for this reference or control (0: neither)."""
        if session.proven_last - session.since > self._window:
            self._suspects.clear()
            self._confirmed = 0
        elif not young:
            return  # it may have ended long before somebody looked
        elif who and self._one_moment.counts(slot, session.proven_last, now):
            self._suspects.add(who)

    def served(self, who: int | str) -> None:
        """A reference was completed, or a control was served."""
        if who in self._suspects:
            self._suspects.discard(who)
            self._confirmed += 1

    @property
    def at_work(self) -> bool:
        """It happened so often that it is no accident."""
        return self._confirmed >= self._limit


class Rivals:
    """Recognises that the workers' own logins end each other, as where a site allows one session an account.

    Any session that was seen alive after the login of another worker acquits. A loss counts when another has logged in
    since the session was last seen alive and when something was served afterwards, so that it is not the site that is
    down; once for each reference until it is served, as its page may be to blame.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._logins: deque[tuple[float, int]] = deque(maxlen=_LOGINS_KEPT)
        self._suspected = False
        self._confirmed = 0
        self._counted: set[int | str] = set()
        """Ids of references, and controls by their names."""
        self._one_moment = _OneMoment()

    def logged_in(self, slot: int, now: float) -> None:
        """The worker in this slot has a new session."""
        self._logins.append((now, slot))

    def lost(self, sessions: Mapping[int, Session], slot: int, who: int | str, now: float) -> None:
        """The worker in this slot found its session gone, for this reference or control (0: neither).

        `sessions` are those of all slots.
        """
        if any(self._others(number, one.since, one.proven_last) for number, one in sessions.items()):
            self._suspected = False
            self._confirmed = 0
            self._counted.clear()
            self._one_moment.clear()
        elif (
            who not in self._counted
            and self._others(slot, sessions[slot].proven_last, now)
            and self._one_moment.counts(slot, sessions[slot].since, now)
        ):
            self._suspected = True
            self._counted.add(who)

    def _others(self, slot: int, begin: float, end: float) -> bool:
        """Say whether the worker of another slot has logged in between these two moments."""
        return any(begin < moment < end for moment, other in self._logins if other != slot)

    def served(self, who: int | str) -> None:
        """A reference was completed, or a control was served."""
        self._counted.discard(who)
        self._confirmed += self._suspected
        self._suspected = False

    @property
    def at_work(self) -> bool:
        """It happened so often that it is no accident."""
        return self._confirmed >= self._limit
