"""The morning report: report.html, one file that needs nothing else, and failures.csv, every reference that failed.

Whatever came from the site is escaped; the page has no script, and its policy forbids any.
"""

import csv
import io
import time
from html import escape
from pathlib import Path
from urllib.parse import quote

from supervisor.shell.ledger_reader import LedgerReader, RunRow
from supervisor.shell.ledger_schema import utc
from supervisor.shell.run_directory import RunDirectory, replacing
from supervisor.views import night_pictures
from supervisor.views.night_figures import EXAMPLES, Change, Failure, Figures, compare, gather
from supervisor.views.text import clean, duration, number, plural, size

_LIMIT = 1000
_LISTED = 50
"""Differences from the earlier run that are named, of each sort."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2127; --soft: #5b6470; --paper: #ffffff; --line: #d8dde3; --panel: #f4f6f8;
  --work: #2f7ebc; --failure: #d1495b; --killed: #7d1128; --restarted: #7a7f87; --outage: #f3c96b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4b1; --paper: #14171b; --line: #333a43;
  --panel: #1c2127; --work: #5ba7e0; --failure: #ef7a89; --killed: #ffb3bd; --restarted: #a5adb8; --outage: #6b5420; } }
@media print { :root { --ink: #000; --soft: #444; --paper: #fff; --line: #bbb; --panel: #fff; --work: #2f7ebc;
  --failure: #d1495b; --killed: #7d1128; --restarted: #7a7f87; --outage: #f3c96b; }
  section, tr { break-inside: avoid; } body { font-size: 10pt; } rect { print-color-adjust: exact; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 1.5rem; max-width: 70rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem; }
.tile b { display: block; font-size: 1.35rem; } .bad b { color: var(--failure); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .6rem .25rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; } th { color: var(--soft); }
td.n, th.n { text-align: right; white-space: nowrap; } a { color: var(--work); }
svg { width: 100%; height: auto; font-size: 12px; } svg text { fill: var(--soft); } .axis { stroke: var(--line); }
.work { fill: var(--work); } .failure { fill: var(--failure); } .killed, .died { fill: var(--killed); }
.restarted { fill: var(--restarted); } .outage { fill: var(--outage); opacity: .6; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; border-radius: 2px; }
.key.work { background: var(--work); } .key.failure { background: var(--failure); }
.key.killed { background: var(--killed); } .key.restarted { background: var(--restarted); }
.key.outage { background: var(--outage); }
"""


def write_report(run_dir: Path, against: Path | None = None) -> None:
    """Replace report.html and failures.csv by what the ledger says now.

    Args:
        run_dir: of the run; it may go on meanwhile.
        against: an earlier run directory of the same site to compare with.

    Raises:
        LedgerError: a ledger cannot be read.
        UserError: the earlier run is that of another site.
        OSError: a file cannot be written; the former one is still there.
    """
    directory = RunDirectory(run_dir)
    with LedgerReader(directory.ledger) as reader:
        figures = gather(reader, time.time())
        change = None if against is None else compare(reader, RunDirectory(against).ledger)
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
    site = _text(figures.meta.site_name or figures.meta.site)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return "".join(
        [
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{site}: the night\'s report</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>',
            _head(site, figures),
            _failures(directory, figures),
            _missing(figures),
            "" if change is None else _changes(change),
            _pictures(figures),
            _durations(figures),
            _starts(figures),
            _incidents(figures),
            "</body></html>\n",
        ]
    )


def _head(site: str, figures: Figures) -> str:
    totals = figures.totals
    left = totals.total - totals.completed - totals.failed
    tiles = [
        ("", number(totals.total), "references asked for"),
        ("", number(totals.completed), "completed"),
        ("bad" if totals.failed else "", number(totals.failed), "failed for good"),
        ("bad" if left else "", number(left), "not finished"),
        ("", number(figures.documents), f"documents, {size(figures.size)}"),
        ("", duration(figures.end - figures.begin), f"from {_minute(utc(figures.begin))} UTC"),
        ("", number(sum(figures.attempts.values())), f"attempts, {number(figures.attempts['failed'])} failed"),
        ("", number(sum(mark.what == "killed" for mark in figures.marks)), "workers killed"),
    ]
    boxes = "".join(f'<div class="tile {style}"><b>{value}</b>{label}</div>' for style, value, label in tiles)
    ending = _ending(figures.runs[-1]) if figures.runs else "was never started"
    return (
        f"<h1>{site}</h1><p>{_verdict(figures)}</p>"
        f'<p class="soft">run {_text(figures.meta.run_id)}, {ending}; written {_minute(utc(time.time()))}, in UTC</p>'
        f'<div class="tiles">{boxes}</div>'
    )


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
        return f"not ended: {_text(run.reason)}" if run.reason else "still going on"
    return f"ended {run.ended_at[:19].replace('T', ' ')} with exit code {run.exit_code}: {_text(run.reason or '')}"


def _failures(directory: RunDirectory, figures: Figures) -> str:
    if not figures.failures:
        return ""
    parts = ["<h2>What failed, and why</h2>"]
    for kind, (count, examples) in figures.failures.items():
        parts.append(f"<section><h3>{_text(kind)}: {plural(count, 'reference')}</h3>")
        rows = [_failure(directory, failure) for failure in examples]
        parts.append(_table(["reference", "what happened", "attempts", "evidence"], rows, numbers={2}))
        if count > EXAMPLES:
            parts.append(f'<p class="soft">and {number(count - EXAMPLES)} more, all in failures.csv</p>')
        parts.append("</section>")
    parts.append("<p>Another chance: <code>run.py retry DIR --kind KIND</code>. All of them: ")
    parts.append('<a href="failures.csv">failures.csv</a></p>')
    return "".join(parts)


