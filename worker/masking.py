"""Secrets never leave the worker in readable form: one mask for the log, messages and evidence."""

import html
import json
import re
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

MASKED = "***"

_SHORT = 4
"""Secrets below this length are masked only where they stand alone: inside words they would garble every line."""

_TELLING = re.compile(
    r"(?i)^(?:.*(?:token|passw|pwd|secret|signature|session|credential|csrf|api_?key|auth).*|sig|sid|key|code|jwt|ticket)$"
)
"""Names of query parameters whose values are kept to oneself."""

_QUERY = re.compile(r"([?&;])([^=?&;#\s]{1,100})=([^&;#\s\"'<>]*)")
"""No mark may stand in a name, which is not endless either: or a text of nothing but marks would take for ever."""


_USER = re.compile(r"(?<=://)[^/\s@?#\"'<>]{1,300}@")
_LONGEST_URL = 2_000
"""Characters of an address on record: a ``data:`` address is as long as what it holds."""


class Mask:
    """Replaces registered secrets, in each form that they take on the way through URLs, HTML and JSON.

    A session has a hundred tokens and a page millions of characters: texts are searched for one form after the other,
    which takes a tenth of the time of one pattern for all, and lets other threads work in between.
    """

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        """Those that are replaced wherever they are, longest first."""
        self._short: tuple[str, ...] = ()
        """Those that are replaced only where they stand alone."""
        self._alone: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Mask `secret` from now on; the empty string is nobody's secret."""
        if not secret:
            return
        forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
        forms |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        short = {form for form in forms if len(form) < _SHORT}
        self._forms = _longest_first(forms - short, self._forms)
        if short - set(self._short):
            self._short = _longest_first(short, self._short)
            self._alone = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, self._short))})(?!\w)")

    def __call__(self, text: str) -> str:
        """Return `text` with every secret, every user in an address and every telling query parameter masked."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASKED)
        if self._alone is not None:
            text = self._alone.sub(MASKED, text)
        text = _USER.sub(f"{MASKED}@", text)
        return _QUERY.sub(_mask_parameter, text)

    def url(self, url: str) -> str:
        """Return `url` fit for a record: not endless, no user, no password, no secret, no token."""
        try:
            parts = urlsplit(url)
            if "@" in parts.netloc:
                url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        except ValueError:
            pass  # it is none, and is masked like any other text
        shown = self(url)
        return shown if len(shown) <= _LONGEST_URL else shown[:_LONGEST_URL] + " …"


def _longest_first(fresh: set[str], known: tuple[str, ...]) -> tuple[str, ...]:
    return known if fresh <= set(known) else tuple(sorted({*known, *fresh}, key=len, reverse=True))


def _mask_parameter(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    return f"{mark}{name}={MASKED}" if value and _TELLING.match(name) else match.group()
