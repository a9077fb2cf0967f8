"""Looks for the smallest night that still breaks a promise: fewer troubles, fewer references, fewer workers."""

from collections.abc import Iterator

from tests.simulation.nights import Outcome, play
from tests.simulation.trouble import Night

_SEEDS = 15
"""Dropping something changes all that follows from a seed, so that some others are tried as well."""


def shrink(outcome: Outcome) -> Outcome:
    """Return the smallest failing night found, by dropping one thing after the other as long as it still fails."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(outcome.night):
            found = _still_fails(candidate)
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


def _still_fails(one: Night) -> Outcome | None:
    for seed in range(one.seed, one.seed + _SEEDS):
        outcome = play(Night(seed, one.references, one.workers, one.troubles))
        if outcome.error:
            return outcome
    return None
