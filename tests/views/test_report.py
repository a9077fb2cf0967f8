"""The morning report: right figures, everything of the site's harmless, whatever state the run is in."""

import contextlib
import csv
import sqlite3
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from supervisor.core.records import (
    AttemptFailed,
    AttemptStarted,
    AttemptSucceeded,
    Incident,
    Record,
)
from supervisor.errors import UserError
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_schema import LedgerDamagedError
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.comparison import Change, compare
from supervisor.views.night_figures import gather
from supervisor.views.report import write_report
from worker.protocol import Document, Kind, Step

EVIL = "<script>alert(1)</script>\u202e\"'&"
VOID = {"meta", "br", "rect", "line"}


class Page(HTMLParser):
    """Checks that every element is closed; collects tags, links and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [unquote(value or "") for name, value in attrs if name in {"href", "src"}]
        if tag not in VOID or (tag == "rect" and self.get_starttag_text() and not str(self.rawdata).endswith("/>")):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def document(name: str, letter: str) -> Document:
    return Document(name, "https://lot.example/x", 100, letter * 64, 1)


def failed(attempt: int, ref_id: int, kind: Kind, message: str, retry_in: float | None = None) -> AttemptFailed:
    return AttemptFailed(
        attempt, ref_id, kind, message, counted=True, crashed=False, retry_in=retry_in, url=EVIL, status=404
    )


def make(
    path: Path, refs: list[str], batches: list[tuple[float, list[Record]]], site: str = "lot", wall: float = 0.0
) -> RunDirectory:
    directory = RunDirectory(path)
    directory.create()
    with Ledger.create(directory.ledger, site=site, site_name=site, wall=wall) as ledger:
        ledger.begin_run(1, 2, 0.0)
        ledger.import_references(refs)
        for at, records in batches:
            ledger.apply(records, at)
        ledger.end_run(1, "finished", 3600.0)
    return directory


@pytest.fixture
def night(tmp_path: Path) -> RunDirectory:
    """One completed, two failed by different causes (one named by an enemy), one left over; a kill and an outage."""
    batches: list[tuple[float, list[Record]]] = [
        (10.0, [AttemptStarted(1, 1, 1, 1, 1), AttemptStarted(2, 2, 1, 2, 2)]),
        (40.0, [AttemptSucceeded(1, 1, (document("a.pdf", "a"),), (Step("open", 12.0),))]),
        (70.0, [failed(2, 2, Kind.NOT_FOUND, EVIL), Incident("killed", EVIL, slot=2)]),
        (80.0, [Incident("restarted", "incarnation 3 starts", slot=2), AttemptStarted(3, 3, 1, 2, 3)]),
        (90.0, [failed(3, 3, Kind.SERVER_ERROR, "the site answered 500"), Incident("breaker_opened", "down")]),
        (1800.0, [Incident("breaker_closed", "the site is back")]),
    ]
    directory = make(tmp_path / "night", ["A-1", EVIL, "C-1", "D-1"], batches)
    with LedgerReader(directory.ledger) as reader:
        row = reader.reference(EVIL)
    assert row is not None
    evidence = directory.failures / row.folder / "attempt-1"
    evidence.mkdir(parents=True)
    (evidence / "screenshot.png").touch()
    (evidence / "page.html").touch()
    return directory


def test_the_figures_are_those_of_the_ledger(night: RunDirectory) -> None:
    """Counts by state and cause, times, marks and outages."""
    with LedgerReader(night.ledger) as reader:
        figures = gather(reader, 9999.0)
    assert {kind: count for kind, (count, _) in figures.failures.items()} == {"not_found": 1, "server_error": 1}
    assert [row.ref for row in figures.unfinished] == ["D-1"]
    assert (figures.begin, figures.end) == (0.0, 3600.0)
    assert (sum(figures.completed), sum(figures.failed)) == (1, 2)
    assert [(span.begin, span.end) for span in figures.outages] == [(90.0, 1800.0)]
    assert {mark.what for mark in figures.marks} == {"killed", "restarted"}
    assert sorted(figures.tracks) == [1, 2]
    assert {one.name: (one.count, one.median) for one in figures.durations} == {
        "attempts that succeeded": (1, 30.0),
        "attempts that failed": (2, 10.0),
        "step: open": (1, 12.0),
    }


def test_durations_are_told_by_their_rank_and_are_never_negative(tmp_path: Path) -> None:
    """Of twenty the 95 % are within the nineteenth, as in the live view; what ends before it began took no time."""
    records: list[tuple[float, list[Record]]] = [(100.0, [AttemptStarted(1, 1, 1, 1, 1)])]
    records.append((40.0, [AttemptSucceeded(1, 1, (), ())]))
    for ref_id in range(2, 21):
        records.append((1000.0 * ref_id, [AttemptStarted(ref_id, ref_id, 1, 1, 1)]))
        records.append((1001.0 * ref_id, [AttemptSucceeded(ref_id, ref_id, (), ())]))
    directory = make(tmp_path / "night", [f"A-{number}" for number in range(1, 21)], records)
    with LedgerReader(directory.ledger) as reader:
        (took,) = gather(reader, 0.0).durations
    assert (took.count, took.median, took.p95, took.longest) == (20, 10.0, 19.0, 20.0)


def test_documents_of_what_is_done_once_more_do_not_count_yet(tmp_path: Path) -> None:
    """In a night of --refresh what an earlier night brought says nothing of what this one has, and is to bring."""
    directory = make(tmp_path / "night", ["A-1", "B-1"], [])
    with Ledger.open(directory.ledger) as ledger:
        for number in (1, 2):
            ledger.apply([AttemptStarted(number, number, 1, 1, 1)], 10.0)
            ledger.apply([AttemptSucceeded(number, number, (document("a.pdf", "a"),), ())], 20.0)
        ledger.import_references(["B-1"], done_before=30.0)
    with LedgerReader(directory.ledger) as reader:
        assert (reader.figures().documents, reader.figures().bytes) == (1, 100)


def test_the_page_is_whole_and_what_the_site_said_is_only_text(night: RunDirectory) -> None:
    """No script, nothing from elsewhere; links lead to evidence that is there; a saved page is named, not linked."""
    write_report(night.path)
    page = Page(night.report.read_text())
    assert not page.tags & {"script", "img", "link", "iframe"}
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in page.text
    for link in page.links:
        assert (night.path / link).exists(), link
    assert any(link.endswith("screenshot.png") for link in page.links)
    assert "page.html" in page.text
    assert not any(link.endswith(".html") for link in page.links)


def test_failures_csv_has_each_failed_reference_once(night: RunDirectory) -> None:
    """Names come back exactly, whatever is in them."""
    write_report(night.path)
    with night.failures_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["ref"], row["kind"], row["status"]) for row in rows] == [
        (EVIL, "not_found", "404"),
        ("C-1", "server_error", "404"),
    ]


@pytest.mark.parametrize("refs", [[], ["A-1"]])
def test_a_run_that_did_nothing_has_a_report_too(tmp_path: Path, refs: list[str]) -> None:
    """No reference, no attempt: no division by nothing."""
    directory = make(tmp_path / "night", refs, [])
    write_report(directory.path)
    assert "0 of" in Page(directory.report.read_text()).text


def test_two_runs_are_compared_document_by_document(tmp_path: Path) -> None:
    """New, gone and changed by SHA-256; what only one of them completed is not taken for a change."""
    first: list[Record] = [
        *(AttemptStarted(number, number, 1, number, 1) for number in (1, 2)),
        AttemptSucceeded(1, 1, (document("same", "a"), document("changed", "b"), document("gone", "c")), ()),
        AttemptSucceeded(2, 2, (document("x", "a"),), ()),
    ]
    second: list[Record] = [
        AttemptStarted(1, 1, 1, 1, 1),
        AttemptSucceeded(1, 1, (document("same", "a"), document("changed", "d"), document("new", "e")), ()),
    ]
    before = make(tmp_path / "before", ["A", "B", "OLD"], [(1.0, first)])
    after = make(tmp_path / "after", ["A", "B", "NEW"], [(1.0, second)])
    with LedgerReader(after.ledger) as reader:
        change = compare(reader, before.ledger)
    assert change == Change(
        against=str(before.path),
        created_at="1970-01-01T00:00:00.000Z",
        new_references=("NEW",),
        gone_references=("OLD",),
        new=("A: new",),
        gone=("A: gone",),
        changed=("A: changed",),
        same=1,
        lost=("B",),
        recovered=(),
    )
    write_report(after.path, before.path)
    text = " ".join(Page(after.report.read_text()).text.split())
    for said in ("1 changed documents: A: changed", "1 completed then, not now: B", "1 document the same"):
        assert said in text


def test_the_earlier_run_is_found_by_itself(tmp_path: Path) -> None:
    """The last run of the same site that was begun before this one, if its folder lies beside; else it is said so."""
    alone = make(tmp_path / "alone" / "night", ["A"], [], wall=5.0)
    write_report(alone.path)
    assert "No earlier run of this site lies beside this one" in Page(alone.report.read_text()).text
    nights = tmp_path / "nights"
    for name, site, wall in (
        ("older", "lot", 1.0),
        ("last", "lot", 2.0),
        ("other", "else", 3.0),
        ("later", "lot", 9.0),
    ):
        make(nights / name, ["A"], [], site, wall)
    (nights / "file").touch()
    (nights / "damaged").mkdir()
    (nights / "damaged" / "ledger.db").write_bytes(b"x" * 200)
    this = make(nights / "this", ["A"], [], wall=5.0)
    write_report(this.path)
    text = Page(this.report.read_text()).text
    assert f"compared with {nights / 'last'}" in text
    assert "Nothing else differs" in text


def test_an_earlier_run_that_is_damaged_within_costs_no_report(tmp_path: Path) -> None:
    """It looks like one, and cannot be read to its end: the report is written, unless just that was asked for."""
    before = make(tmp_path / "before", ["A", "B"], [], wall=1.0)
    with contextlib.closing(sqlite3.connect(before.ledger)) as connection, connection:
        connection.execute("UPDATE reference SET folder = '../' || folder")
    this = make(tmp_path / "this", ["A"], [], wall=5.0)
    write_report(this.path)
    assert "No earlier run of this site" in Page(this.report.read_text()).text
    with pytest.raises(LedgerDamagedError):
        write_report(this.path, before.path)


def test_plots_stay_small_however_long_and_wide_the_night(tmp_path: Path) -> None:
    """Fifty workers that change what they do all the time: a page that a browser opens at once."""
    batches: list[tuple[float, list[Record]]] = []
    for first in range(1, 5001, 50):
        numbers = range(first, first + 50)
        batches.append((first * 0.7, [AttemptStarted(n, n, 1, n % 50 + 1, n) for n in numbers]))
        done: list[Record] = [AttemptSucceeded(n, n, (document("a", "a"),), ()) for n in numbers]
        batches.append((first * 0.7 + 20.0, done))
    directory = make(tmp_path / "night", [f"R-{number}" for number in range(5000)], batches)
    write_report(directory.path)
    page = Page(directory.report.read_text())
    assert "svg" in page.tags
    assert directory.report.stat().st_size < 1_000_000
    assert "worker 49" in page.text


def test_runs_of_two_sites_are_not_compared(tmp_path: Path) -> None:
    """One sentence names both; no report is written."""
    one, other = make(tmp_path / "one", ["A"], []), make(tmp_path / "other", ["A"], [], site="else")
    with pytest.raises(UserError, match="is a run of else, this one of lot"):
        write_report(one.path, other.path)
    assert not one.report.exists()
