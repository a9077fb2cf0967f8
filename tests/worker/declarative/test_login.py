"""Logging in as a recipe says, and what the site may answer."""

from collections.abc import Iterator

import pytest

from tests.worker.declarative.conftest import Bench
from tests.worker.declarative.recipes import LOGIN, yard
from tests.worker.declarative.yard import PASSWORD, USER, Yard
from worker.protocol import Kind
from worker.site import LoginRefused, SiteFailure

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def _logged_in_again(bench: Bench) -> Iterator[None]:
    """Leave the next test a browser with a session."""
    yield
    bench.be_logged_in()


def test_a_form_is_filled_in_and_sent(bench: Bench, yard_site: Yard) -> None:
    """By a button, or by Enter where the recipe names none; boxes are ticked and choices made on the way."""
    bench.log_in(yard())
    assert yard_site.logins[-1]["password"] == PASSWORD
    steps = '{ select = "#branch", value = "South" }, { tick = "#terms" }, { fill = "#password"'
    bench.log_in(yard().replace('submit = "#send"\n', "").replace('{ fill = "#password"', steps))
    assert yard_site.logins[-1] == {"user": USER, "password": PASSWORD, "branch": "2", "terms": "on"}


def test_a_site_without_a_login_is_logged_in_always(bench: Bench) -> None:
    """A recipe without [login] opens the start page, and no page tells of a session that is gone."""
    text = yard().replace(LOGIN, "")
    site = bench.site(text)
    visit = bench.visit(site, logging_in=True)
    bench.run(site.log_in(visit))
    assert bench.run(site.is_logged_in(visit))
    assert site.login_url == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "the site answered: Wrong user or password."),
        ({'refused = ".error"\n': "", "/login": "/login?quiet=1"}, "the login form again"),
    ],
)
def test_a_refused_login_is_told_as_such(bench: Bench, changed: dict[str, str], said: str) -> None:
    """In the site's words, or because its form comes again: an account must not be locked by trying on."""
    text = yard().replace('secret = "YARD_USER"', 'value = "somebody"')
    for there, instead in changed.items():
        text = text.replace(there, instead)
    with pytest.raises(LoginRefused) as caught:
        bench.log_in(text)
    assert said in str(caught.value)


def test_a_login_that_proves_nothing_names_the_key(bench: Bench) -> None:
    """The mark of who is logged in may be the mistake."""
    with pytest.raises(SiteFailure) as caught:
        bench.log_in(yard().replace('"#log-out"', '"#sign-off"').replace("patience = 2", "patience = 0.5"))
    assert caught.value.kind is Kind.LOGIN_FAILED
    assert "yard.toml:9: login.logged_in: '#sign-off' does not prove a login" in str(caught.value)


def test_a_mark_that_proves_nothing_is_found_out(bench: Bench) -> None:
    """It stands on the login page as well: every page would look like one of somebody who is logged in."""
    for keys in ('logged_in = "body"', 'logged_out = "#no-such-thing"'):
        with pytest.raises(SiteFailure) as caught:
            bench.log_in(yard().replace('logged_in = "#log-out"', keys))
        assert caught.value.kind is Kind.RECIPE_ERROR
        assert f"login.{keys.split()[0]}: " in str(caught.value)
        assert "tells nothing: the login page looks like one" in str(caught.value)


def test_who_is_logged_in_already_is_not_asked_again(bench: Bench, yard_site: Yard) -> None:
    """As by the network's own login: there is no form, and the mark is there."""
    bench.be_logged_in()
    logins = len(yard_site.logins)
    site = bench.site(yard().replace('url = "/login"', 'url = "/inventory"').replace("patience = 2", "patience = 0.3"))
    bench.run(site.log_in(bench.visit(site, logging_in=True)))
    assert len(yard_site.logins) == logins


def test_a_field_that_is_not_there_names_key_line_selector_and_page(bench: Bench) -> None:
    """As does a selector that matches too much."""
    with pytest.raises(SiteFailure) as caught:
        bench.log_in(yard().replace('"#user"', '"#usr"').replace("patience = 2", "patience = 0.3"))
    assert caught.value.kind is Kind.RECIPE_ERROR
    assert "yard.toml:7: login.steps[0].fill: '#usr' matched nothing within 0.3 s" in str(caught.value)
    assert str(caught.value).endswith("/login")
    with pytest.raises(SiteFailure, match=r"login\.submit: 'input, button' matched 4 elements, one is expected"):
        bench.log_in(yard().replace('"#send"', '"input, button"'))