def _failure(directory: RunDirectory, failure: Failure) -> list[str]:
    row, last = failure.reference, failure.last
    what = _text(row.error_message or "")
    if last is not None and (last.url or last.status):
        what += f'<br><span class="soft">{_text(last.url or "")} {last.status or ""}</span>'
    return [_text(row.ref), what, str(row.attempts), _evidence(directory, row.folder)]


def _evidence(directory: RunDirectory, folder: str) -> str:
    """Return links to the evidence of the last attempt that left some, and to the folder."""
    place = directory.failures / folder
    attempts = sorted(place.glob("attempt-*"), key=lambda path: (len(path.name), path.name)) if place.is_dir() else []
    if not attempts:
        return '<span class="soft">none</span>'
    files = sorted(path.name for path in attempts[-1].iterdir() if path.is_file())
    base = f"failures/{folder}"
    links = [(f"{base}/{attempts[-1].name}/{name}", name) for name in files] + [(f"{base}/", "all attempts")]
    # A page of the site, opened from the disk, would run its scripts there: it is named, not linked.
    return ", ".join(
        _text(name) if name.endswith(".html") else f'<a href="{escape(quote(path))}">{_text(name)}</a>'
        for path, name in links
    )


def _missing(figures: Figures) -> str:
    totals = figures.totals
    left = totals.total - totals.completed - totals.failed
    if not left:
        return ""
    rows = [
        [_text(row.ref), _text(row.state.replace("_", " ")), str(row.attempts), _text(row.error_message or "")]
        for row in figures.unfinished
    ]
    more = f'<p class="soft">and {number(left - len(rows))} more</p>' if left > len(rows) else ""
    table = _table(["reference", "state", "attempts", "last error"], rows, numbers={2})
    return f"<h2>Not finished: {plural(left, 'reference')}</h2><p>The same start command goes on.</p>{table}{more}"


def _changes(change: Change) -> str:
    parts = [f"<h2>Since {_text(change.against)}</h2><p>{plural(change.same, 'document')} the same; "]
    parts.append(f"{plural(change.not_compared, 'reference')} completed in one of the runs only, so not compared.</p>")
    for name, items in (
        ("new references", change.new_references),
        ("references that are gone", change.gone_references),
        ("new documents", change.new),
        ("documents that are gone", change.gone),
        ("changed documents", change.changed),
    ):
        listed = ", ".join(_text(item) for item in items[:_LISTED])
        more = f", and {number(len(items) - _LISTED)} more" if len(items) > _LISTED else ""
        parts.append(f"<p><b>{number(len(items))} {name}</b>{': ' if items else ''}{listed}{more}</p>")
    return "".join(parts)


def _pictures(figures: Figures) -> str:
    key = "".join(
        f'<span class="key {name}"></span>{words}'
        for name, words in (
            ("work", "at work, completed"),
            ("failure", "failed"),
            ("killed", "killed or died"),
            ("restarted", "restarted"),
            ("outage", "paused, or the site down"),
        )
    )
    return (
        f"<section><h2>References finished</h2>{night_pictures.throughput(figures)}</section>"
        f'<section><h2>Workers</h2>{night_pictures.timeline(figures)}<p class="soft">{key}</p></section>'
    )


def _durations(figures: Figures) -> str:
    rows = [
        [_text(one.name), number(one.count), f"{one.median:.1f}", f"{one.p95:.1f}", f"{one.longest:.1f}"]
        for one in figures.durations
    ]
    head = ["", "count", "median s", "95 % within s", "longest s"]
    return f"<h2>How long it took</h2>{_table(head, rows, numbers={1, 2, 3, 4})}" if rows else ""


def _starts(figures: Figures) -> str:
    rows = [
        [str(run.id), run.started_at[:19].replace("T", " "), number(run.workers), _ending(run)] for run in figures.runs
    ]
    return f"<h2>Starts</h2>{_table(['', 'started', 'workers', 'how it ended'], rows, numbers={2})}"


def _incidents(figures: Figures) -> str:
    if not figures.incidents:
        return ""
    rows = [
        [row.at[:19].replace("T", " "), _text(row.what), str(row.slot or ""), _text(row.detail)]
        for row in figures.incidents
    ]
    left_out = figures.incidents_left_out
    more = f'<p class="soft">{number(left_out)} earlier ones are in the ledger</p>' if left_out else ""
    return f"<h2>What happened</h2>{more}{_table(['when', 'what', 'worker', ''], rows, numbers={2})}"


def _table(head: list[str], rows: list[list[str]], *, numbers: set[int]) -> str:
    """Return a table; the cells are HTML already."""
    style = ['class="n"' if index in numbers else "" for index in range(len(head))]
    top = "".join(f"<th {kind}>{cell}</th>" for kind, cell in zip(style, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td {kind}>{cell}</td>" for kind, cell in zip(style, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")


def _text(text: str) -> str:
    """Return text from anywhere as harmless HTML."""
    return escape(clean(text, _LIMIT))
