"""What an answer of the site means for a visit, and for a login, which may meet what nobody else may."""

from types import SimpleNamespace
from typing import cast

import pytest

from worker.access import Access, BasicAuth
from worker.browser import Browser
from worker.documents import Answer
from worker.judging import Judge, is_same_page
from worker.protocol import Kind
from worker.site import LoginRefused, Site, SiteFailure

LOGIN = "https://lot.example/login"
BASIC = Access(basic_auth=BasicAuth(user="LOT_USER", password="LOT_PASSWORD"))  # noqa: S106 - the name of a secret


def judge(*, logging_in: bool = False, access: Access | None = None, broken: tuple[str, str] | None = None) -> Judge:
    browser = SimpleNamespace(hosts=("lot.example",), observer=SimpleNamespace(broken=broken))
    site = SimpleNamespace(login_url=LOGIN, access=access or Access())
    return Judge(cast("Browser", browser), cast("Site", site), logging_in=logging_in)


def refused(one: Judge, status: int, headers: dict[str, str] | None = None) -> SiteFailure | None:
    try:
        one.refuse(status, headers or {}, "https://lot.example/A")
    except SiteFailure as failure:
        return failure
    return None


@pytest.mark.parametrize(
    ("url", "login_url", "same"),
    [
        (LOGIN, LOGIN, True),
        (LOGIN + "/?next=/A#top", LOGIN, True),
        (LOGIN, LOGIN + "/", True),
        ("https://lot.example/login2", LOGIN, False),
        ("https://other.example/login", LOGIN, False),
        ("https://lot.example:444/login", LOGIN, False),
        ("https://lot.example/", "", False),
    ],
)
def test_the_login_page_is_known_by_its_host_and_path(url: str, login_url: str, *, same: bool) -> None:
    """Whatever query or fragment it carries; a site without one has none."""
    assert is_same_page(url, login_url) is same


def test_the_login_page_is_a_surprise_except_in_a_login() -> None:
    """There a 401 is none either, as it may well come with the form."""
    assert judge().is_login(LOGIN)
    assert not judge(logging_in=True).is_login(LOGIN)
    lost = refused(judge(), 401)
    assert lost is not None
    assert lost.kind is Kind.SESSION_EXPIRED
    assert refused(judge(logging_in=True), 401) is None
    forbidden = refused(judge(logging_in=True), 403)
    assert forbidden is not None
    assert forbidden.kind is Kind.FORBIDDEN


@pytest.mark.parametrize("logging_in", [False, True])
def test_a_proxy_that_does_not_know_us_refuses_the_login(*, logging_in: bool) -> None:
    """So the run stops, before somebody's account is locked."""
    assert isinstance(refused(judge(logging_in=logging_in), 407), LoginRefused)


def test_basic_authentication_is_refused_in_a_login_only() -> None:
    """Later a 401 means that the session is over; and some sites ask for what the recipe knows nothing about."""
    asked = {"www-authenticate": 'Basic realm="lot"'}
    assert isinstance(refused(judge(logging_in=True, access=BASIC), 401, asked), LoginRefused)
    later = refused(judge(access=BASIC), 401, asked)
    assert later is not None
    assert later.kind is Kind.SESSION_EXPIRED
    assert refused(judge(logging_in=True), 401, asked) is None
    assert refused(judge(logging_in=True, access=BASIC), 401, {"www-authenticate": "Negotiate"}) is None


@pytest.mark.parametrize(
    ("status", "url", "kind"),
    [
        (200, "https://lot.example/a.pdf", None),
        (200, LOGIN + "?next=a.pdf", Kind.SESSION_EXPIRED),
        (204, "https://lot.example/a.pdf", Kind.DOCUMENT_INVALID),
        (206, "https://lot.example/a.pdf", Kind.DOCUMENT_INVALID),
        (304, "https://lot.example/a.pdf", Kind.DOCUMENT_INVALID),
        (500, "https://lot.example/a.pdf", Kind.SERVER_ERROR),
    ],
)
def test_only_a_whole_answer_brings_a_document(status: int, url: str, kind: Kind | None) -> None:
    """A part of one is none."""
    if kind is None:
        judge().check_document(status, Answer(url))
    else:
        with pytest.raises(SiteFailure) as caught:
            judge().check_document(status, Answer(url))
        assert (caught.value.kind, caught.value.url) == (kind, url)


def test_a_host_out_of_bounds_is_named_when_a_page_could_not_be_reached() -> None:
    """Any other trouble with it is not of the recipe's making."""
    foreign = judge(broken=("https://ads.example/x", "net::ERR_NAME_NOT_RESOLVED")).unreachable()
    assert foreign is not None
    assert (foreign.kind, "ads.example" in str(foreign)) == (Kind.RECIPE_ERROR, True)
    assert judge(broken=("https://lot.example/x", "net::ERR_FAILED")).unreachable() is None
    assert judge().unreachable() is None
