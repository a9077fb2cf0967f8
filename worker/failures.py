"""Where foreign exceptions and HTTP statuses become failure kinds: this module and no other; and what kinds mean here.

Sources: Chromium's `net/base/net_error_list.h` for the names after ``net::``; for what `context.request` reports Node's
`errno` names, OpenSSL's `X509_verify_cert_error_string` (certificates come without a code) and Playwright's own words;
RFC 9110 for statuses and Retry-After.
"""

import errno
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker.deadlines import Overdue
from worker.protocol import Kind
from worker.python_files import where
from worker.site import LONGEST_WAIT, SiteFailure

_LONGEST_MESSAGE = 1_000

_NET_ERROR = re.compile(r"net::(ERR_[A-Z0-9_]+)")

_NET_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (
        re.compile(r"ERR_(NAME_|DNS_|INTERNET_DISCONNECTED|ADDRESS_UNREACHABLE|NETWORK_IO_SUSPENDED|PROXY_)"),
        Kind.OFFLINE,
    ),
    (re.compile(r"ERR_(CERT_|BAD_SSL_CLIENT_AUTH_CERT|SSL_PINNED_KEY|SSL_CLIENT_AUTH)"), Kind.CERTIFICATE),
    (
        re.compile(r"ERR_(INVALID_URL|UNKNOWN_URL_SCHEME|DISALLOWED_URL_SCHEME|UNSAFE_PORT|FILE_NOT_FOUND)"),
        Kind.RECIPE_ERROR,
    ),
    (re.compile(r"ERR_TOO_MANY_REDIRECTS"), Kind.HTTP_ERROR),
    (re.compile(r"ERR_(OUT_OF_MEMORY|INSUFFICIENT_RESOURCES)"), Kind.BROWSER_LOST),
    (re.compile(r"ERR_FILE_NO_SPACE"), Kind.DISK_FULL),
)

_NODE_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ENETDOWN)\b"), Kind.OFFLINE),
    (
        re.compile(
            r"\b(self-signed certificate|unable to (?:verify|get)|does not match certificate's altnames"
            r"|certificate (?:has expired|is not yet valid|revoked|rejected|not trusted|signature failure)"
            r"|certificate chain too long|invalid CA certificate|uns\w+ certificate purpose)"
        ),
        Kind.CERTIFICATE,
    ),
    (re.compile(r"\b(ECONN\w+|ETIMEDOUT|EPIPE|EPROTO|socket hang up|aborted|Parse Error: .*)"), Kind.NETWORK),
    (re.compile(r"\b(Max redirect count exceeded|invalid redirect URL)\b"), Kind.HTTP_ERROR),
    (re.compile(r"\b(Protocol \"[^\"]*\" not supported|Invalid URL)\b"), Kind.RECIPE_ERROR),
    (re.compile(r"\bENOSPC\b"), Kind.DISK_FULL),
)

CLEAN = frozenset({
    Kind.NOT_FOUND,
    Kind.FORBIDDEN,
    Kind.SERVER_ERROR,
    Kind.HTTP_ERROR,
    Kind.RATE_LIMITED,
    Kind.NETWORK,
    Kind.OFFLINE,
    Kind.CERTIFICATE,
    Kind.SESSION_EXPIRED,
    Kind.LOGIN_REFUSED,
    Kind.EXPORT_INVALID,
    Kind.DOCUMENT_INVALID,
    Kind.DOWNLOAD_REFUSED,
    Kind.DOCUMENTS_MISSING,
    Kind.TOO_MANY_DOCUMENTS,
    Kind.DISK_FULL,
})  # fmt: skip
"""The site's own answers, after which the page is as good as before: no way back to the inventory is needed."""

MAY_BE_THE_SESSION = frozenset({
    Kind.FORBIDDEN,
    Kind.NOT_FOUND,
    Kind.DOCUMENT_INVALID,
    Kind.DOCUMENTS_MISSING,
    Kind.TOO_MANY_DOCUMENTS,
    Kind.DOWNLOAD_REFUSED,
    Kind.STEP_TIMEOUT,
    Kind.RECIPE_ERROR,
})  # fmt: skip
"""Failures that a session which is gone can look like."""

NOT_OF_A_LOGIN = frozenset({
    Kind.NOT_FOUND,
    Kind.FORBIDDEN,
    Kind.HTTP_ERROR,
    Kind.SESSION_EXPIRED,
    Kind.DOCUMENT_INVALID,
    Kind.DOCUMENT_STALLED,
    Kind.DOWNLOAD_REFUSED,
    Kind.EXPORT_INVALID,
})  # fmt: skip
"""Kinds that speak of a reference or a session, neither of which a login has: it simply did not succeed."""

_CLOSED = ("has been closed", "Connection closed", "Browser closed", "Target closed")

