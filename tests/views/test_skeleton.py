"""The draft of a recipe: it loads whatever the website's login page looks like, and marks what was guessed."""

import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.views.skeleton import GAP, name_of, skeleton
from worker.loading import load_site
from worker.sketching.messages import Control, Found, LoginForm

DAY = date(2026, 11, 25)
USER = Control("#user", "User", kind="text")
PASSWORD = Control("#password", "Password", kind="password")
SUBMIT = Control('form button[type="submit"]', "Log in", kind="button")
FORM = LoginForm("https://lot.example/login?next=/stock", "Log in", PASSWORD, USER, SUBMIT)
FOUND = Found("https://lot.example/stock", "https://lot.example/login?next=/stock", "Log in · Lot", FORM)


def draft(found: Found) -> str:
    return skeleton(found, name="lot", schema="schema.json", day=DAY).text


def test_what_was_found_stands_in_the_draft() -> None:
    """Addresses without the way back, fields with the names of their secrets, the button, the first proof."""
    recipe = tomllib.loads(draft(FOUND))
    assert (recipe["base_url"], recipe["start_url"]) == ("https://lot.example", "/stock")
    login = recipe["login"]
    assert login["url"] == "/login"
    assert login["steps"] == [
        {"fill": "#user", "secret": "LOT_USER"},
        {"fill": "#password", "secret": "LOT_PASSWORD"},
    ]
    assert (login["submit"], login["logged_out"]) == (SUBMIT.selector, "#password")


def test_gaps_are_marked() -> None:
    """Each with a comment that begins alike, and with the number of its line."""
    made = skeleton(FOUND, name="lot", schema="schema.json", day=DAY)
    assert made.gaps == tuple(n for n, line in enumerate(made.text.splitlines(), 1) if line.startswith(GAP))
    assert len(made.gaps) >= 5
    assert made.secrets == ("LOT_USER", "LOT_PASSWORD")
    assert made.text.startswith("#:schema schema.json\n")


def test_what_else_the_login_page_has_is_told() -> None:
    """Further fields, what opens the form, a captcha, an export that can be seen, a missing user."""
    form = LoginForm(
        "https://sso.example/in",
        "Sign in",
        PASSWORD,
        others=(Control("#remember", "Stay", kind="checkbox"), Control("#client", "Client", kind="select-one")),
        opener=Control("#open", "Log in", kind="button"),
        captcha=True,
    )
    export = Control("a.csv", "Export", "https://lot.example/all.csv", "link")
    text = draft(Found("https://lot.example/", "https://lot.example/", "Lot", form, exports=(export,)))
    recipe = tomllib.loads(text)
    assert recipe["login"]["url"] == "https://sso.example/in"
    assert recipe["login"]["steps"][0] == {"click": "#open"}
    assert recipe["references"]["export"]["click"] == "a.csv"
    for part in ("captcha", "no field for the user", '# { tick = "#remember" }', '# { select = "#client"'):
        assert part in text


def test_a_site_without_a_login_gets_a_draft_without_one() -> None:
    """And the draft says so; so it does for a login by HTTP itself."""
    nothing = Found("https://lot.example/", "https://lot.example/", "Lot", None)
    assert "login" not in tomllib.loads(draft(nothing))
    assert "no field for a password was found" in draft(nothing)
    basic = Found("https://lot.example/", "https://lot.example/", "Lot", None, basic=True)
    assert tomllib.loads(draft(basic))["access"]["basic_auth"] == {"user": "LOT_USER", "password": "LOT_PASSWORD"}


@pytest.mark.parametrize(
    ("url", "title", "name"),
    [
        ("https://www.lot.example/login", "Log in", "lot"),
        ("https://stock.lot.co.uk/", "Log in", "lot"),
        ("http://127.0.0.1:8080/login", "Log in · Harbour Lane Motors", "harbour"),
        ("http://localhost/", "", "site"),
        ("http://[::1]/", "…", "site"),
    ],
)
def test_the_name_of_a_site(url: str, title: str, name: str) -> None:
    """Out of its host, or out of its title where the host is a number."""
    assert name_of(Found(url, url, title, None)) == name


ANY = st.text(max_size=40)
CONTROL = st.builds(
    Control,
    selector=st.sampled_from(['a[href="/x{1}"]', "#a\\:b", 'input[name="ü\\"\'"]', "a >> nth=1"]),
    label=ANY,
    href=ANY,
    kind=ANY,
)


FORMS = st.builds(
    LoginForm,
    url=st.just("https://lot.example/login"),
    title=ANY,
    password=CONTROL,
    user=st.none() | CONTROL,
    submit=st.none() | CONTROL,
    others=st.lists(CONTROL, max_size=2).map(tuple),
)


@settings(deadline=None, max_examples=40)
@given(form=FORMS, title=ANY, exports=st.lists(CONTROL, max_size=2), name=ANY)
def test_a_draft_always_loads(
    tmp_path_factory: pytest.TempPathFactory, form: LoginForm, title: str, exports: list[Control], name: str
) -> None:
    """Whatever a site puts into its labels and addresses: it is untrusted, and it cannot break out of a string."""
    found = Found("https://lot.example/", "https://lot.example/", title, form, exports=tuple(exports))
    path: Path = tmp_path_factory.getbasetemp() / "draft.toml"
    path.write_text(skeleton(found, name=name, schema="schema.json", day=DAY).text, encoding="utf-8")
    assert load_site(str(path)).login_url == "https://lot.example/login"
