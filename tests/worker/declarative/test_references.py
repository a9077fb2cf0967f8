"""References out of exports and listings of all kinds, and how a listing that does not end is noticed."""

import pytest

from tests.worker.declarative.conftest import Bench
from tests.worker.declarative.recipes import yard
from tests.worker.declarative.yard import REFERENCES, Yard
from worker.protocol import Kind

pytestmark = pytest.mark.browser

CSV = 'column = "Stock No"\ndelimiter = ";"\nencoding = "cp1252"'


@pytest.mark.parametrize(
    ("keys", "number"),
    [
        ('click = "#export"', 26),
        ('url = "/export"', 26),
        ('click = "#go"\nsteps = [{ select = "#status", value = "stock" }]', 3),
        ('url = "/export"\nform = { status = "stock" }', 3),
    ],
    ids=["link", "address", "form with a choice", "POST"],
)
def test_an_export_is_brought(bench: Bench, keys: str, number: int) -> None:
    """With its own delimiter and encoding; every reference arrives as it is written."""
    assert bench.references(yard(f"[references.export]\n{CSV}\n{keys}")) == REFERENCES[:number]


def test_an_export_that_is_prepared_meanwhile_is_waited_for(bench: Bench, yard_site: Yard) -> None:
    """The page is opened again until a file is there that was not there before; yesterday's is left alone."""
    yard_site.prepared_after = 2
    keys = 'page = "/exports"\nclick = "#ask"\nready = ".ready"\nreload_every = 0.2'
    assert bench.references(yard(f"[references.export]\n{CSV}\n{keys}")) == REFERENCES
    assert yard_site.paths["/exports"] >= 4
    yard_site.prepared_after = 1_000
    failure = bench.failure(yard(f"[references.export]\n{CSV}\n{keys}\nready_within = 0.5"))
    assert failure.kind is Kind.STEP_TIMEOUT
    assert "references.export.ready: '.ready' was not there within 0.5 s, only as it was before" in str(failure)


_SHOWN = '{ wait_for = "text=3 vehicles" }]'
LISTING = '[references.listing]\nreference = ".ref"\npattern = "Stock (.+)"\n'


@pytest.mark.parametrize(
    ("keys", "number"),
    [
        ('page = "/list/next"\nnext = "[rel=next]"\ntotal = "h1"', 26),
        ('page = "/list/disabled"\nnext = "[rel=next]"', 26),
        ('page = "/list/script"\nnext = "[rel=next]"', 26),
        ('page = "/list/more"\nmore = "#more"', 26),
        ('pages = "/list/plain?page={page}"', 26),
        ('pages = "/list/clamped?page={page}"\nlast_page_repeats = true', 26),
        ('page = "/list/next?status=stock"\ntotal = "h1"', 3),
        (
            'page = "/list/filter"\nsteps = [{ select = "#status", value = "stock" }, { click = "form button" }, '
            + _SHOWN,
            3,
        ),
    ],
    ids=["next", "disabled", "script", "more", "pages", "clamped", "one page", "filter"],
)
def test_a_listing_is_read_to_its_end(bench: Bench, keys: str, number: int) -> None:
    """However its pages hang together; what is listed twice is one reference."""
    assert bench.references(yard(LISTING + keys)) == REFERENCES[:number]


def test_the_reference_may_stand_in_an_attribute(bench: Bench) -> None:
    """Without a pattern it is taken as it is."""
    keys = '[references.listing]\nreference = ".ref"\nattribute = "data-ref"\npage = "/list/next"\nnext = "[rel=next]"'
    assert bench.references(yard(keys)) == REFERENCES


@pytest.mark.parametrize(
    ("keys", "kind", "said"),
    [
        ('page = "/list/circle"\nnext = "[rel=next]"', Kind.RECIPE_ERROR, "page 4 brings no new reference"),
        ('page = "/list/stuck"\nnext = "[rel=next]"', Kind.RECIPE_ERROR, "brought no other references"),
        ('page = "/list/same"\nnext = "[rel=next]"', Kind.RECIPE_ERROR, "page 2 shows the same 11 references"),
        ('pages = "/list/clamped?page={page}"', Kind.RECIPE_ERROR, "page 4 shows the same 7 references"),
        ('page = "/list/more-stuck"\nmore = "#more"', Kind.RECIPE_ERROR, "loaded nothing more"),
        ('page = "/list/next"\nnext = "[rel=next]"\nmost_pages = 2', Kind.RECIPE_ERROR, "more than 2 pages"),
        ('page = "/list/next"\nnext = "td"', Kind.RECIPE_ERROR, "matched 11 elements, one is expected"),
        ('page = "/list/next"\ntotal = "h1"', Kind.EXPORT_INVALID, "counts 26 vehicles, 10 references were found"),
        ('page = "/list/next"\ntotal = "#none"', Kind.RECIPE_ERROR, "listing.total: '#none' matched nothing"),
        ('page = "/list/empty"', Kind.RECIPE_ERROR, "listing.reference: '.ref' matched nothing within 1.5 s"),
    ],
)
def test_a_listing_that_does_not_add_up_fails_with_its_key(bench: Bench, keys: str, kind: Kind, said: str) -> None:
    """A loop, a page that changes nothing, a number that is not reached: one clear failure."""
    failure = bench.failure(yard(LISTING + keys))
    assert failure.kind is kind, failure
    assert said in str(failure)
    assert "yard.toml:" in str(failure)


def test_a_text_that_is_no_reference_is_not_passed_over(bench: Bench) -> None:
    """A pattern that does not match says so, with the text."""
    failure = bench.failure(yard('[references.listing]\nreference = ".ref"\npattern = "No (.+)"\npage = "/list/next"'))
    assert "listing.pattern: 'No (.+)' matches nothing in the text 'Stock Y-001'" in str(failure)
