"""What a check shows in place of a selector that matches nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.checking.nearest import MOST_SHOWN, Item, nearest
from worker.checking.selectors import Word, words

PAGE = (
    Item("a", "link", "Log out", id="log-out", unique=True, href="/logout"),
    Item("a", "link", "Export CSV", id="export", unique=True, href="/inventory/export.csv", classes=("button",)),
    Item("a", "link", "title.pdf", classes=("document",), href="/vehicle/F-1/documents/title.pdf"),
    Item("button", "button", "Download", classes=("document",), data=(("data-name", "invoice.pdf"),)),
    Item("button", "button", "Download", classes=("document",), data=(("data-name", "inspection.pdf"),)),
    Item("input", "field", "User", name="user", id="user", unique=True, type="text"),
    Item("input", "field", "Password", name="password", id="password", unique=True, type="password"),
    Item("ul", "ul", id="documents", unique=True),
)


@pytest.mark.parametrize(
    ("selector", "best"),
    [
        ("#exprt", "#export"),
        ("#logout", "#log-out"),
        ("#username", "#user"),
        ("a.pdf-document", "a.document"),
        ("input[name=passwd]", 'input[name="password"]'),
        ("text=Export to CSV", 'a:has-text("Export CSV")'),
        ('a:has-text("Log off")', 'a:has-text("Log out")'),
        ('internal:role=link[name="Export"i]', "#export"),
        ("xpath=//a[@id='exports']", "#export"),
        ("button[data-name='invoices.pdf']", 'button[data-name="invoice.pdf"]'),
        ("a[href*='/inventory/exports']", 'a[href="/inventory/export.csv"]'),
    ],
)
def test_the_nearest_thing_comes_first(selector: str, best: str) -> None:
    """Ids, classes, names, texts and addresses are compared with what the selector asks for."""
    found = nearest(selector, PAGE)
    assert found[0].selector == best, found
    assert len(found) <= MOST_SHOWN


def test_several_of_a_kind_are_one_line() -> None:
    """With their number, and what a person sees of the first."""
    things = {thing.selector: thing for thing in nearest("button.documents", PAGE)}
    assert (things["button.document"].count, things["button.document"].what) == (2, "button 'Download'")


def test_without_anything_alike_those_of_the_kind_are_named() -> None:
    """The buttons for a button; links, buttons and fields for what says nothing of its kind."""
    assert {thing.what for thing in nearest("button.zzz", PAGE)} == {"button 'Download'"}
    assert len(nearest("#qqqq", PAGE)) == MOST_SHOWN
    assert nearest("#qqqq", ()) == ()


def test_a_hidden_thing_is_called_so() -> None:
    """Because a click on it waits in vain."""
    (found,) = nearest("#menu", (Item("a", "link", "Menu", id="menue", visible=False),))
    assert found.what == "hidden link 'Menu'"


def test_what_a_selector_asks_for() -> None:
    """In any of Playwright's engines; what stands in quotation marks is no class."""
    assert set(words("form#log-in > button.primary[type='submit']")) == {
        Word("id", "log-in"),
        Word("class", "primary"),
        Word("name", "submit"),
        Word("tag", "form"),
        Word("tag", "button"),
    }
    assert words("a[href$='.pdf']") == (Word("name", ".pdf"), Word("tag", "a"))
    assert words("text=Log out >> nth=0") == (Word("text", "Log out"),)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_selector_has_an_answer(selector: str) -> None:
    """Whatever stands in a recipe."""
    assert len(nearest(selector, PAGE)) <= MOST_SHOWN
