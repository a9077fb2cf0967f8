"""Looks for the smallest night that still breaks a promise: fewer troubles, fewer references, fewer workers."""

import time
from collections.abc import Iterator

from tests.simulation.nights import Outcome, play
from tests.simulation.trouble import Night

_SEEDS = 15
"""Dropping something changes all that follows from a seed, so that some others are tried as well."""


def shrink(outcome: Outcome, seconds: float = 60.0) -> Outcome:
    """Return the smallest failing night found, by dropping one thing after the other as long as it still fails.

    It stops looking after so many `seconds`: a night that goes round in circles may take some by itself.
    """
    end = time.monotonic() + seconds
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(outcome.night):
            found = _still_fails(candidate, end)
            if found is not None:
                outcome, smaller = found, True
                break
    return outcome


def _smaller(one: Night) -> Iterator[Night]:
    for references in (1, 3, one.references // 4, one.references // 2, one.references - 1):
        if 0 < references < one.references:
            yield Night(one.seed, references, one.workers, one.troubles)
    for trouble in sorted(one.troubles):
        yield Night(one.seed, one.references, one.workers, one.troubles - {trouble})
    for workers in range(1, one.workers):
        yield Night(one.seed, one.references, workers, one.troubles)


def _still_fails(one: Night, end: float) -> Outcome | None:
    for seed in range(one.seed, one.seed + _SEEDS):
        if time.monotonic() >= end:
            return None
        outcome = play(Night(seed, one.references, one.workers, one.troubles))
        if outcome.error:
            return outcome
    return None
