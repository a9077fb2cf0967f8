"""Documents of the real web, fetched by a real worker with a real browser."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.worker.child import Child
from tests.worker.paper_site import LARGE, SAFE_NAMES, PaperSite, large_pdf
from worker.protocol import Assign, Failed, Kind, Ready, Succeeded

pytestmark = pytest.mark.browser

RECIPES = Path(__file__).with_name("paper_recipe.py")
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def lot() -> Iterator[PaperSite]:
    """The site with the odd documents, running."""
    with PaperSite() as site:
        yield site


@pytest.fixture(scope="module")
def worker(lot: PaperSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One worker, logged in, for all tests that leave it able to work."""
    child = Child(tmp_path_factory.mktemp("worker"), lot.url, site=f"{RECIPES}:Papers")
    try:
        child.ready()
        child.log_in()
        yield child
    finally:
        child.end()


def assign(child: Child, ref: str, deadline: float = 60.0) -> tuple[Succeeded | Failed, Path]:
    number = next(_numbers)
    staging = child.folder / f"staging-{number}"
    child.send(Assign(number, ref, 1, False, str(staging), deadline))
    answer = child.next(90)
    assert isinstance(answer, Succeeded | Failed), child.said()
    return answer, staging


def succeeded(child: Child, ref: str) -> tuple[Succeeded, Path]:
    answer, staging = assign(child, ref)
    assert isinstance(answer, Succeeded), child.said()
    assert sorted(path.name for path in staging.iterdir()) == sorted(document.name for document in answer.documents)
    return answer, staging


def failed(child: Child, ref: str, deadline: float = 60.0) -> Failed:
    answer, staging = assign(child, ref, deadline)
    assert isinstance(answer, Failed), child.said()
    assert [path.name for path in staging.iterdir() if path.name.startswith(".")] == [], "nothing half may stay"
    return answer


@pytest.mark.parametrize("ref", ["moved", "moved-click"])
def test_a_document_on_another_host_comes_with_the_address_where_it_was(
    worker: Child, lot: PaperSite, ref: str
) -> None:
    """The last address of the redirections is on record, without its token; no cookie of the site went there."""
    lot.asked_with.clear()
    answer, _ = succeeded(worker, ref)
    (document,) = answer.documents
    assert document.name == "invoice 1.pdf"
    assert document.url == f"{lot.elsewhere}/elsewhere/invoice%201.pdf?token=***&part=1"
    assert [name for asked in lot.asked_with for name in asked if name.lower() == "cookie"] == []
    assert "hidden-one" not in worker.said()


def test_a_document_whose_redirection_ends_at_the_login_says_that_the_session_is_gone(worker: Child) -> None:
    """Whatever status that page comes with."""
    assert failed(worker, "elsewhere-login").kind is Kind.SESSION_EXPIRED


def test_a_site_may_call_its_documents_what_it_likes(worker: Child) -> None:
    """Extended, raw UTF-8, raw Latin-1, with folders, reserved, too long, nameless, with an odd extension."""
    answer, _ = succeeded(worker, "named")
    assert [document.name for document in answer.documents] == SAFE_NAMES


def test_a_document_may_come_packed(worker: Child, lot: PaperSite) -> None:
    """What lies on the disk is what the site packed."""
    answer, staging = succeeded(worker, "packed")
    assert [(staging / document.name).read_bytes() for document in answer.documents] == [lot.pdf, lot.pdf]


def test_a_protected_document_is_accepted_and_marked(worker: Child) -> None:
    """Nobody can say how many pages it has."""
    answer, _ = succeeded(worker, "protected")
    (document,) = answer.documents
    assert (document.format, document.protected, document.pages) == ("pdf", True, None)


def test_a_recipe_says_for_each_document_what_it_may_be(worker: Child) -> None:
    """A photo that a script serves gets a photo's name, and is refused where a PDF is expected."""
    answer, _ = succeeded(worker, "mixed")
    assert [(document.name, document.format) for document in answer.documents] == [
        ("photo.jpg", "jpg"),
        ("a.pdf", "pdf"),
    ]
    refused = failed(worker, "unwanted")
    assert (refused.kind, refused.ready) == (Kind.DOCUMENT_INVALID, True)
    assert refused.message == "photo.php is a JPEG image, and what the recipe expects is pdf"


def test_fifty_documents_are_as_good_as_one(worker: Child) -> None:
    """In their order."""
    answer, _ = succeeded(worker, "many")
    assert [document.name for document in answer.documents] == [f"{number}.pdf" for number in range(50)]


def test_a_document_may_stand_in_its_own_address(worker: Child) -> None:
    """Which is on record as far as anybody would read it: no message could tell all of it."""
    answer, _ = succeeded(worker, "in-its-address")
    (document,) = answer.documents
    assert (document.name, document.pages, document.bytes > 100_000) == ("d.pdf", 1, True)
    assert document.url.startswith("data:application/pdf;base64,JVBERi0")
    assert len(document.url) < 2_100


