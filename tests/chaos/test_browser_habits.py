"""What browsers do with documents that nobody asked for: viewers, popups by the hundred, pages that will not stay."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.worker.child import Child, gone
from tests.worker.paper_site import PaperSite
from worker.protocol import Assign, Failed, Kind, Ready, ShutDown, Succeeded

pytestmark = pytest.mark.browser

RECIPES = Path(__file__).parent.parent / "worker" / "paper_recipe.py"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def lot() -> Iterator[PaperSite]:
    with PaperSite() as site:
        yield site


@pytest.fixture
def begin(lot: PaperSite, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Start workers that are logged in; at the end of the test they end when they are told to, and leave nothing."""
    children: list[Child] = []

    def start(**changes: str) -> Child:
        child = Child(tmp_path / f"child-{len(children)}", lot.url, site=f"{RECIPES}:Papers", **changes)
        children.append(child)
        child.ready()
        child.log_in()
        return child

    yield start
    for child in children:
        tree = child.tree()
        try:
            child.send(ShutDown())
            assert child.exit_code() == 0, child.said()
            assert gone(tree) == []
        finally:
            child.end()


def assign(child: Child, ref: str, deadline: float = 60.0) -> Succeeded | Failed:
    number = next(_numbers)
    child.send(Assign(number, ref, 1, False, str(child.folder / f"staging-{number}"), deadline))
    answer = child.next(deadline + 60)
    assert isinstance(answer, Succeeded | Failed), child.said()
    return answer


@pytest.mark.parametrize("browser", ["chromium", "chromium-headless-shell"])
def test_a_pdf_that_opens_inline_comes_home_all_the_same(
    begin: Callable[..., Child], lot: PaperSite, browser: str
) -> None:
    """The full browser shows it in its viewer; a click in the same tab or a new one brings the site's own bytes."""
    found = shutil.which(browser)
    if found is None:
        pytest.skip(f"{browser} is not installed")
    child = begin(browser=found)
    for ref in ("inline-fetch", "inline", "inline-blank", "inline"):
        answer = assign(child, ref)
        assert isinstance(answer, Succeeded), child.said()
        assert [(document.name, document.bytes) for document in answer.documents] == [("i.pdf", len(lot.pdf))]


@pytest.mark.long
def test_two_hundred_links_into_new_tabs_leave_no_tab_behind(begin: Callable[..., Child]) -> None:
    """Each is clicked; every document comes, and the browser has the processes that it had before."""
    child = begin()
    assert isinstance(assign(child, "blank"), Succeeded)
    before = len(child.tree())
    answer = assign(child, "blank-many", deadline=300)
    assert isinstance(answer, Succeeded), child.said()
    assert [document.name for document in answer.documents] == [f"{number}.pdf" for number in range(200)]
    assert len(child.tree()) <= before + 2


@pytest.mark.long
def test_pages_that_move_on_at_once_never_hang_a_worker(begin: Callable[..., Child]) -> None:
    """Closing a page in the midst of a navigation hung nearly every time without a certain flag.

    Twenty tabs that open themselves again and again are closed at once, and so are pages that lead elsewhere.
    """
    child = begin()
    for _ in range(5):
        assert isinstance(assign(child, "restless"), Succeeded), child.said()
    for _ in range(5):
        answer = assign(child, "meta", deadline=20)
        assert isinstance(answer, Succeeded) or answer.kind in {Kind.DOCUMENTS_MISSING, Kind.STEP_TIMEOUT}, answer
        if isinstance(answer, Failed) and not answer.ready:
            child.expect(Ready)
    assert isinstance(assign(child, "plain"), Succeeded)
    assert len(child.browsers) == 1, "the browser was replaced"
    assert "longer than" not in child.log.read_text("utf-8"), "closing took its whole deadline"
