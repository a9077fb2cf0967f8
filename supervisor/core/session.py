"""A session: since when a login holds, and what was fetched without a later proof of it.

A session is proven for the time up to the hand-out of an attempt that succeeded later: every attempt begins with a page
on which the worker looked for the mark of who is logged in, and a session that is gone does not come back by itself.
Documents that came after the last proof are called unproven. When the session is then found gone, nobody knows on which
side of its end they came, so they are fetched again.
"""

from collections import deque

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
