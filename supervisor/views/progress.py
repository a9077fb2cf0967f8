"""The progress of a run on a terminal: a picture redrawn in place, or one plain line."""

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from supervisor.views.status import MetricsView, Notice, SiteView, Snapshot, Totals, WorkerView
from supervisor.views.text import clean, duration, number, plural, size

_HEADER_LINES = 8
_SHARE = 3
"""Lines that each of the two lists at the end gets, where there is little room, before the workers do."""
_MOST = 8
_FEWEST_WORKERS = 3
_STATE_STYLES = {"running": "green", "paused": "yellow", "draining": "yellow", "finished": "bold"}
_SITE_STYLES = {"up": "green", "slow": "yellow", "down": "red", "coming back": "yellow"}
_TROUBLED = frozenset({"slow", "down", "coming back"})
_LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "red"}


def picture(snapshot: Snapshot, height: int = 24) -> RenderableType:
    """Return the whole display, of at most `height` lines; it fills the console's width and needs 80 columns."""
    parts: list[RenderableType] = [_header(snapshot), _bar(snapshot.totals)]
    parts += [Text(line, no_wrap=True, overflow="ellipsis") for line in _figures(snapshot)]
    working = snapshot.run.state != "finished"
    if working:
        parts.append(_site(snapshot.site))
    room = height - _HEADER_LINES
    failures = [notice for notice in snapshot.recent if notice.failure]
    happenings = [notice for notice in snapshot.recent if not notice.failure]
    wanted = sum(min(len(group), _SHARE) + 1 for group in (failures, happenings) if group)
    if snapshot.workers and working:
        shown = max(min(len(snapshot.workers), room - wanted - 2), _FEWEST_WORKERS)
        parts += [Text(), _workers(snapshot.workers, shown)]
        room -= min(shown, len(snapshot.workers)) + 2
    for title, group, other in (
        ("latest failures (UTC)", failures, happenings),
        ("watchdog, site and operator (UTC)", happenings, []),
    ):
        fits = min(_MOST, room - 1 - (min(len(other), _SHARE) + 1 if other else 0))
        if group and fits > 0:
            parts += [_rule(title), *(_notice(notice) for notice in group[-fits:])]
            room -= 1 + min(fits, len(group))
    return Group(*parts)


def _rule(title: str) -> Rule:
    return Rule(Text(title, style="dim"), align="left", style="dim", characters="─")


def _notice(notice: Notice) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(notice.at[11:19], style="dim")
    line.append("  " + clean(notice.text), style=_LEVEL_STYLES.get(notice.level, ""))
    return line


def _site(site: SiteView) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("site ")
    line.append(clean(site.state, 20), style=_SITE_STYLES.get(site.state, ""))
    line.append(site_details(site))
    return line


def site_details(site: SiteView) -> str:
    """Return what follows the site's state: for how long, when somebody looks again, the session's age, and why."""
    said = f" for {duration(site.trouble_seconds)}" if site.trouble_seconds is not None else ""
    if site.next_look_seconds is not None:
        said += f", tried again in {duration(site.next_look_seconds)}"
    age = site.session_age_seconds
    said += ", not logged in" if age is None else f", logged in {duration(age)} ago"
    return said + (f": {clean(site.reason)}" if site.reason else "")


def plain(snapshot: Snapshot) -> str:
    """Return the state of the run in one line."""
    totals, metrics = snapshot.totals, snapshot.metrics
    parts = [f"{number(totals.finished)} of {plural(totals.total, 'reference')} finished ({percent(totals)} %)"]
    for count, word in (
        (totals.failed, "failed"),
        (totals.in_progress, "in progress"),
        (totals.waiting, "waiting for another attempt"),
    ):
        if count:
            parts.append(f"{number(count)} {word}")
    if snapshot.run.state != "finished":
        parts += _pace(metrics)
        if snapshot.site.state in _TROUBLED:
            reason = f" ({clean(snapshot.site.reason)})" if snapshot.site.reason else ""
            parts.append(f"site {snapshot.site.state}{reason}")
    return f"{snapshot.run.updated_at[11:19]} {state_sentence(snapshot)}: {', '.join(parts)}"


def state_sentence(snapshot: Snapshot) -> str:
    """Return the state with its reason: ``paused (the disk is full)``."""
    state = snapshot.run.state
    reason = snapshot.run.reason.removeprefix(f"{state}: ")
    auto = snapshot.run.workers_auto and state == "running"
    said = f"running with {plural(snapshot.run.workers_wanted, 'worker')} (auto)" if auto else state
    said += f" ({clean(reason)})" if reason else ""
    # Only while it runs: at its end the reason says what came of it.
    return f"{said}, late for {snapshot.run.finish_by[11:16]} UTC" if snapshot.run.late and not reason else said


