"""One document whose address is known: the driver's request in the browser's session, written to disk as it comes.

Playwright hands a body over as a whole, through two processes and base64. `to_disk.cjs`, loaded into its driver, writes
it into a file instead, so that its size costs no memory and what is too large or stalls is noticed on the way.
"""

import contextlib
import json
import os
import re
from pathlib import Path
from urllib.parse import urljoin

import msgspec
from playwright.async_api import APIResponse, BrowserContext
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker import hosts
from worker.deadlines import Overdue, within
from worker.protocol import Kind
from worker.site import SiteFailure

_HOOK = Path(__file__).with_name("to_disk.cjs")
_YOUNG = "--max-semi-space-size=1"
"""In MB: objects that live for one message are gone sooner, which keeps the driver near 100 MB instead of 160."""
_HEADER = "x-nightfleet-to-disk"
_GRACE = 5.0
"""Seconds beyond the driver's own deadline after which it is the driver that does not answer."""

_MOST_REDIRECTS = 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_SAID = re.compile(r"nightfleet: ([^\n]*)")
"""What `to_disk.cjs` says when it ends an answer."""


class Limits(msgspec.Struct, frozen=True):
    """How long and how large an answer may be."""

    seconds: float
    """For the whole of it."""
    patience: float
    """Seconds without a byte, the first one included."""
    bytes: int


def prepare_driver() -> None:
    """Have the driver that this process starts next load `to_disk.cjs` and keep its memory small.

    Both are added to what NODE_OPTIONS asks for already.
    """
    options = os.environ.get("NODE_OPTIONS", "")
    for wish in (f"--require {json.dumps(str(_HOOK))}", _YOUNG):
        if wish not in options:
            options = f"{options} {wish}".strip()
    os.environ["NODE_OPTIONS"] = options


class Fields(msgspec.Struct, frozen=True):
    """Header fields for one origin; no other gets them, whatever the way of a document leads through."""

    origin: str
    fields: dict[str, str]


_NO_FIELDS = Fields("", {})


async def fetch(
    context: BrowserContext,
    url: str,
    target: Path,
    limits: Limits,
    *,
    fields: Fields = _NO_FIELDS,
    follow: bool = True,
) -> APIResponse:
    """Ask for `url`; the body of an answer with status 200 is in the new file `target`. Nothing is judged here.

    Redirects are followed by the driver, unless `follow` says otherwise.

    Raises:
        SiteFailure: `DOCUMENT_STALLED` or `DOCUMENT_INVALID`: it stood still, broke off, or is larger than allowed.
        playwright.async_api.Error: there was no answer.
        OSError: the body could not be written.
    """
    order: dict[str, object] = {
        "path": str(target),
        "limit": limits.bytes,
        "patience": limits.patience,
        "origin": fields.origin,
    }
    if fields.fields:
        order["fields"] = {name.lower(): value for name, value in fields.fields.items()}
    try:
        response = await within(
            limits.seconds + _GRACE,
            context.request.get(
                url,
                headers={_HEADER: json.dumps(order)},
                timeout=limits.seconds * 1000,
                max_redirects=None if follow else 0,
            ),
            "fetching a document",
        )
    except (PlaywrightTimeout, Overdue) as error:
        message = f"the document did not come within {limits.seconds:.0f} s"
        raise SiteFailure(Kind.DOCUMENT_STALLED, message, url=url) from error
    except PlaywrightError as error:
        raise _failure(error, url) from error
    return response


async def fetch_from(
    context: BrowserContext,
    url: str,
    target: Path,
    limits: Limits,
    allowed: tuple[str, ...],
    *,
    fields: Fields = _NO_FIELDS,
) -> APIResponse:
    """Do as `fetch`, with each redirect looked at before it is followed: no host beside `allowed` is asked.

    Raises:
        SiteFailure: `RECIPE_ERROR`, a host that is not allowed; otherwise as `fetch`.
        playwright.async_api.Error: there was no answer.
        OSError: the body could not be written.
    """
    for _ in range(_MOST_REDIRECTS):
        hosts.check(url, allowed)
        response = await fetch(context, url, target, limits, fields=fields, follow=False)
        location = response.headers.get("location")
        if response.status not in _REDIRECTS or location is None:
            return response
        await dispose(response)
        try:
            url = urljoin(response.url, location)
        except ValueError as error:
            message = "the site redirects to what is no address"
            raise SiteFailure(Kind.HTTP_ERROR, message, url=response.url) from error
    raise SiteFailure(Kind.HTTP_ERROR, "the site keeps redirecting", url=url)


async def dispose(response: APIResponse) -> None:
    """Let the driver forget an answer."""
    with contextlib.suppress(Overdue, PlaywrightError):  # it goes with its context then
        await within(_GRACE, response.dispose(), "letting go of a document")


def _failure(error: PlaywrightError, url: str) -> Exception:
    said = _SAID.search(error.message)
    if said is None:
        if "aborted" not in error.message.partition("\n")[0]:
            return error
        return SiteFailure(Kind.DOCUMENT_INVALID, "the document broke off on its way", url=url)
    kind = Kind.DOCUMENT_STALLED if said[1].startswith("nothing came") else Kind.DOCUMENT_INVALID
    return SiteFailure(kind, f"the document was given up: {said[1]}", url=url)
