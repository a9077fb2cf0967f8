"""The report's two pictures as inline SVG: what each worker did when, and how many references were finished when.

No plotting library: two pictures of rectangles need none, stay sharp in print, follow the page's colours in light and
dark, and cost the start of the program nothing. Colours are classes of the page's style.
"""

from datetime import UTC, datetime
from html import escape

from supervisor.shell.ledger_schema import seconds
from supervisor.views.night_figures import BUCKETS, COLUMNS, FAILURE, NOTHING, Figures
from supervisor.views.text import clean

_LEFT, _WIDTH, _ROW, _AXIS = 90, COLUMNS, 22, 26
_PLOT = 140
_TICKS = 6
_MARK_WIDTH = 2
_MANY_MARKS = 2_000
"""More marks than this would be one black bar."""
_CLOCK_ONLY = 86_400.0


def timeline(figures: Figures) -> str:
    """Return the timeline of the workers: work, failed attempts, kills and restarts, pauses and outages."""
    height = _ROW * len(figures.tracks)
    rows = {slot: index * _ROW for index, slot in enumerate(figures.tracks)}
    parts = [_open(height + _AXIS, "Timeline of the workers")]
    for span in figures.outages:
        x = _x(figures, span.begin)
        width = max(1.0, _x(figures, span.end) - x)
        parts.append(_rect("outage", x, 0, width, height, title=f"{_clock(figures, span.begin)} {span.detail}"))
    for slot, track in figures.tracks.items():
        top = rows[slot]
        parts.append(f'<text x="0" y="{top + 15}">worker {slot}</text>')
        parts += [
            _rect("failure" if value == FAILURE else "work", _LEFT + first, top + 4, length, _ROW - 8)
            for first, length, value in _stretches(track)
        ]
    # Restarts first: the kill before one may be at the same place, and is what must be seen.
    for mark in sorted(figures.marks[:_MANY_MARKS], key=lambda mark: mark.what != "restarted"):
        if mark.slot in rows:
            x, title = _x(figures, seconds(mark.at)), f"{_clock(figures, seconds(mark.at))} {mark.what}: {mark.detail}"
            parts.append(_rect(mark.what, x, rows[mark.slot] + 1, _MARK_WIDTH, _ROW - 2, title=title))
    parts.append(_axis(figures, height))
    return "".join([*parts, "</svg>"])


def throughput(figures: Figures) -> str:
    """Return the references finished over the night, completed and failed on top of each other."""
    most = max(1, *(done + lost for done, lost in zip(figures.completed, figures.failed, strict=True)))
    width = _WIDTH / BUCKETS
    minutes = (figures.end - figures.begin) / BUCKETS / 60
    parts = [_open(_PLOT + _AXIS + 14, "References finished over the night")]
    parts.append(f'<text x="0" y="12">{most / minutes:,.0f} a min</text><text x="0" y="{_PLOT + 12}">0</text>')
    for index, (done, lost) in enumerate(zip(figures.completed, figures.failed, strict=True)):
        left, top = _LEFT + index * width, _PLOT + 10.0
        for name, count in ("work", done), ("failure", lost):
            tall = count / most * _PLOT
            top -= tall
            if count:
                what = "completed" if name == "work" else "failed"
                at = _clock(figures, figures.begin + index * minutes * 60)
                parts.append(_rect(name, left, top, width - 1, tall, title=f"from {at}: {count} {what}"))
    parts.append(_axis(figures, _PLOT + 10))
    return "".join([*parts, "</svg>"])


def _open(height: int, label: str) -> str:
    return f'<svg viewBox="0 0 {_LEFT + _WIDTH + 30} {height}" role="img" aria-label="{label}">'


def _rect(name: str, x: float, y: float, width: float, height: float, *, title: str = "") -> str:
    shape = f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f"{shape}><title>{escape(clean(title))}</title></rect>" if title else f"{shape}/>"


def _axis(figures: Figures, y: float) -> str:
    parts = [f'<line class="axis" x1="{_LEFT}" y1="{y}" x2="{_LEFT + _WIDTH}" y2="{y}"/>']
    for tick in range(_TICKS + 1):
        at = figures.begin + (figures.end - figures.begin) * tick / _TICKS
        x = _x(figures, at)
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle">{_clock(figures, at)}</text>')
    return "".join(parts)


def _x(figures: Figures, at: float) -> float:
    share = (at - figures.begin) / (figures.end - figures.begin)
    return _LEFT + min(1.0, max(0.0, share)) * _WIDTH


def _clock(figures: Figures, at: float) -> str:
    long = figures.end - figures.begin > _CLOCK_ONLY
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M" if long else "%H:%M:%S")


def _stretches(track: bytes) -> list[tuple[int, int, int]]:
    """Return first column, length and value of each stretch in which something was done."""
    found: list[tuple[int, int, int]] = []
    first = 0
    for column in range(1, len(track) + 1):
        if column == len(track) or track[column] != track[first]:
            if track[first] != NOTHING:
                found.append((first, column - first, track[first]))
            first = column
    return found
