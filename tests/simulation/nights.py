"""Plays nights and keeps what became of them."""

from collections.abc import Callable, Iterable

import msgspec

from tests.simulation.trouble import Night
from tests.simulation.world import Figures, World


class Outcome(msgspec.Struct, frozen=True):
    """A night, and the promise that it broke, if any."""

    night: Night
    figures: Figures
    error: str = ""


def play(one: Night, trace: Callable[[str], None] | None = None) -> Outcome:
    """Play one night; `trace` gets each event and command as a line."""
    world = World(one, trace)
    try:
        world.live()
    except Exception as error:  # noqa: BLE001 - whatever the core does wrong is what we look for
        return Outcome(one, world.figures, f"{type(error).__name__}: {error}"[:2000])
    return Outcome(one, world.figures)


def play_many(seeds: Iterable[int], make: Callable[[int], Night]) -> tuple[Figures, list[Outcome]]:
    """Play the nights that `make` makes of these seeds.

    Returns the sum of their figures, and those that broke a promise.
    """
    total, failed = Figures(nights=0), []
    for seed in seeds:
        outcome = play(make(seed))
        total.add(outcome.figures)
        if outcome.error:
            failed.append(outcome)
    return total, failed


def replay_command(one: Night) -> str:
    """Return the command that plays it again, with its trace."""
    return f"python -m tests.simulation --nights 1 {one} --trace"
