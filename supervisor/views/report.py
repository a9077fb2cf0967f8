"""The morning report: report.html, one file that needs nothing else, and failures.csv, every reference that failed.

Whatever came from the site is escaped; the page has no script, and its policy forbids any.
"""

import contextlib
import csv
import io
import time
from pathlib import Path
from urllib.parse import quote

import msgspec

from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_rows import Meta, RunRow
from supervisor.shell.ledger_schema import LedgerError, utc
from supervisor.shell.run_directory import RunDirectory, replacing
from supervisor.views import html, night_pictures
from supervisor.views.comparison import Change, compare, find_earlier
from supervisor.views.kinds import meaning
from supervisor.views.night_figures import Figures, gather
from supervisor.views.text import duration, noun, number, plural, size

_LISTED = 50
"""Differences from the earlier run that are named, of each sort."""
_COMPARED = 200_000
"""With more references the earlier run is compared only when it is named: both must be held in memory."""


class _Link(msgspec.Struct, frozen=True):
    name: str
    address: str
    """Empty for what is named but not linked."""


def write_report(run_dir: Path, against: Path | None = None) -> None:
    """Replace report.html and failures.csv by what the ledger says now.

    Args:
        run_dir: of the run; it may go on meanwhile.
        against: an earlier run directory of the same site to compare with; None for the last one beside this one.

    Raises:
        LedgerError: a ledger cannot be read.
        UserError: the earlier run is that of another site.
        OSError: a file cannot be written; the former one is still there.
    """
    directory = RunDirectory(run_dir)
    with LedgerReader(directory.ledger) as reader:
        figures = gather(reader, time.time())
        change = None
        if against is not None:
            change = compare(reader, RunDirectory(against).ledger)
        elif figures.totals.total <= _COMPARED and (beside := find_earlier(directory, figures.meta)) is not None:
            with contextlib.suppress(LedgerError):  # it is damaged, or being removed: that is nothing against this run
                change = compare(reader, RunDirectory(beside).ledger)
        with replacing(directory.failures_csv) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            _write_failures(reader, text)
            text.detach()
    with replacing(directory.report) as file:
        file.write(page(directory, figures, change).encode("utf-8", "backslashreplace"))


def _write_failures(reader: LedgerReader, file: io.TextIOWrapper) -> None:
    """Write a line for each reference that failed for good (RFC 4180, UTF-8)."""
    writer = csv.writer(file)
    writer.writerow(
        ["ref", "kind", "message", "url", "status", "attempts", "worker", "started_at", "finished_at", "evidence"]
    )
    for row in reader.failures():
        last = reader.attempt(row.attempt) if row.attempt else None
        url, status = (last.url or "", last.status or "") if last else ("", "")
        writer.writerow(
            [
                row.ref,
                row.error_kind,
                row.error_message,
                url,
                status,
                row.attempts,
                row.worker,
                row.started_at,
                row.finished_at,
                f"failures/{row.folder}",
            ]
        )


def page(directory: RunDirectory, figures: Figures, change: Change | None) -> str:
    """Return the page as HTML."""
    totals = figures.totals
    return html.render(
        "report.html",
        style=html.markup(html.asset("base.css") + html.asset("report.css")),
        meta=figures.meta,
        site=_site(figures.meta),
        place=directory.path.name,
        figures=figures,
        totals=totals,
        left=totals.total - totals.finished,
        verdict=_verdict(figures),
        ending=_ending(figures.runs[-1]) if figures.runs else "was never started",
        written=utc(time.time()),
        tiles=_tiles(figures),
        meaning=meaning,
        evidence=lambda folder: _evidence(directory, folder),
        change=change,
        changes=[] if change is None else _changes(change),
        listed=_LISTED,
        throughput=html.markup(night_pictures.throughput(figures)),
        timeline=html.markup(night_pictures.timeline(figures)) if figures.tracks else "",
        durations=html.markup(night_pictures.durations(figures)) if figures.durations else "",
        run_ending=_ending,
    )


def _site(meta: Meta) -> str:
    return meta.site_name or meta.site


def _tiles(figures: Figures) -> list[tuple[str, str, str]]:
    """Return for each tile its class, its figure and its words."""
    totals = figures.totals
    left = totals.total - totals.finished
    kills = sum(mark.what == "killed" for mark in figures.marks)
    attempts, failed = sum(figures.attempts.values()), figures.attempts["failed"]
    return [
        ("", number(totals.total), "references asked for"),
        ("", number(totals.completed), "completed"),
        ("bad" if totals.failed else "", number(totals.failed), "failed for good"),
        ("bad" if left else "", number(left), "not finished"),
        ("", number(figures.documents), f"{noun(figures.documents, 'document')}, {size(figures.size)}"),
        ("", number(attempts), f"{noun(attempts, 'attempt')}, {number(failed)} failed"),
        ("", number(kills), f"{noun(kills, 'worker')} killed"),
        ("", duration(figures.end - figures.begin), "from the first start to the end"),
    ]


def _verdict(figures: Figures) -> str:
    totals = figures.totals
    if totals.total and totals.completed == totals.total:
        return f"Every one of {plural(totals.total, 'reference')} is completed."
    said = f"{number(totals.completed)} of {plural(totals.total, 'reference')} are completed."
    if totals.failed:
        said += f" {number(totals.failed)} failed for good."
    return said


def _ending(run: RunRow) -> str:
    if run.ended_at is None:
        return f"not ended: {run.reason}" if run.reason else "still going on"
    return f"ended {run.ended_at[:19].replace('T', ' ')} with exit code {run.exit_code}: {run.reason or ''}"


def _evidence(directory: RunDirectory, folder: str) -> list[_Link]:
    """Return what the last attempt with evidence left, and the folder of all attempts."""
    place = directory.failures / folder
    try:
        attempts = sorted(place.glob("attempt-*"), key=lambda path: (len(path.name), path.name))
        files = sorted(path.name for path in attempts[-1].iterdir() if path.is_file()) if attempts else []
    except OSError:
        return []  # it is closed to us, or no folder
    if not attempts:
        return []
    base = f"failures/{folder}"
    last = f"{base}/{attempts[-1].name}"
    # A page of the site, opened from the disk, would run its scripts there: it is named, not linked.
    links = [_Link(name, "" if name.endswith(".html") else quote(f"{last}/{name}")) for name in files]
    return [*links, _Link("all attempts", quote(f"{base}/"))]


def _changes(change: Change) -> list[tuple[str, tuple[str, ...]]]:
    sorts = [
        ("completed then, not now", change.lost),
        ("completed now, not then", change.recovered),
        ("new references", change.new_references),
        ("references that are gone", change.gone_references),
        ("new documents", change.new),
        ("documents that are gone", change.gone),
        ("changed documents", change.changed),
    ]
    return [(words, items) for words, items in sorts if items]
