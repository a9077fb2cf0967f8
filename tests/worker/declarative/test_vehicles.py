"""The page of a vehicle and its documents, in all the ways in which sites offer them."""

import itertools

import pytest

from tests.worker.declarative.conftest import Bench
from tests.worker.declarative.recipes import DOCUMENTS, VEHICLE, yard
from tests.worker.declarative.yard import Yard
from worker.protocol import Kind

pytestmark = pytest.mark.browser

SEARCH = """[vehicle]
loaded = "h1:has-text('{ref}')"
missing = "#nothing"
[vehicle.search]
page = "/search"
steps = [{ fill = "#q", value = "{ref}" }, { press = "Enter", on = "#q" }]
result = "a.result:text-is('{ref}')"
"""
_FRAMED = '[documents]\nlinks = "#papers |> .document"\nbuttons = "#papers |> button"\nfewest = 3'
NONE = DOCUMENTS + "fewest = 0\nwithin = 0"
BUTTONS = '[documents]\nbuttons = ".document"\n'


def names(bench: Bench, text: str, reference: str) -> list[str]:
    return [document.name for document in bench.documents(text, reference)]


@pytest.mark.parametrize("reference", ["Ü 7/1", 'Q"1', "O'2", "Y-001"])
def test_any_reference_finds_its_vehicle(bench: Bench, yard_site: Yard, reference: str) -> None:
    """Quoted in an address, typed into a search form, and in the selector that proves the right page."""
    loaded = VEHICLE.replace('"h1"', "\"h1:has-text('{ref}')\"")
    assert names(bench, yard(loaded), reference) == ["a.pdf", "b.pdf"]
    assert names(bench, yard(SEARCH), reference) == ["a.pdf", "b.pdf"]
    assert yard_site.paths[f"/vehicle/{reference}"] >= 2


@pytest.mark.parametrize(
    ("reference", "documents", "found"),
    [
        ("plain", DOCUMENTS, ["a.pdf", "b.pdf"]),
        ("twice", DOCUMENTS, ["a.pdf"]),
        ("hidden", DOCUMENTS, ["a.pdf"]),
        ("blank", DOCUMENTS, ["a.pdf"]),
        ("inline", DOCUMENTS, ["a.pdf"]),
        ("octets", DOCUMENTS, ["file.pdf"]),
        ("shadow", DOCUMENTS, ["a.pdf"]),
        ("token", DOCUMENTS, ["a.pdf"]),
        ("redirected", DOCUMENTS, ["a.pdf"]),
        ("data", DOCUMENTS + 'link_attribute = "data-url"', ["a.pdf"]),
        ("none", DOCUMENTS + "fewest = 0\nwithin = 0", []),
        ("photo", DOCUMENTS + 'types = ["pdf", "jpg"]', ["photo.jpg", "a.pdf"]),
        ("late", DOCUMENTS + "fewest = 3", ["a.pdf", "b.pdf", "c.pdf"]),
        ("late", DOCUMENTS + "fewest = 0", ["a.pdf", "b.pdf", "c.pdf"]),
        ("trickling", DOCUMENTS, ["a.pdf", "b.pdf", "c.pdf"]),
        ("counted", DOCUMENTS + 'count = "#count"', ["a.pdf", "b.pdf", "c.pdf"]),
        ("late", DOCUMENTS + 'ready = "#late li >> nth=2"', ["a.pdf", "b.pdf", "c.pdf"]),
        ("plain", DOCUMENTS + 'name = "{ref} {number} {text}.{extension}"', ["plain 1 Bill.pdf", "plain 2 Title.pdf"]),
        ("buttons", BUTTONS, ["a.pdf", "b.pdf"]),
        ("form", BUTTONS, ["a.pdf"]),
        ("buttons", BUTTONS + 'name = "{text}-{filename}"', ["A-a.pdf", "B-b.pdf"]),
        ("blank", BUTTONS, ["a.pdf"]),
        ("framed", _FRAMED, ["a.pdf", "b.pdf", "c.pdf"]),
    ],
)
def test_documents_are_brought(bench: Bench, reference: str, documents: str, found: list[str]) -> None:
    """Whether they are linked, hidden, embedded, late, counted, or behind a button."""
    assert names(bench, yard(documents), reference) == found


@pytest.mark.parametrize(
    ("reference", "steps"),
    [
        ("menu", '[{ click = "#menu" }, { wait_for = "#panel" }]'),
        ("banner", '[{ click = "#accept", optional = true }, { wait_gone = "#banner" }]'),
        ("buttons", '[{ click = "#accept", optional = true }, { click = "#menu", optional = true, within = 0.2 }]'),
    ],
)
def test_steps_come_before_the_documents(bench: Bench, reference: str, steps: str) -> None:
    """A menu is opened, a banner accepted where there is one."""
    assert names(bench, yard(VEHICLE + f"steps = {steps}", BUTTONS), reference)[0] == "a.pdf"


