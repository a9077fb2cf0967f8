"""Foreign exceptions and statuses become the right kinds, and secrets stay masked."""

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker.deadlines import Overdue
from worker.failures import classify, refusal, retry_after
from worker.masking import Mask
from worker.protocol import Kind
from worker.site import NotFound, SiteFailure


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFound("no such vehicle"), Kind.NOT_FOUND),
        (Overdue("opening a page", 10), Kind.STEP_TIMEOUT),
        (PlaywrightTimeout("Timeout 30000ms exceeded.\nCall log: net::ERR_FAILED"), Kind.STEP_TIMEOUT),
        (PlaywrightError("Page.goto: Page crashed"), Kind.PAGE_CRASHED),
        (PlaywrightError("Page.fill: Target crashed"), Kind.PAGE_CRASHED),
        (PlaywrightError("Page.goto: net::ERR_NAME_NOT_RESOLVED at https://x/"), Kind.OFFLINE),
        (PlaywrightError("Page.goto: net::ERR_INTERNET_DISCONNECTED at https://x/"), Kind.OFFLINE),
        (PlaywrightError("Page.goto: net::ERR_CONNECTION_REFUSED at https://x/"), Kind.NETWORK),
        (PlaywrightError("Page.goto: net::ERR_CONNECTION_RESET at https://x/"), Kind.NETWORK),
        (PlaywrightError("Page.goto: net::ERR_CERT_DATE_INVALID at https://x/"), Kind.CERTIFICATE),
        (PlaywrightError("Page.goto: net::ERR_TOO_MANY_REDIRECTS at https://x/"), Kind.HTTP_ERROR),
        (PlaywrightError("Page.goto: net::ERR_UNSAFE_PORT at https://x/"), Kind.RECIPE_ERROR),
        (PlaywrightError("Page.goto: Download is starting"), Kind.RECIPE_ERROR),
        (PlaywrightError("APIRequestContext.get: connect ECONNREFUSED 127.0.0.1:1"), Kind.NETWORK),
        (PlaywrightError("APIRequestContext.get: getaddrinfo ENOTFOUND nosuch.invalid"), Kind.OFFLINE),
        (PlaywrightError("APIRequestContext.get: self-signed certificate"), Kind.CERTIFICATE),
        (PlaywrightError("APIRequestContext.get: write EPROTO 80:error:0A00010B:SSL routines"), Kind.NETWORK),
        (PlaywrightError("Locator.click: strict mode violation\n - ECONNREFUSED in the log"), Kind.RECIPE_ERROR),
        (OSError(errno.ENOSPC, "No space left"), Kind.DISK_FULL),
        (ExceptionGroup("two", [NotFound("gone"), ValueError()]), Kind.NOT_FOUND),
        (KeyError("x"), Kind.RECIPE_ERROR),
    ],
)
def test_each_exception_has_its_kind(error: BaseException, kind: Kind) -> None:
    """Judged by the first line: Playwright's call log quotes anything."""
    failure = classify(error)
    assert failure.kind is kind
    assert str(failure)
    assert "\n" not in str(failure)


def test_a_closed_page_is_the_browsers_fault_only_when_the_browser_is_gone() -> None:
    """The same sentence of Playwright's means two things."""
    error = PlaywrightError("Page.goto: Target page, context or browser has been closed")
    assert classify(error, browser_alive=False).kind is Kind.BROWSER_LOST
    assert classify(error, browser_alive=True).kind is Kind.PAGE_CRASHED


def test_a_recipes_mistake_is_named_with_its_line() -> None:
    """So that its author finds it in the morning."""
    with pytest.raises(KeyError) as caught:
        dict[str, int]().pop("x")
    failure = classify(caught.value, recipe_file=__file__)
    assert f"{Path(__file__).name}:" in str(failure)


