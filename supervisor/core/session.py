"""Sessions: since when a login holds, what was fetched without a later proof of it, and who takes it away.

A session is proven for the time up to the hand-out of an attempt that succeeded later: every attempt begins with a page
on which the worker looked for the mark of who is logged in, and a session that is gone does not come back by itself.
Documents that came after the last proof are called unproven. When the session is then found gone, nobody knows on which
side of its end they came, so they are fetched again.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from supervisor.core.policy import Policy
from supervisor.core.queue import Reference


class Session:
    """What one login gave, numbered by generation; generation 0 means that nobody has logged in yet."""

    def __init__(self, fruitless_limit: int) -> None:
        self._fruitless_limit = fruitless_limit
        self._content = b""
        self.generation = 0
        self.valid = False
        self.proven = False
        self.since = 0.0
        self.not_before = 0.0
        self.tries = 0
        self.proof_tries = 0
        """Proofs asked for at the end of the run that came to nothing."""
        self._proven_until = 0.0
        self._lost_generation = 0
        self._trusted_until = 0.0
        self._unproven: deque[tuple[float, int, Reference]] = deque()
        self._dead_since = 0.0
        """Since when nobody has seen it alive, without the time in which nobody could try."""
        self._lost_on_errands = 0
        self._losers: set[int] = set()
        self._known_losers: set[int] = set()
        self.unsure = False
        """It may have ended while nobody looked: a page for who is logged in has to prove that it did not."""
        self.in_question = False
        """A control has to say whether this account's sessions serve anything, or the references are to blame."""

    @property
    def proven_last(self) -> float:
        """The last moment at which the session was certainly alive."""
        return self._proven_until

    @property
    def content(self) -> bytes:
        """The opaque bytes for `UseSession`; a secret, never logged."""
        return self._content

    def renewed(self, content: bytes, now: float) -> None:
        """Somebody logged in."""
        self._content = content
        self.generation += 1
        self.valid = True
        self.proven = self.unsure = False
        self.since = self._proven_until = self._dead_since = now
        self.tries = self.proof_tries = 0

    def expired(self, generation: int, ref_id: int, *, young: bool) -> bool:
        """A worker met the login page with that generation. Say whether this is news: the present one is gone.

        `ref_id` is the reference it met it for, 0 for an errand, of which the loss of a `young` session alone counts.
        """
        if not self.valid or generation != self.generation:
            return False
        self._give_up()
        if not ref_id:
            self._lost_on_errands += young
        elif not self.is_known_loser(ref_id):
            self._losers.add(ref_id)
        return True

    def _give_up(self) -> None:
        """Somebody will log in again, which may end what is left of the session: later documents are doubtful.

        Nobody can prove this session any more, so what is unproven now has to be taken out and fetched again.
        """
        self.valid = self.unsure = False
        self._lost_generation, self._trusted_until = self.generation, self._proven_until

    def is_known_loser(self, ref_id: int) -> bool:
        """This reference met the login page before, while others were served: that is its own trouble."""
        return ref_id in self._known_losers

    def doubted(self, generation: int) -> bool:
        """A page was forbidden. Say whether a fresh login may change that: not when the session never proved itself."""
        if not self.valid or not self.proven or generation != self.generation:
            return False
        self._give_up()
        return True

    def ask_again(self) -> None:
        """Log in once more, to learn whether the site answers at all."""
        if self.valid:
            self._give_up()

    def proved(self) -> None:
        """A reference was completed, or a control served: the session does serve its purpose."""
        self.proven = True
        self.in_question = False
        self._lost_on_errands = 0
        self._known_losers |= self._losers
        self._losers.clear()

    # --------------------------------------------------------------------------------------- what was fetched with it
    def proven_until(self, generation: int, moment: float) -> None:
        """The session of this generation was alive at `moment`; what was fetched before then is beyond doubt."""
        if generation == self.generation and moment > self._proven_until:
            self._proven_until = moment
            self._dead_since = max(self._dead_since, moment)
            while self._unproven and self._unproven[0][0] <= moment:
                self._unproven.popleft()

    def is_doubtful(self, generation: int, fetched: float) -> bool:
        """Say whether what was fetched by then may have come from a session that was gone already."""
        if generation == self._lost_generation:
            return fetched > self._trusted_until
        return generation < self._lost_generation

    def remember(self, generation: int, fetched: float, attempt: int, reference: Reference) -> None:
        """This attempt's documents are published; a later proof has to confirm them."""
        if generation == self.generation and fetched > self._proven_until:
            self._unproven.append((fetched, attempt, reference))

    @property
    def has_unproven(self) -> bool:
        """Documents were published that no later proof has confirmed yet."""
        return bool(self._unproven)

    def take_unproven(self) -> list[tuple[int, Reference]]:
        """Return, and forget, the attempts and references whose documents no proof has confirmed."""
        unproven = [(attempt, reference) for _, attempt, reference in self._unproven]
        self._unproven.clear()
        return unproven

    # ------------------------------------------------------------------------------------------- logins that fail
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
            self._dead_since = now
        self.tries += 1
        self.not_before = now + delay

    def succeeded(self) -> None:
        """The errand that failed before has come to its end."""
        self.tries = 0

    def postpone(self, seconds: float) -> None:
        """Time passed in which nobody could try."""
        self._dead_since += seconds

    def dead_for(self, now: float) -> float:
        """For how many seconds nobody has seen it alive; where logins fail, since the first of them."""
        return now - self._dead_since


