"""``run.py new-site`` as a person meets it: a draft that loads, guessed from the login page, or one clear sentence."""

import tomllib
from collections.abc import Callable, Iterator

import pytest

from supervisor import sketching
from supervisor.errors import UserError
from tests.end_to_end.harness import Site
from tests.terminal import Terminal
from tests.worker.login_pages import LoginPages
from worker.loading import load_site

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages() -> Iterator[LoginPages]:
    """The test site with its pages before the login."""
    with LoginPages() as site:
        yield site


def test_the_demos_login_is_guessed(terminal: Terminal, open_site: Callable[..., Site]) -> None:
    """Named after the site; addresses, fields, button and a first proof are right; the rest is marked."""
    site = open_site(3)
    code, said = terminal.run("new-site", f"{site.url}/inventory")
    assert code == 0, said
    assert "harbour.toml loads without an error" in said
    assert "run.py check harbour.toml" in said
    text = (terminal.folder / "harbour.toml").read_text()
    recipe = tomllib.loads(text)
    assert (recipe["base_url"], recipe["start_url"]) == (site.url, "/inventory")
    assert recipe["login"] == {
        "url": "/login",
        "steps": [
            {"fill": "#user", "secret": "HARBOUR_USER"},
            {"fill": "#password", "secret": "HARBOUR_PASSWORD"},
        ],
        "submit": 'button[type="submit"]',
        "logged_out": "#password",
    }
    assert text.count("\n# GAP") == 6
    assert load_site(str(terminal.folder / "harbour.toml")).login_url == f"{site.url}/login"
    before = text.replace("# GAP", "# done")
    (terminal.folder / "harbour.toml").write_text(before)
    code, said = terminal.run("new-site", site.url, "--output", "harbour.toml")
    assert (code, said) == (
        2,
        "nightfleet: harbour.toml is there already; --force overwrites it, --output names another file\n",
    )
    assert (terminal.folder / "harbour.toml").read_text() == before


@pytest.mark.long
def test_without_a_login_there_is_a_draft_that_says_so(terminal: Terminal, pages: LoginPages) -> None:
    """With what else could be seen, such as an export; --force overwrites."""
    (terminal.folder / "lot.toml").write_text("mine")
    code, said = terminal.run("new-site", f"{pages.url}/open", "--output", "lot.toml", "--force")
    assert code == 0, said
    assert "no field for a password was found: the draft is for a site without a login" in said
    recipe = tomllib.loads((terminal.folder / "lot.toml").read_text())
    assert "login" not in recipe
    assert recipe["references"]["export"]["click"] == 'a[href="/all.csv"]'


def test_what_is_no_page_gets_one_sentence(terminal: Terminal, pages: LoginPages) -> None:
    """And no file."""
    code, said = terminal.run("new-site", f"{pages.url}/data.json", "--output", "lot.toml")
    assert code == 1, said
    assert said == f"nightfleet: {pages.url}/data.json is application/json, and a web page (HTML) is needed\n"
    assert not (terminal.folder / "lot.toml").exists()


@pytest.mark.parametrize("address", ["ftp://lot.example", "http://me:secret@lot.example", "", "lot .example"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Before anything starts; a password in it is not repeated."""
    with pytest.raises(UserError, match=r"no address|leave them out") as refusal:
        sketching.address(address)
    assert "secret" not in str(refusal.value)


def test_an_address_without_a_scheme_is_https() -> None:
    """As people write them."""
    assert sketching.address(" lot.example/in ") == "https://lot.example/in"
