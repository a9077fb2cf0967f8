"""How many workers? Found by trying: more while more documents come, fewer when that costs nothing or in trouble.

    DOUBLING   twice as many, as long as each doubling brings more
    UP         one more, as long as that brings more
    DOWN       one fewer, as long as that costs nothing
    HOLDING    the best number, until it is time to look again, or the site has changed

A number is judged by its window: how many references were completed in a while in which work was handed out freely
and as many workers as wanted were there. How many documents a reference has depends on chance, and not on the number of
workers, so it would only blur the comparison; sentences speak of documents by the average of the whole run. A window is
long enough to mean something, and several times as long where the comparison is close. What was handed out under a
former number of workers tells nothing of how long a reference takes under the present one.
"""

from enum import Enum
from statistics import median

import msgspec

_SECONDS = 30.0
"""The shortest window."""
_ENOUGH = 20
"""Completions in a window."""
_ENOUGH_DOUBLING = 10
"""Completions that tell whether twice as many workers bring more."""
_PATIENCE = 600.0
"""Seconds after which a window is judged by the few completions that it has."""
_LONGER = 8
"""Times that a window is lengthened where the comparison is close."""
_GAIN = 1.05
"""More workers are kept when they bring so many times as much."""
_GAIN_BUSY = 1.1
"""So many times where the processor has nothing left, and then only one more at a time is tried."""
_CLOSE = (0.95, 1.12)
_LOSS = 0.96
"""Fewer workers are kept when they bring so much of what the best number brought."""
_FAR_LESS = 0.8
_CLOSE_BELOW = (0.9, 1.0)
_SLOWER = 2.0
"""A reference that takes so many times as long, while no more documents come, means that the site is overrun."""
_SLOWER_BUSY = 1.5
"""So much is enough when the processor has nothing left."""
_COLLAPSED = 0.5
"""Of what came before; less than that is not waited for until the window is full."""
_AFTER_LIMIT = 0.7
"""Of the workers that are left when the site answers 429."""
_AGAIN = 600.0
"""Seconds until a look whether the best number is still the best, and until more is tried after a 429; grows."""
_AGAIN_LIMIT = 7200.0
_SETTLE = 90.0
"""The longest that the workers are given to be there, in seconds."""
_LOOK = 5.0
"""Seconds between two looks."""


class Phase(Enum):
    """See the module's table."""

    DOUBLING = "doubling"
    UP = "up"
    DOWN = "down"
    HOLDING = "holding"


class Level(msgspec.Struct, frozen=True):
    """What a number of workers brought."""

    rate: float
    """References that were completed, a second."""
    seconds: float
    """The median of what a reference took."""


class Surroundings(msgspec.Struct, frozen=True):
    """What the policy must know of the run when it looks."""

    free: bool
    """Work is handed out freely, and there is enough of it."""
    there: bool
    """As many workers as wanted are at work, and no others."""
    room: int
    """How many more workers the machine has room for."""
    processor_busy: bool = False


class Change(msgspec.Struct, frozen=True):
    """So many workers are wanted from now on, and why, in a sentence."""

    workers: int
    sentence: str


