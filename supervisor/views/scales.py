"""The scales of a plot: which place a value has, and which values are written beside it."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from supervisor.views.text import duration

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_ROUND = (1.0, 2.0, 5.0, 10.0)
_TIME_STEPS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
)
_MOST_TIMES = 9
_DURATIONS = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 3600, 36_000)
"""Seconds that are written below durations."""


class Tick(msgspec.Struct, frozen=True):
    """A value that is written beside the plot."""

    at: float
    """Its place."""
    text: str


class Scale(msgspec.Struct, frozen=True):
    """From values to places. The end may lie before the begin, on the page as well as among the values."""

    place: Callable[[float], float]
    ticks: tuple[Tick, ...]


def linear(values: tuple[float, float], places: tuple[float, float]) -> Callable[[float], float]:
    """Return what puts these values to these places, and all others in proportion."""
    (low, high), (first, last) = values, places
    factor = (last - first) / (high - low)
    return lambda value: first + (value - low) * factor


def amounts(most: float, places: tuple[float, float], *, whole: bool = False) -> Scale:
    """Return the scale from 0 to a little above `most`, with three or four round values.

    Args:
        most: what must have room; 0 for nothing.
        places: of 0 and of the end.
        whole: only whole numbers are written.
    """
    most = most or 1.0
    step = _round_step(most / 3)
    if whole:
        step = max(1.0, step)
    place = linear((0.0, most * 1.08), places)
    count = int(most * 1.08 / step)
    return Scale(place, tuple(Tick(place(step * index), f"{step * index:,.10g}") for index in range(count + 1)))


def times(begin: float, end: float, places: tuple[float, float]) -> Scale:
    """Return the scale of the moments from `begin` to `end`, in seconds since the epoch, written in UTC."""
    length = end - begin
    days = _DAY * math.ceil(length / _DAY / _MOST_TIMES)
    step = next((step for step in _TIME_STEPS if length / step <= _MOST_TIMES), days)
    clock = "%d %b %H:%M" if length > _DAY else "%H:%M" if length > _HOUR else "%H:%M:%S"
    place = linear((begin, end), places)
    first, last = math.ceil(begin / step), math.floor(end / step)
    moments = (index * step for index in range(first, last + 1))
    return Scale(place, tuple(Tick(place(at), f"{datetime.fromtimestamp(at, UTC):{clock}}") for at in moments))


def spans(shortest: float, longest: float, places: tuple[float, float]) -> Scale:
    """Return the logarithmic scale of durations between these two, in seconds; both are above 0."""
    straight = linear((math.log(shortest), math.log(longest)), places)

    def place(seconds: float) -> float:
        return straight(math.log(seconds))

    written = (seconds for seconds in _DURATIONS if shortest <= seconds <= longest)
    return Scale(place, tuple(Tick(place(at), f"{at:g} s" if at < 1 else duration(at)) for at in written))


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20 ... and of their tenths that is not below `least`."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next(factor * decade for factor in _ROUND if factor * decade >= least * 0.999)