class Thief:
    """Recognises that somebody takes the session away again and again, soon after each login.

    A loss speaks of a thief only when the session was young, and when the reference that met the login page was served
    with a later session: its page is not to blame. A session that was seen alive when it was old acquits. Where each
    worker has a session of its own, one moment may end them all: a loss that another one explains does not count, once
    for each worker.
    """

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self._window = window
        self._suspects: set[int | str] = set()
        """Ids of references, and controls by their names."""
        self._confirmed = 0
        self._counted_at = -1.0
        self._excused: set[int] = set()

    def lost(self, session: Session, slot: int, who: int | str, now: float, *, young: bool) -> None:
        """A session was found gone by the worker in this slot, for this reference or control (0: neither)."""
        if session.proven_last - session.since > self._window:
            self._suspects.clear()
            self._confirmed = 0
        elif not young:
            return  # it may have ended long before somebody looked
        elif who and (session.proven_last > self._counted_at or slot in self._excused):
            self._suspects.add(who)
            self._counted_at = now
        elif who:
            self._excused.add(slot)

    def served(self, who: int | str) -> None:
        """A reference was completed, or a control was served."""
        if who in self._suspects:
            self._suspects.discard(who)
            self._confirmed += 1

    @property
    def at_work(self) -> bool:
        """It happened so often that it is no accident."""
        return self._confirmed >= self._limit


_LOGINS_KEPT = 64


class Rivals:
    """Recognises that the workers' own logins end each other, as where a site allows one session an account.

    Any session that was seen alive after the login of another worker acquits. A loss counts when another has logged in
    since the session was last seen alive and when something was served afterwards, so that it is not the site that is
    down; once for each reference until it is served, as its page may be to blame. One moment may end all sessions: a
    loss that another one explains does not count, once for each worker.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._logins: deque[tuple[float, int]] = deque(maxlen=_LOGINS_KEPT)
        self._suspected = False
        self._confirmed = 0
        self._counted_at = -1.0
        self._counted: set[int | str] = set()
        """Ids of references, and controls by their names."""
        self._excused: set[int] = set()

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
            self._excused.clear()
        elif who not in self._counted and self._others(slot, sessions[slot].proven_last, now):
            if sessions[slot].since > self._counted_at or slot in self._excused:
                self._suspected = True
                self._counted_at = now
                self._counted.add(who)
            else:
                self._excused.add(slot)

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

    def exhausted(self, now: float, limit: float) -> bool:
        """Somebody has failed to log in for longer than `limit` seconds, and no other session was seen alive since.

        The session of a slot whose worker has left is tried by nobody, and hopes for nothing.
        """
        return any(session.tries for session in self.all) and all(
            session.dead_for(now) >= limit for session in self.all
        )