@given(st.integers(400, 599))
def test_every_error_status_is_a_failure(status: int) -> None:
    """And carries the status and the address."""
    failure = refusal(status, {}, "https://x/")
    assert failure is not None
    assert (failure.status, failure.url) == (status, "https://x/")


@given(st.integers(100, 399))
def test_no_other_status_is(status: int) -> None:
    """Redirects were followed by the browser."""
    assert refusal(status, {}, "https://x/") is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("999999999", 86_400.0),
        ("Wed, 25 Nov 2026 10:00:30 GMT", 30.0),
        ("Wed, 25 Nov 2026 09:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    """Nonsense is as good as none, and nobody makes us wait for more than a day."""
    assert retry_after(value, datetime(2026, 11, 25, 10, tzinfo=UTC)) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_survived(value: str) -> None:
    """It comes from the site."""
    found = retry_after(value)
    assert found is None or 0 <= found <= 86_400


@pytest.mark.parametrize("secret", ["s3cret/Päss&word", "quote\"d 'one'", "plain-password"])
def test_a_secret_is_masked_in_every_form(secret: str) -> None:
    """As it is, in URLs, in HTML, in JSON and in what Python prints."""
    import html  # noqa: PLC0415 - the forms are made as their owners make them
    import json  # noqa: PLC0415
    from urllib.parse import quote, quote_plus  # noqa: PLC0415

    mask = Mask()
    mask.add(secret)
    for form in (secret, quote(secret), quote_plus(secret), html.escape(secret), json.dumps(secret), repr(secret)):
        masked = mask(f"before {form} after")
        assert secret not in masked
        assert "***" in masked


def test_a_short_secret_is_masked_where_it_stands_alone() -> None:
    """Inside words it would garble every line."""
    mask = Mask()
    mask.add("ab")
    assert mask("ab about (ab)") == "*** about (***)"


def test_the_longer_of_two_secrets_is_masked_as_a_whole() -> None:
    """Nothing of it is left where the shorter one is a part of it."""
    mask = Mask()
    for secret in ("harbour", "harbour-lane", "ab", "ab+"):
        mask.add(secret)
    assert mask("harbour-lane, harbour; ab+ ab") == "***, ***; *** ***"


def test_urls_lose_users_passwords_and_tokens() -> None:
    """What is left still tells which page it was."""
    mask = Mask()
    assert mask.url("https://me:pw@lot.example/a?id=5&access_token=abc#x") == (
        "https://lot.example/a?id=5&access_token=***#x"
    )
    assert mask("at https://me:pw@lot.example/a, and http://token@x/?a=b@c") == (
        "at https://***@lot.example/a, and http://***@x/?a=b@c"
    )
    assert mask.url("https://[::/?token=abc") == "https://[::/?token=***"


def test_an_address_on_record_is_not_endless() -> None:
    """That of a document that stands in its own address is as long as the document."""
    assert len(Mask().url("data:application/pdf;base64," + "JVBERi0x" * 100_000)) < 2_100


def test_a_page_made_to_take_long_to_mask_does_not() -> None:
    """Nor does a page like any other where a hundred tokens are known."""
    mask = Mask()
    for number in range(100):
        mask.add(f"{number}-token-{number * 7_919}")
    for piece in ("?", "&", "?a", ";x=", "://", "a b "):
        mask(piece * 500_000)


def test_what_a_recipe_says_of_a_failure_can_be_told() -> None:
    """Numbers in bounds, and no kind that there is not: the recipe is told that in its own line."""
    failure = SiteFailure(Kind.RATE_LIMITED, "slowly", retry_after=float("inf"), status=-1)
    assert (failure.retry_after, failure.status) == (86_400.0, 0)
    assert SiteFailure(Kind("forbidden"), "no", retry_after=float("nan")).retry_after == 0.0
    with pytest.raises(ValueError, match="'forbiden' is not a valid Kind"):
        SiteFailure("forbiden", "no")  # type: ignore[arg-type] # as in a recipe that nobody checks