@pytest.mark.parametrize("ref", ["204", "204-fetch"])
def test_an_answer_without_content_is_no_document(worker: Child, ref: str) -> None:
    """A click that brings nothing is not waited for."""
    answer = failed(worker, ref)
    assert (answer.kind, answer.status, answer.ready) == (Kind.DOCUMENT_INVALID, 204, True), answer
    assert answer.message == "the site answered 204 without a document"


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("half-chunked", "broke off"),
        ("half-chunked-click", "broke off"),
        ("half-unpromised", "cut off"),
        ("half-unpromised-click", "cut off"),
    ],
)
def test_half_a_document_is_no_document_whatever_was_promised(worker: Child, ref: str, said: str) -> None:
    """Chunks without an end, and a connection that ends where nobody said how much would come."""
    answer = failed(worker, ref)
    assert (answer.kind, answer.ready) == (Kind.DOCUMENT_INVALID, True), answer
    assert said in answer.message


@pytest.mark.parametrize("ref", ["large", "large-click"])
def test_a_hundred_megabytes_are_not_held_in_memory(worker: Child, lot: PaperSite, ref: str) -> None:
    """Neither in the worker nor in the driver nor in the browser; and the bytes are right."""
    succeeded(worker, "many")  # whatever is loaded at a first document has been loaded
    with Memory(worker) as memory:
        answer, staging = succeeded(worker, ref)
    begin, size, end = large_pdf(LARGE)
    (document,) = answer.documents
    assert (document.bytes, document.pages) == (len(begin) + size + len(end), 1)
    assert lot.sent == document.bytes
    assert memory.growth < 100_000_000, f"grew by {memory.growth} bytes"
    (staging / document.name).unlink()
    assert not [name for asked in lot.asked_with for name in asked if name.lower().startswith("x-nightfleet")]


def test_what_is_too_large_is_given_up_on_the_way(start: Callable[..., Child], lot: PaperSite) -> None:
    """At the limit, or at once where the length is promised; by either way of fetching."""
    child = start(site=f"{RECIPES}:Papers", document_limit=3_000_000)
    child.ready()
    child.log_in()
    for ref in ("endless", "endless-click", "large"):
        answer = failed(child, ref)
        assert (answer.kind, answer.ready) == (Kind.DOCUMENT_INVALID, True), answer
        assert "3000000" in answer.message
        assert f"{lot.url}/{ref.partition('-')[0]}.pdf" in answer.url
        assert ref == "endless-click" or lot.sent < 30_000_000
    assert "104857600" not in failed(child, "endless").message
    assert isinstance(assign(child, "named")[0], Succeeded), "the worker goes on"


@pytest.mark.parametrize("ref", ["stalled-fetch", "silent-fetch"])
def test_a_document_that_stands_still_is_given_up_long_before_the_deadline(worker: Child, ref: str) -> None:
    """Also before its first byte; the page is as good as before."""
    answer = failed(worker, ref, deadline=6)
    assert (answer.kind, "nothing came for 3 s" in answer.message) == (Kind.DOCUMENT_STALLED, True), answer
    if not answer.ready:
        worker.expect(Ready)


def test_a_failure_leaves_what_the_page_complained_about_and_what_the_site_answered_last(worker: Child) -> None:
    """Bounded, with the document's own answer, and without tokens."""
    answer, staging = assign(worker, "noisy")
    assert isinstance(answer, Failed), worker.said()
    assert answer.message == "zero.pdf is empty"
    text = (staging / "evidence" / "error.txt").read_text("utf-8")
    complaints = text.partition("last errors on the console:\n")[2].partition("\n\n")[0].splitlines()
    assert 10 < len(complaints) <= 20
    assert any("a script of the page broke" in line for line in complaints)
    assert any("trouble number 99" in line for line in complaints)
    answers = text.partition("last answers of the site:\n")[2].partition("\n\n")[0].splitlines()
    assert any(line.startswith("404 GET") and "no-such-picture.png" in line for line in answers)
    assert any(line.startswith("200 GET") and line.endswith("/zero.pdf (a document)") for line in answers)
    assert "zero.pdf" in text.partition("url: ")[2].partition("\n")[0]
    assert "hidden-one" not in text
    assert "hidden-two" not in text
    assert (staging / "evidence" / "screenshot.png").stat().st_size > 0
    assert "setTimeout" in (staging / "evidence" / "page.html").read_text("utf-8")


def test_documents_may_appear_late_and_in_a_range(start: Callable[..., Child]) -> None:
    """They are waited for until there are enough and no more come; too few and too many have their reasons."""
    child = start(site=f"{RECIPES}:OneToFour")
    child.ready()
    child.log_in()
    answer, _ = succeeded(child, "late")
    assert [document.name for document in answer.documents] == [f"late-{number}.pdf" for number in range(1, 5)]
    few, many = failed(child, "protected"), failed(child, "named")
    assert (few.kind, few.ready) == (Kind.DOCUMENTS_MISSING, True)
    assert few.message == "the page shows 1 documents (a.document), at least 3 are expected"
    assert (many.kind, many.ready) == (Kind.TOO_MANY_DOCUMENTS, True)
    assert many.message == "the page offers more than the 4 documents that are expected at most"


class Memory:
    """Watches what the processes of a worker hold together, each page counted once, while the block lasts."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._before = self._most = 0

    @property
    def growth(self) -> int:
        return self._most - self._before

    def __enter__(self) -> Self:
        self._before = self._most = self._measure()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, self._measure())

    def _measure(self) -> int:
        total = 0
        for process in self._child.tree():
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # it has ended since it was listed
                continue
        return total
