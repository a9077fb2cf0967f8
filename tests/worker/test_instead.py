"""What came in place of something, and whether it is the same for everybody; also as a worker tells of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.child import Child
from tests.worker.lot_site import LotSite
from worker import instead
from worker.protocol import Assign, ErrandFailed, Failed, Kind, Revisit, Served, Succeeded

_MAINTENANCE = b"""<!doctype html><html><head><title>We will be back &amp; soon</title><style>p { color: red }</style>
<script>var ticket = "77";</script></head><body><!-- node 12 --><h1>Maintenance</h1>
<p>Request 18.2d3f, at %s</p></body>"""


def _mark(page: bytes, ref: str = "A-1001") -> str:
    return instead.mark(instead.of_file(page), ref)


def test_the_same_page_has_the_same_mark_whatever_number_it_shows_and_whoever_asked() -> None:
    """A moment or the number of a request differs each time."""
    one, other = _MAINTENANCE % b"21:04:11", _MAINTENANCE.replace(b"18.2d3f", b"9.bb01") % b"21:05:00"
    assert _mark(one) == _mark(other, "B-7") != ""
    assert _mark(one) != _mark(one.replace(b"Maintenance", b"Not allowed"))
    assert _mark(one) != _mark(one.replace(b"back", b"here"))
    assert instead.title_of(one) == "We will be back & soon"


def test_a_page_that_names_its_reference_is_that_references_own() -> None:
    """So is the page of a vehicle that has no documents."""
    page = b"<html><title>Lot</title><body>Vehicle a-1001 has no papers"
    assert _mark(page, "A-1001") == ""
    assert _mark(page, "100") != "", "a part of a word is not the reference"
    assert _mark(page, "A-1002") != ""


def test_a_page_without_words_tells_nothing() -> None:
    """It has yet to show something."""
    assert _mark(b"<html><head><title>Lot</title></head><body><div id=app></div>") == ""
    assert instead.title_of(b"<html><body>no title") == ""


def test_a_page_made_to_take_long_does_not() -> None:
    """Only the first bytes of a file are looked at."""
    for piece in (b"<script>", b"<!--", b"<", b"<title>"):
        instead.of_file(piece * (64 * 1024 // len(piece)))


@pytest.mark.browser
def test_a_worker_tells_what_came_instead_and_whether_what_was_served_is_served_again(
    start: Callable[..., Child], lot: LotSite, tmp_path: Path
) -> None:
    """The same mark for all references with the same page, fetched or clicked; a revisit leaves nothing behind."""
    child = start()
    child.ready()
    child.log_in()
    marks = []
    for attempt, ref in enumerate(("moving-1", "moving-2"), 1):
        child.send(Assign(attempt, ref, 1, True, str(tmp_path / ref), 30))
        answer = child.next()
        assert isinstance(answer, Failed), child.said()
        assert answer.kind is Kind.DOCUMENT_INVALID
        assert "with the title 'Moving'" in answer.message
        marks.append(answer.instead)
    assert marks[0] == marks[1] != ""
    for attempt, ref in enumerate(("moving-click", "moving-click-blank"), 10):
        child.send(Assign(attempt, ref, 1, True, str(tmp_path / ref), 6))
        answer = child.next()
        assert isinstance(answer, Failed), child.said()
        assert (answer.kind, answer.ready) == (Kind.DOCUMENT_INVALID, True), answer
        assert answer.message == "a web page with the title 'Moving' came in place of the download"
        assert answer.url == f"{lot.url}/moving.pdf"
        assert answer.instead == marks[0], "the same page, whichever way it came"
    child.send(Assign(3, "plain", 1, True, str(tmp_path / "plain"), 30))
    assert isinstance(child.next(), Succeeded), child.said()
    child.send(Revisit(4, "plain", str(tmp_path / "again"), 30))
    assert child.expect(Served) == Served(4, proven=True)
    assert not (tmp_path / "again").exists()
    child.send(Revisit(5, "moving-3", str(tmp_path / "failed"), 30))
    failure = child.expect(ErrandFailed)
    assert (failure.errand, failure.kind, failure.instead) == (5, Kind.DOCUMENT_INVALID, marks[0])