_SENTENCES = {
    Kind.OFFLINE: "the site cannot be found or reached from here",
    Kind.CERTIFICATE: "the site's certificate is not accepted",
    Kind.NETWORK: "the connection to the site failed",
    Kind.HTTP_ERROR: "the redirections of the site lead nowhere",
    Kind.BROWSER_LOST: "the browser ran out of memory",
    Kind.DISK_FULL: "the disk is full",
    Kind.RECIPE_ERROR: "the recipe asked for an address that cannot be opened",
}


def classify(error: BaseException, *, browser_alive: bool = True, recipe_file: str = "") -> SiteFailure:
    """Return the failure that `error`, raised anywhere in an attempt or errand, amounts to. Not yet masked.

    `recipe_file` is the recipe's source, so that its own mistakes can be named with their line.
    """
    match error:
        case SiteFailure():
            return error
        case BaseExceptionGroup():  # of a task group: the first one is the cause, the others followed
            return classify(error.exceptions[0], browser_alive=browser_alive, recipe_file=recipe_file)
        case Overdue() | PlaywrightTimeout():
            return SiteFailure(Kind.STEP_TIMEOUT, _first_line(error))
        case PlaywrightError():
            return _from_playwright(error, browser_alive=browser_alive, recipe_file=recipe_file)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return SiteFailure(Kind.DISK_FULL, "the disk is full")
        case _:
            return SiteFailure(Kind.RECIPE_ERROR, f"the recipe raised {describe(error, recipe_file)}")


def _from_playwright(error: PlaywrightError, *, browser_alive: bool, recipe_file: str) -> SiteFailure:
    text = error.message
    if "Target crashed" in text or "Page crashed" in text:
        return SiteFailure(Kind.PAGE_CRASHED, "the page's process crashed")
    if any(mark in text for mark in _CLOSED):
        if browser_alive:
            return SiteFailure(Kind.PAGE_CRASHED, "the page was closed during the work")
        return SiteFailure(Kind.BROWSER_LOST, "the browser went away during the work")
    if "Download is starting" in text:
        return SiteFailure(Kind.RECIPE_ERROR, "the address is a download: goto cannot open it, fetch or download can")
    kind, name = _network_trouble(text)
    if kind is None:
        return SiteFailure(Kind.RECIPE_ERROR, f"the recipe raised {describe(error, recipe_file)}")
    return SiteFailure(kind, f"{_SENTENCES[kind]} ({name})")


def _network_trouble(text: str) -> tuple[Kind | None, str]:
    """Return the kind and the error's name in the words of Chromium or Node; None when neither speaks of trouble."""
    if net := _NET_ERROR.search(text):
        return next((kind for pattern, kind in _NET_KINDS if pattern.match(net[1])), Kind.NETWORK), net[1]
    first = text.strip().partition("\n")[0]  # what follows is Playwright's call log, with headers of any wording
    for pattern, kind in _NODE_KINDS:
        if node := pattern.search(first):
            return kind, node[0]
    return None, ""


def describe(error: BaseException, recipe_file: str = "") -> str:
    """Return type, first line of the message and, where it went through the recipe, the recipe's line."""
    return where(error, recipe_file, _first_line(error))


def _first_line(error: BaseException) -> str:
    text = error.message if isinstance(error, PlaywrightError) else str(error)
    line = text.strip().partition("\n")[0].strip()
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + " …"


def refusal(status: int, headers: Mapping[str, str], url: str) -> SiteFailure | None:
    """Return what an HTTP status says against the answer, or None when it is a good one. `headers` in lower case."""
    if status < HTTPStatus.BAD_REQUEST:
        return None
    wait = retry_after(headers.get("retry-after", ""))
    kind = _kind_of(status, waits=wait is not None)
    return SiteFailure(kind, f"the site answered {status}{_phrase(status)}", url=url, status=status, retry_after=wait)


_STATUS_KINDS: dict[int, Kind] = {
    HTTPStatus.UNAUTHORIZED: Kind.SESSION_EXPIRED,
    HTTPStatus.FORBIDDEN: Kind.FORBIDDEN,
    HTTPStatus.NOT_FOUND: Kind.NOT_FOUND,
    HTTPStatus.GONE: Kind.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: Kind.SERVER_ERROR,
    HTTPStatus.TOO_MANY_REQUESTS: Kind.RATE_LIMITED,
}


def _kind_of(status: int, *, waits: bool) -> Kind:
    if status == HTTPStatus.SERVICE_UNAVAILABLE and waits:
        return Kind.RATE_LIMITED
    otherwise = Kind.SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Kind.HTTP_ERROR
    return _STATUS_KINDS.get(status, otherwise)


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def retry_after(value: str, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); None when it names none."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - (now or datetime.now(UTC))).total_seconds()), LONGEST_WAIT)