def _header(snapshot: Snapshot) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("nightfleet ", style="bold")
    line.append(f"{clean(snapshot.run.site, 30)}  ")
    line.append(state_sentence(snapshot), style=_STATE_STYLES.get(snapshot.run.state, ""))
    return line


def _bar(totals: Totals) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    bar = ProgressBar(
        total=max(totals.total, 1), completed=totals.finished, complete_style="green", finished_style="green"
    )
    grid.add_row(bar, f"{percent(totals)} %  {number(totals.finished)} of {number(totals.total)}")
    return grid


def percent(totals: Totals) -> int:
    """Return the share of references that are finished, rounded down: 100 only when everything is done."""
    return totals.finished * 100 // totals.total if totals.total else 0


def _figures(snapshot: Snapshot) -> list[str]:
    totals, metrics = snapshot.totals, snapshot.metrics
    counts = (
        f"completed {number(totals.completed)}   failed {number(totals.failed)}   in progress "
        f"{number(totals.in_progress)}   waiting {number(totals.waiting)}   pending {number(totals.pending)}"
    )
    return [line for line in (counts, pace_sentence(snapshot), _yield(metrics), _trouble(metrics)) if line]


def pace_sentence(snapshot: Snapshot) -> str:
    """Return rate, time left with its range, and how long a reference takes, as far as they are known."""
    metrics = snapshot.metrics
    pace = _pace(metrics) if snapshot.run.state != "finished" else []
    if metrics.seconds_median is not None and metrics.seconds_p95 is not None:
        pace.append(f"{metrics.seconds_median:.1f} s each (95 %: {metrics.seconds_p95:.1f} s)")
    return ", ".join(pace)


def _yield(metrics: MetricsView) -> str:
    parts = [f"{plural(metrics.documents, 'document')}, {size(metrics.bytes)}"] if metrics.documents else []
    if metrics.kills:
        parts.append(f"{plural(metrics.kills, 'worker')} killed")
    return "; ".join(parts)


def _trouble(metrics: MetricsView) -> str:
    kinds = [f"{clean(kind, 40)} {number(count)}" for kind, count in list(metrics.failures.items())[:4]]
    return f"failed attempts: {', '.join(kinds)}" if kinds else ""


def _pace(metrics: MetricsView) -> list[str]:
    parts = []
    if metrics.per_minute is not None:
        parts.append(f"{metrics.per_minute:.1f} a minute")
    if metrics.eta_seconds:
        low, high = metrics.eta_low, metrics.eta_high
        spread = f" ({_range(low, high)})" if low is not None and high is not None else ""
        parts.append(f"about {duration(metrics.eta_seconds)} left{spread}")
    return parts


def _range(low: float, high: float) -> str:
    first, last = duration(low), duration(high)
    same_unit = first.split()[1:] == last.split()[1:]
    return f"{first.split()[0] if same_unit else first} to {last}"


def _workers(workers: tuple[WorkerView, ...], shown: int) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, expand=True, header_style="dim")
    table.add_column("worker", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("reference", no_wrap=True, overflow="ellipsis", ratio=3, min_width=8)
    table.add_column("try", justify="right", no_wrap=True)
    table.add_column("step", no_wrap=True, overflow="ellipsis", ratio=4, min_width=8)
    table.add_column("for", justify="right", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    table.add_column("restarts", justify="right", no_wrap=True)
    # Where not all fit, those that have been at it longest are the ones to look at.
    chosen = workers
    if len(workers) > shown:
        longest = sorted(workers, key=lambda worker: -worker.state_seconds)[: shown - 1]
        chosen = tuple(sorted(longest, key=lambda worker: worker.slot))
    for worker in chosen:
        table.add_row(
            str(worker.slot),
            clean(worker.state, 12),
            Text(clean(worker.ref, 60)),
            str(worker.number) if worker.number else "",
            Text(clean(worker.step, 60)),
            duration(worker.state_seconds),
            size(worker.memory_bytes) if worker.memory_bytes else "",
            str(worker.restarts) if worker.restarts else "",
        )
    if len(chosen) < len(workers):
        table.add_row("", Text(f"and {len(workers) - len(chosen)} more", style="dim"))
    return table
