"""The plots of a night as SVG for a page: what each worker did when, references finished when, how long they took.

Matplotlib draws them; their colours are then replaced by the variables of the page's style, so that one picture serves
in light, in dark and in print, and stays sharp. Whoever imports this module loads Matplotlib, which takes a second.
"""

import io
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from supervisor.shell.ledger_schema import seconds
from supervisor.views.night_figures import FAILURE, WORK, Figures
from supervisor.views.text import clean, duration

_INK = {
    "soft": "#010101",
    "line": "#010102",
    "work": "#010103",
    "failure": "#010104",
    "killed": "#010105",
    "restarted": "#010106",
    "outage": "#010107",
    "good": "#010108",
}
"""Colours that nothing else has, in the places of the page's variables."""

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nightfleet",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "text.color": _INK["soft"],
    "axes.edgecolor": _INK["line"],
    "axes.labelcolor": _INK["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": _INK["line"],
    "grid.linewidth": 0.6,
    "xtick.color": _INK["line"],
    "ytick.color": _INK["line"],
    "xtick.labelcolor": _INK["soft"],
    "ytick.labelcolor": _INK["soft"],
    "ytick.major.size": 0,
}
_WIDTH = 10.0
"""Inches; the page scales it."""
_LEFT, _RIGHT, _BOTTOM, _TOP = 0.75, 0.35, 0.35, 0.12
"""Inches around each plot: the same for all, so that their times stand below one another."""
_ROW = 0.26
_BAR = 0.62
"""Height of a worker's bar, in rows."""
_MOST_TITLES = 400
"""Marks that tell more under the mouse; all others are only drawn."""
_TICKS = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 3600, 36_000)
"""Seconds that are written below the durations."""
_DAY, _HOUR = 86_400.0, 3600.0
_FEW_WORKERS = 40
"""With more, not every worker's number is written."""


def timeline(figures: Figures) -> str:
    """Return the timeline of the workers: work, failed attempts, kills and restarts, pauses and outages."""
    rows = {slot: index for index, slot in enumerate(figures.tracks)}
    titles: dict[str, str] = {}

    def draw(axes: Axes) -> None:
        for index, span in enumerate(figures.outages):
            name = f"outage-{index}"
            titles[name] = f"{_moment(span.begin)}: {span.detail}"
            axes.axvspan(_day(span.begin), _day(span.end), color=_INK["outage"], alpha=0.7, linewidth=0, gid=name)
        for value, colour in (WORK, "work"), (FAILURE, "failure"):
            _fill(axes, _bars(figures, value), _INK[colour])
        # Restarts first: the kill before one may be at the same place, and is what must be seen.
        for index, mark in enumerate(sorted(figures.marks, key=lambda mark: mark.what != "restarted")):
            if mark.slot in rows and index < _MOST_TITLES:
                name = f"mark-{index}"
                titles[name] = f"{_moment(seconds(mark.at))} {mark.what}: {mark.detail}"
                colour = _INK["restarted" if mark.what == "restarted" else "killed"]
                at, row = _day(seconds(mark.at)), rows[mark.slot]
                axes.plot([at, at], [row - 0.45, row + 0.45], color=colour, linewidth=1.6, gid=name)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        labels = list(rows)[:: 1 + len(rows) // _FEW_WORKERS]
        axes.yaxis.set_major_locator(FixedLocator([rows[slot] for slot in labels]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda row, _: f"worker {list(rows)[round(row)]}"))

    return _plot(_ROW * max(len(rows), 1), "Timeline of the workers", draw, figures, titles)


def throughput(figures: Figures) -> str:
    """Return the references finished a minute over the night, failed ones on top of the completed ones."""
    buckets = len(figures.completed)
    length = (figures.end - figures.begin) / buckets
    edges = [_day(figures.begin + length * index) for index in range(buckets + 1)]
    completed = [count / length * 60 for count in figures.completed]
    both = [done + count / length * 60 for done, count in zip(completed, figures.failed, strict=True)]

    def draw(axes: Axes) -> None:
        axes.stairs(completed, edges, fill=True, color=_INK["work"])
        axes.stairs(both, edges, baseline=completed, fill=True, color=_INK["failure"])
        axes.set_ylim(0, max(*both, 0.001) * 1.08)
        _scale(axes)

    return _plot(1.5, "References finished a minute", draw, figures)


def durations(figures: Figures) -> str:
    """Return how long attempts took, on a logarithmic scale: how many that succeeded and that failed took how long."""
    bounds = figures.spread_bounds
    both = [done + lost for done, lost in zip(figures.spread_succeeded, figures.spread_failed, strict=True)]

    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.stairs(figures.spread_succeeded, bounds, fill=True, color=_INK["work"])
        axes.stairs(both, bounds, baseline=figures.spread_succeeded, fill=True, color=_INK["failure"])
        axes.set_xlim(bounds[0], bounds[-1])
        axes.set_ylim(0, max(*both, 1) * 1.08)
        ticks = [tick for tick in _TICKS if bounds[0] <= tick <= bounds[-1]]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g} s" if tick < 1 else duration(tick)))
        _scale(axes, whole=True)

    return _plot(1.1, "How long attempts took", draw)


