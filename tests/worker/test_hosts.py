"""Which hosts may be asked for anything."""

import pytest

from worker import hosts
from worker.protocol import Kind
from worker.site import SiteFailure

ALLOWED = ("lot.example", "*.cdn.example", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("url", "foreign"),
    [
        ("https://lot.example/vehicle", False),
        ("https://LOT.example:8443/vehicle", False),
        ("https://a.cdn.example/x", False),
        ("https://a.b.cdn.example/x", False),
        ("https://cdn.example/x", True),
        ("https://evil-cdn.example/x", True),
        ("https://lot.example.evil.example/x", True),
        ("https://lot.example@evil.example/x", True),
        ("http://127.0.0.1:8080/", False),
        ("http://127.0.0.2/", True),
        ("http://[::1]:80/", False),
        ("wss://push.example/", True),
        ("https://[broken/", True),
        ("data:text/plain,hello", False),
        ("blob:https://other.example/1234", False),
        ("about:blank", False),
    ],
)
def test_the_host_decides_and_nothing_else(url: str, *, foreign: bool) -> None:
    """A star stands for everything below a host; what has no host is at home."""
    assert hosts.is_foreign(url, ALLOWED) is foreign
    assert not hosts.is_foreign(url, ())


def test_a_foreign_host_is_named_with_those_that_are_allowed() -> None:
    """In one sentence."""
    with pytest.raises(SiteFailure, match=r"the host evil\.example is not among .*lot\.example") as caught:
        hosts.check("https://evil.example/", ALLOWED)
    assert caught.value.kind is Kind.RECIPE_ERROR
    hosts.check("https://evil.example/", ())


def test_the_browser_finds_only_what_is_allowed() -> None:
    """As rules of Chromium's for resolving names, addresses included."""
    assert hosts.resolver_rules(("lot.example", "*.cdn.example", "::1")) == (
        "MAP * ~NOTFOUND, EXCLUDE lot.example, EXCLUDE *.cdn.example, EXCLUDE [::1]"
    )
