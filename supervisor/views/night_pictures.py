"""The plots of a night as SVG for a page: what each worker did when, references finished when, how long they took.

Their colours are the variables of the page's style, so that one picture serves in light, in dark and in print. A
plotting library would draw them too, but takes one to two seconds of processor time to load, at the end of every run.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec
from markupsafe import Markup

from supervisor.shell.ledger_schema import seconds
from supervisor.views import html
from supervisor.views.night_figures import FAILURE, WORK, Figures
from supervisor.views.scales import Scale, Tick, amounts, linear, spans, times

_WIDTH = 720.0
"""Units of the drawing, which the page scales."""
_LEFT, _RIGHT, _TOP, _BELOW = 54.0, 695.0, 9.0, 26.0
"""Room around each plot: the same for all, so that their times stand below one another."""
_ROW = 18.7
_BAR = 0.62
"""Height of a worker's bar, in rows."""
_MARK = 0.9
"""Height of a kill or a restart, in rows."""
_MOST_TITLES = 400
"""Kills, and restarts, that tell more under the mouse; all others are only drawn."""
_FEW_WORKERS = 40
"""With more, not every worker's number is written."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


class _Shape(msgspec.Struct, frozen=True):
    outline: Markup
    """The commands of an SVG path."""
    colour: str
    """Of the page's variables."""
    title: str = ""
    """What it tells under the mouse, and to whoever cannot see it."""
    line: bool = False
    """It is drawn along, not filled."""


def timeline(figures: Figures) -> str:
    """Return the timeline of the workers: work, failed attempts, kills and restarts, pauses and outages."""
    rows = {slot: index for index, slot in enumerate(figures.tracks)}
    bottom = _TOP + _ROW * max(len(rows), 1)
    across = times(figures.begin, figures.end, (_LEFT, _RIGHT))
    middle = linear((-0.5, max(len(rows), 1) - 0.5), (_TOP, bottom))
    shapes = []
    for span in figures.outages:
        place: Box = (across.place(span.begin), _TOP, across.place(span.end), bottom)
        shapes.append(_Shape(_outline([place]), "outage", f"{_moment(span.begin)}: {span.detail}"))
    for value, colour in (WORK, "work"), (FAILURE, "failure"):
        half = _ROW * _BAR / 2
        bars = [
            (across.place(begin), middle(row) - half, across.place(end), middle(row) + half)
            for row, track in enumerate(figures.tracks.values())
            for begin, end in _stretches(figures, track, value)
        ]
        shapes += [_Shape(_outline(bars), colour)] if bars else []
    shapes += _marks(figures, lambda slot, at: _upright(across.place(at), middle(rows[slot])))
    names = [Tick(middle(rows[slot]), f"worker {slot}") for slot in list(rows)[:: 1 + len(rows) // _FEW_WORKERS]]
    return _plot("Timeline of the workers", bottom, shapes, across.ticks, names, lines=False)


def _marks(figures: Figures, draw: Callable[[int, float], Markup]) -> Iterator[_Shape]:
    """Yield restarts, then kills: one that a restart follows may be at the same place, and is what must be seen."""
    for colour, restarts in ("restarted", True), ("killed", False):
        drawn = [
            (draw(mark.slot, seconds(mark.at)), mark)
            for mark in figures.marks
            if (mark.what == "restarted") is restarts and mark.slot in figures.tracks
        ]
        for outline, mark in drawn[:_MOST_TITLES]:
            yield _Shape(outline, colour, f"{_moment(seconds(mark.at))} {mark.what}: {mark.detail}", line=True)
        if rest := "".join(outline for outline, _ in drawn[_MOST_TITLES:]):
            yield _Shape(html.markup(rest), colour, line=True)


def throughput(figures: Figures) -> str:
    """Return the references finished a minute over the night, failed ones on top of the completed ones."""
    length = (figures.end - figures.begin) / len(figures.completed)
    edges = [figures.begin + length * index for index in range(len(figures.completed) + 1)]
    completed = [count / length * 60 for count in figures.completed]
    failed = [count / length * 60 for count in figures.failed]
    across = times(figures.begin, figures.end, (_LEFT, _RIGHT))
    return _columns("References finished a minute", 108.0, across, edges, well=completed, ill=failed)


def durations(figures: Figures) -> str:
    """Return how long attempts took, on a logarithmic scale: how many that succeeded and that failed took how long."""
    bounds = figures.spread_bounds
    across = spans(bounds[0], bounds[-1], (_LEFT, _RIGHT))
    return _columns(
        "How long attempts took",
        79.0,
        across,
        bounds,
        well=figures.spread_succeeded,
        ill=figures.spread_failed,
        whole=True,
    )


def _columns(
    label: str,
    height: float,
    across: Scale,
    edges: Sequence[float],
    *,
    well: Sequence[float],
    ill: Sequence[float],
    whole: bool = False,
) -> str:
    """Draw a column between each two edges: what went well, and on top of it what failed."""
    bottom = _TOP + height
    both = [lower + upper for lower, upper in zip(well, ill, strict=True)]
    upright = amounts(max(both, default=0.0), (bottom, _TOP), whole=whole)
    sides = [across.place(edge) for edge in edges]
    shapes = []
    for colour, floor, ceiling in ("work", [0.0] * len(both), well), ("failure", well, both):
        columns = [
            (left, upright.place(high), right, upright.place(low))
            for left, right, low, high in zip(sides, sides[1:], floor, ceiling, strict=False)
            if high > low
        ]
        shapes += [_Shape(_outline(columns), colour)] if columns else []
    return _plot(label, bottom, shapes, across.ticks, upright.ticks, lines=True)


def _plot(
    label: str, bottom: float, shapes: Sequence[_Shape], below: Sequence[Tick], beside: Sequence[Tick], *, lines: bool
) -> str:
    return html.render(
        "plot.svg",
        label=label,
        width=_WIDTH,
        height=round(bottom + _BELOW, 1),
        left=_LEFT,
        right=_RIGHT,
        bottom=round(bottom, 1),
        shapes=shapes,
        below=below,
        beside=beside,
        lines=lines,
    )


def _outline(boxes: Sequence[Box]) -> Markup:
    """Return all boxes as one outline, which takes a fraction of the room of one for each."""
    return html.markup(
        "".join(f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z" for left, top, right, bottom in boxes)
    )


def _upright(at: float, row: float) -> Markup:
    return html.markup(f"M{at:.1f} {row - _ROW * _MARK / 2:.1f}v{_ROW * _MARK:.1f}")


def _stretches(figures: Figures, track: bytes, value: int) -> Iterator[tuple[float, float]]:
    """Yield begin and end of each stretch of this value, in seconds since the epoch."""
    step = (figures.end - figures.begin) / len(track)
    for match in re.finditer(bytes([value]) + b"+", track):
        yield figures.begin + step * match.start(), figures.begin + step * match.end()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
