"""What came in place of a document or of a vehicle's page, so that the same can be recognised with other references.

A site in maintenance shows one page to everybody. What tells it is what it says, its title first, without whatever
differs each time it is shown, such as a moment or the number of a request. A page that names its reference is that
reference's own and tells nothing of others.
"""

import hashlib
import html
import re

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from worker.deadlines import Overdue, within

_DEADLINE = 2.0
_LONGEST = 2_000
"""Characters that are compared."""
_MOST_BYTES = 16_384
"""Of a file that are looked at: patterns that span it take the square of that in the worst case."""

_UNSEEN = re.compile(r"(?is)<!--.*?-->|<(script|style|head|title)\b.*?</\1\s*>|<[^>]*>")
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title")
_NUMBERS = re.compile(r"\w*\d\w*")
_SAYS = f"() => [document.title, (document.body ? document.body.innerText : '').slice(0, {_LONGEST})]"


def of_file(head: bytes) -> str:
    """Return what a web page says, by the first bytes of its file."""
    text = head[:_MOST_BYTES].decode("utf-8", "replace")
    return _joined(title_of(head), html.unescape(_UNSEEN.sub(" ", text)))


def title_of(head: bytes) -> str:
    """Return the title of a web page on one short line, by the first bytes of its file; empty without one."""
    found = _TITLE.search(head[:_MOST_BYTES].decode("utf-8", "replace"))
    return " ".join(html.unescape(found[1]).split())[:100] if found else ""


def title_on(says: str) -> str:
    """Return the title out of what a web page says, on one short line; empty without one."""
    return " ".join(says.partition("\n")[0].split())[:100]


async def of_page(page: Page) -> str:
    """Return what the page of the browser says; nothing when it cannot be asked."""
    try:
        title, text = await within(_DEADLINE, page.evaluate(_SAYS), "reading the page")
    except (Overdue, PlaywrightError):
        return ""  # what cannot be read cannot be compared: the failure is then the reference's own
    return _joined(str(title), str(text))


def mark(says: str, ref: str) -> str:
    """Return what is the same for everybody who got a page that says this instead; nothing for `ref`'s own page."""
    if not says or re.search(rf"(?i)(?<!\w){re.escape(ref)}(?!\w)", says):
        return ""
    return hashlib.sha256(_NUMBERS.sub("#", says).encode("utf-8", "replace")).hexdigest()[:16]


def _joined(title: str, text: str) -> str:
    """Return title and text in one line; nothing without any text, as of a page that has yet to show something."""
    words = " ".join(text.split())
    return f"{title.strip()}\n{words}"[:_LONGEST] if words else ""