def _plot(
    height: float,
    label: str,
    draw: Callable[[Axes], None],
    figures: Figures | None = None,
    titles: dict[str, str] | None = None,
) -> str:
    """Draw into axes of `height` inches, with the night's time below when `figures` are given; return the SVG."""
    tall = height + _BOTTOM + _TOP
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, tall))
        axes = figure.add_axes(
            (_LEFT / _WIDTH, _BOTTOM / tall, 1 - (_LEFT + _RIGHT) / _WIDTH, height / tall), facecolor="none"
        )
        draw(axes)
        if figures is not None:
            axes.set_xlim(_day(figures.begin), _day(figures.end))
            locator = AutoDateLocator(minticks=4, maxticks=9, tz=UTC)
            axes.xaxis.set_major_locator(locator)
            length = figures.end - figures.begin
            clock = "%d %b %H:%M" if length > _DAY else "%H:%M" if length > _HOUR else "%H:%M:%S"
            axes.xaxis.set_major_formatter(DateFormatter(clock, tz=UTC))
        drawn = io.StringIO()
        figure.patch.set_visible(False)
        FigureCanvasSVG(figure).print_svg(drawn, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_page(drawn.getvalue(), label, titles or {})


def _scale(axes: Axes, *, whole: bool = False) -> None:
    axes.grid(axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=whole, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))


def _for_page(svg: str, label: str, titles: dict[str, str]) -> str:
    """Return the drawing as a part of a page: its colours, names of its own, and a title for whoever cannot see it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for name, colour in _INK.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r"(font: [\d.]+px) [^;\"]*", r"\1 system-ui, sans-serif", svg)
    for name, text in titles.items():
        svg = svg.replace(f'<g id="{name}">', f'<g id="{name}"><title>{escape(clean(text))}</title>')
    prefix = re.sub(r"\W+", "-", label.lower())
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    head = f'<svg {box[0] if box else ""} role="img" aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg"'
    return head + ' xmlns:xlink="http://www.w3.org/1999/xlink">' + svg[svg.index(">") + 1 :].strip()


def _fill(axes: Axes, bars: Sequence[tuple[float, float, float]], colour: str) -> None:
    """Draw bars (from, to, row) as one outline, which takes a fraction of the room of one for each."""
    if not bars:
        return
    corners: list[tuple[float, float]] = []
    for begin, end, row in bars:
        low, high = row - _BAR / 2, row + _BAR / 2
        corners += [(begin, low), (begin, high), (end, high), (end, low), (begin, low)]
    codes = [Outline.MOVETO, Outline.LINETO, Outline.LINETO, Outline.LINETO, Outline.CLOSEPOLY] * len(bars)
    axes.add_patch(PathPatch(Outline(corners, codes), facecolor=colour, linewidth=0))


def _bars(figures: Figures, value: int) -> list[tuple[float, float, float]]:
    """Return begin and end (days, as Matplotlib counts) and row of each stretch of this value."""
    found = []
    for row, track in enumerate(figures.tracks.values()):
        step = (figures.end - figures.begin) / len(track)
        for match in re.finditer(bytes([value]) + b"+", track):
            begin, end = (_day(figures.begin + step * column) for column in match.span())
            found.append((begin, end, float(row)))
    return found


def _day(at: float) -> float:
    day: float = date2num(datetime.fromtimestamp(at, UTC))
    return day


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