@pytest.mark.parametrize(
    ("reference", "parts", "kind", "said"),
    [
        ("none", (DOCUMENTS,), Kind.DOCUMENTS_MISSING, "'.document' matched 0 documents, at least 1 are expected"),
        ("plain", (DOCUMENTS + "fewest = 3",), Kind.DOCUMENTS_MISSING, "matched 2 documents, at least 3"),
        ("many", (DOCUMENTS + "most = 8",), Kind.TOO_MANY_DOCUMENTS, "offers 9 documents, at most 8"),
        ("script-link", (DOCUMENTS,), Kind.RECIPE_ERROR, "'javascript:void(0)' ('Bill'); what has to be clicked"),
        ("photo", (DOCUMENTS,), Kind.DOCUMENT_INVALID, "photo.jpg"),
        ("counted", (DOCUMENTS + 'count = "h1"',), Kind.DOCUMENTS_MISSING, "counts 'Vehicle counted' documents"),
        ("gone", (), Kind.NOT_FOUND, "404"),
        ("missing", (VEHICLE + 'missing = "#nothing"',), Kind.NOT_FOUND, "There is no such vehicle."),
        ("unknown", (SEARCH,), Kind.NOT_FOUND, "Nothing found."),
        ("empty", (), Kind.STEP_TIMEOUT, "vehicle.loaded: 'h1' matched nothing within 1.5 s"),
        ("logs-out", (VEHICLE + 'steps = [{ click = "#leave" }]', NONE), Kind.SESSION_EXPIRED, "logged in"),
        ("logged-out", (), Kind.SESSION_EXPIRED, "logged in"),
        ("plain", (VEHICLE + 'steps = [{ click = "#men" }]',), Kind.RECIPE_ERROR, "vehicle.steps[0].click: '#men'"),
        ("plain", (VEHICLE + 'steps = [{ click = "a" }]',), Kind.RECIPE_ERROR, "matched 3 elements, one is"),
        ("menu", (BUTTONS,), Kind.STEP_TIMEOUT, "documents.buttons: '.document' is there, but was hidden"),
        ("plain", (VEHICLE + 'steps = [{ wait_for = "#x" }]',), Kind.STEP_TIMEOUT, "wait_for: '#x' did not show"),
        ("plain", (VEHICLE + 'steps = [{ click = "a:nope()" }]',), Kind.RECIPE_ERROR, "not understand the selector"),
    ],
)
def test_what_does_not_match_is_named(
    bench: Bench, reference: str, parts: tuple[str, ...], kind: Kind, said: str
) -> None:
    """With a fitting kind, the key, the selector and the page."""
    failure = bench.failure(yard(*parts), reference)
    assert failure.kind is kind, failure
    assert said in str(failure)


def test_a_site_is_not_hurried(bench: Bench, yard_site: Yard) -> None:
    """Between two requests that the recipe asks for passes at least its delay; links wait as well."""
    began = len(yard_site.times)
    assert names(bench, yard().replace("patience = 2", "patience = 2\ndelay = 0.3"), "many")
    moments = [moment for moment, path in yard_site.times[began:] if path.startswith(("/vehicle", "/file"))]
    assert len(moments) == 10
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(moments))
    assert sum(gaps) > 2.0, gaps
    assert gaps[2] > 0.2, gaps  # on a busy machine a request may arrive late, which shortens the gap after it


def test_only_what_the_recipe_allows_is_asked(yard_site: Yard, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Images, links, redirects and pages of other hosts are blocked and named; the site's own come as ever."""
    bench = Bench(yard_site, tmp_path_factory.mktemp("hosts"), hosts=("127.0.0.1",))
    try:
        bench.be_logged_in()
        before = dict(yard_site.foreign_paths)
        text = yard().replace("patience = 2", "patience = 2\nallowed_hosts = []")
        assert names(bench, text, "images") == ["a.pdf"]
        assert any(line.startswith("blocked GET http://localhost") for line in bench.browser.observer.requests)
        for reference in ("foreign", "redirected"):
            failure = bench.failure(text, reference)
            assert (failure.kind, "the host localhost is not among" in str(failure)) == (Kind.RECIPE_ERROR, True)
        steps = '[{ click = ".document" }, { wait_for = "#x" }]'
        failure = bench.failure(text.replace(VEHICLE, VEHICLE + f"steps = {steps}"), "redirected")
        assert "the host localhost is not among" in str(failure)
        assert yard_site.foreign_paths == before
    finally:
        bench.close()


STEPS = """
from worker.site import NotFound

async def process(site, visit, reference):
    if reference == "nothing":
        raise NotFound("not here")
    await site.open_vehicle(visit, "plain")
    await visit.page.evaluate("document.querySelector('.document').remove()")
    await site.fetch_documents(visit, reference)
"""


def test_a_step_may_be_written_in_python(bench: Bench) -> None:
    """Called with the site first, whose own steps it can use; the rest stays as the TOML says."""
    text = yard('[python]\nprocess = "steps.py:process"', VEHICLE, DOCUMENTS)
    brought = bench.documents(text, "any", steps=STEPS)
    assert [document.name for document in brought] == ["b.pdf"]