class _Window:
    """What came since the workers were there. Rates are per second of the window."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.count = 0
        self.seconds: list[float] = []

    def level(self, now: float) -> Level:
        return Level(self.count / max(now - self.begin, 1e-9), median(self.seconds) if self.seconds else 0.0)


class Scaling:
    """Decides how many workers are wanted, between `least` and `most`."""

    def __init__(self, least: int, most: int, begin: int, now: float) -> None:
        """There are `begin` workers to begin with."""
        self.least, self.most = least, most
        self.wanted = begin
        self.phase = Phase.DOUBLING
        self.next_look = now + _LOOK
        self._best = begin
        self._levels: dict[int, Level] = {}
        """By number of workers: what was measured since the site was last seen to change."""
        self._changed_at = now
        self._there_at: float | None = None
        self._window: _Window | None = None
        self._again_at = now
        self._again = _AGAIN
        self._ceiling = most
        self._ceiling_until = now
        self._ceiling_for = _AGAIN
        self._limited = False
        self._references = self._documents = 0

    # ------------------------------------------------------------------------------------------------- what happens
    def completed(self, begun: float, now: float, documents: int) -> None:
        """A reference that was handed out at `begun` brought so many verified documents."""
        self._references += 1
        self._documents += documents
        window = self._window
        if window is None or now < window.begin:
            return
        window.count += 1
        if begun >= self._changed_at:
            window.seconds.append(now - begun)

    def limited(self, begun: float, now: float) -> None:
        """The site answered 429 to what was handed out at `begun`."""
        if begun >= self._changed_at:
            self._limited = True
            self.next_look = now

    def disturbed(self) -> None:
        """What happens now says nothing about the number of workers: begin the window anew."""
        self._window = self._there_at = None

    # ------------------------------------------------------------------------------------------------- what follows
    def look(self, now: float, around: Surroundings) -> Change | None:
        """Judge what came; return the change that follows from it, if any."""
        self.next_look = now + _LOOK
        if now >= self._ceiling_until:
            self._ceiling = self.most
        if self._limited:
            self._limited = False
            return self._back_off_from_limit(now)
        if not around.free:
            self.disturbed()
            return None
        window = self._window
        if window is None:
            self._settle(now, there=around.there)
            return None
        level = window.level(now)
        if self._is_overrun(window, level, now, busy=around.processor_busy):
            return self._back_off(now, level)
        if not self._is_enough(window, level, now):
            return None
        return self._judge(level, now, around)

    def _settle(self, now: float, *, there: bool) -> None:
        """Begin the window when the workers have been there for as long as a reference takes."""
        if self._there_at is None and (there or now >= self._changed_at + _SETTLE):
            known = self._levels.get(self._best)
            self._there_at = now + (min(known.seconds, _SETTLE) if known else 0.0)
        if self._there_at is not None and now >= self._there_at:
            self._window = _Window(now)

    def _reference(self) -> Level | None:
        """With what the present number is compared: the best one, or what itself brought before."""
        return self._levels.get(self._best)

    def _is_overrun(self, window: _Window, level: Level, now: float, *, busy: bool) -> bool:
        """Much slower, and no more documents: this is not waited for until the window is full."""
        known = self._reference()
        if known is None:
            return False
        elapsed = now - window.begin
        # One more may be about to come.
        if elapsed >= max(_SECONDS, 4 * known.seconds) and (window.count + 1) / elapsed < _COLLAPSED * known.rate:
            return True
        slower = _SLOWER_BUSY if busy else _SLOWER
        many = len(window.seconds) >= max(_ENOUGH_DOUBLING, 2 * self.wanted)
        return many and level.seconds >= slower * known.seconds and level.rate < known.rate / _GAIN

    def _is_enough(self, window: _Window, level: Level, now: float) -> bool:
        elapsed, count = now - window.begin, len(window.seconds)
        enough = max(_ENOUGH_DOUBLING if self.phase is Phase.DOUBLING else _ENOUGH, 3 * self.wanted)
        known = self._reference()
        if self.wanted != self._best and known is not None:
            low, high = _CLOSE if self.wanted > self._best else _CLOSE_BELOW
            if low * known.rate < level.rate < high * known.rate:
                enough *= _LONGER
        return elapsed >= _SECONDS and (count >= enough or (elapsed >= _PATIENCE and count > 0))

    def _judge(self, level: Level, now: float, around: Surroundings) -> Change | None:
        tried, known = self.wanted, self._reference()
        self._window = _Window(now)
        if known is None or tried == self._best:
            return self._look_again(level, now, around)
        self._levels[tried] = level
        difference = f"{self._a_minute(abs(level.rate - known.rate))} {{}} than {self._best}"
        gain = _GAIN_BUSY if around.processor_busy else _GAIN
        if tried > self._best and level.rate >= gain * known.rate:
            self._best, self._again = tried, _AGAIN
            return self._next(now, around, f"{_bring(tried)} {difference.format('more')}")
        if tried < self._best and level.rate >= _LOSS * known.rate:
            # What is lost must not add up over several steps: the rate to be reached stays that of the best so far.
            self._levels[tried] = Level(max(level.rate, known.rate), level.seconds)
            self._best, self._again = tried, _AGAIN
            return self._next(now, around, f"{_bring(tried)} as much as more did, {self._a_minute(level.rate)}")
        if tried > self._best:
            self.phase = Phase.UP if self.phase is Phase.DOUBLING else Phase.DOWN
            few = "less" if level.rate < known.rate / _GAIN else "hardly more"
            return self._next(
                now, around, f"{_bring(tried)} {few}: {self._a_minute(level.rate)}, {self._a_minute(known.rate)} before"
            )
        return self._hold(now, f"{_bring(tried)} {difference.format('less')}")

    def _look_again(self, level: Level, now: float, around: Surroundings) -> Change | None:
        """The best number was measured once more: is it time to try others?"""
        best = self.wanted
        before = self._levels.get(best, level)
        mean = Level((before.rate + level.rate) / 2, (before.seconds + level.seconds) / 2)
        self._levels[best] = mean
        if self.phase is not Phase.HOLDING:
            return self._next(now, around, f"{_bring(best)} {self._a_minute(level.rate)}")
        if now < self._again_at:
            return None
        self.phase = Phase.UP
        # Fewer workers that brought far less are not tried again and again: each time would cost what they lack.
        worse = {one: lv for one, lv in self._levels.items() if one < best and lv.rate < _FAR_LESS * mean.rate}
        self._levels = {best: mean, **worse}
        return self._next(now, around, "time to look whether that is still the best number")

    def _next(self, now: float, around: Surroundings, why: str) -> Change | None:
        """Go to the number that is to be tried next; to the best one when there is nothing left to try.

        Where there is no room for more workers, the best number goes on until there is.
        """
        allowed = min(self.most, self._ceiling)
        fits = max(self._best, self.wanted) + (min(1, around.room) if around.processor_busy else around.room)
        for phase, number in ((Phase.DOUBLING, 2 * self._best), (Phase.UP, self._best + 1)):
            if self.phase is not phase:
                continue
            wished = min(number, allowed)
            if wished > self._best and wished not in self._levels:
                possible = max(self._best, min(wished, fits))
                if possible == self._best or possible not in self._levels:
                    return self._change(possible, now, why)
            self.phase = Phase.UP if phase is Phase.DOUBLING else Phase.DOWN
        if self.phase is Phase.DOWN:
            number = self._best - 1
            if number >= self.least and number not in self._levels:
                return self._change(number, now, why)
        return self._hold(now, why)

    def _hold(self, now: float, why: str) -> Change | None:
        self.phase = Phase.HOLDING
        self._again_at = now + self._again
        self._again = min(2 * self._again, _AGAIN_LIMIT)
        return self._change(self._best, now, why)

    def _back_off(self, now: float, level: Level) -> Change | None:
        """The site is overrun: back to what was good; where that is not good any more, half as many, and fewer."""
        known, tried = self._reference(), self.wanted
        assert known is not None  # noqa: S101 - it was compared with it; for the type checker
        why = (
            f"a reference takes {level.seconds:.1f} s, {known.seconds:.1f} s before" if level.seconds else "none comes"
        )
        why += f", and {self._a_minute(level.rate)} come, {self._a_minute(known.rate)} before"
        if tried > self._best:
            self.phase = Phase.UP
            self._ceiling, self._ceiling_until = tried - 1, now + self._again
            self._levels = {number: one for number, one in self._levels.items() if number <= self._best}
            return self._change(self._best, now, why)
        # The number that was good is not any more: the site is another one, and what is known of it is worth nothing.
        fewer = max(self.least, tried // 2)
        self._levels.clear()
        self._best, self.phase, self._again = fewer, Phase.DOWN, _AGAIN
        if fewer == tried:
            self._window = _Window(now)
            return None
        return self._change(fewer, now, why)

    def _back_off_from_limit(self, now: float) -> Change | None:
        tried = self.wanted
        self._ceiling, self._ceiling_until = max(self.least, tried - 1), now + self._ceiling_for
        self._ceiling_for = min(2 * self._ceiling_for, _AGAIN_LIMIT)
        fewer = max(self.least, min(tried - 1, int(tried * _AFTER_LIMIT)))
        self._levels = {number: level for number, level in self._levels.items() if number < tried}
        self._best, self.phase = fewer, Phase.UP
        self.disturbed()
        return self._change(fewer, now, "the site answers 429, too many requests")

    def _change(self, workers: int, now: float, why: str) -> Change | None:
        former = self.wanted
        if workers == former:
            return None
        self.wanted, self._changed_at = workers, now
        self.disturbed()
        return Change(workers, f"{former} → {workers} worker{'' if workers == 1 else 's'}: {why}")

    def _a_minute(self, rate: float) -> str:
        return f"{rate * 60 * self._documents / max(self._references, 1):.1f} documents a minute"


def _bring(workers: int) -> str:
    return f"{workers} {'brings' if workers == 1 else 'bring'}"
