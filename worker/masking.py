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

_QUERY = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s\"'<>]*)")


class Mask:
    """Replaces registered secrets, in each form that they take on the way through URLs, HTML and JSON."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Mask `secret` from now on; the empty string is nobody's secret."""
        if not secret:
            return
        forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
        forms |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        if forms <= self._forms:
            return
        self._forms |= forms
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(_whole(form) for form in longest_first))

    def __call__(self, text: str) -> str:
        """Return `text` with every secret and every telling query parameter masked."""
        if self._pattern is not None:
            text = self._pattern.sub(MASKED, text)
        return _QUERY.sub(_mask_parameter, text)

    def url(self, url: str) -> str:
        """Return `url` fit for a record: no user, no password, no secret, no token."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return self(url)
        if "@" in parts.netloc:
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return self(urlunsplit(parts))


def _whole(form: str) -> str:
    escaped = re.escape(form)
    return rf"(?<!\w){escaped}(?!\w)" if len(form) < _SHORT else escaped


def _mask_parameter(match: re.Match[str]) -> str:
    mark, name, value = match.groups()
    return f"{mark}{name}={MASKED}" if value and _TELLING.match(name) else match.group()
