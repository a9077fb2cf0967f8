"""The way to a site as TOML has it, and the header fields that its scripts add."""

from collections.abc import Mapping

import msgspec
from playwright.async_api import Page

from worker.access import Access
from worker.protocol import Kind
from worker.site import RecipeError, SiteFailure
from worker.sites.declarative.patterns import filled, placeholders
from worker.sites.declarative.reading import Source

_ENTRIES = """names => names.map(name => sessionStorage.getItem(name) ?? localStorage.getItem(name))"""


def way_of(source: Source) -> Access:
    """Return the recipe's way to its site, with the paths of its files made absolute.

    Raises:
        RecipeError: it cannot be gone.
    """
    way = source.recipe.access
    if way is None:
        return Access()
    given = {name: value for name, value in msgspec.to_builtins(way).items() if value is not None}
    for name in ("basic_auth", "proxy", "client_certificate"):
        if name in given:
            given[name] = {key: value for key, value in given[name].items() if value is not None}
    access = msgspec.convert(given, Access).beside(source.file.parent)
    key, wrong = access.complaint()
    if wrong:
        path = ("access", *key.split("."))
        raise RecipeError(f"the recipe {source.file}, line {source.line(path)}: {'.'.join(path)}: {wrong}")
    return access


async def headers(page: Page, patterns: Mapping[str, str], place: str) -> dict[str, str]:
    """Return header fields with what the page's storage holds in the places of the names in braces.

    Raises:
        SiteFailure: `SESSION_EXPIRED`, the storage has no such entry: the site took it away with the session.
    """
    names = sorted({name for pattern in patterns.values() for name in placeholders(pattern)})
    found: list[str | None] = await page.evaluate(_ENTRIES, names) if names else []
    values = {name: value for name, value in zip(names, found, strict=True) if value is not None}
    missing = [name for name in names if name not in values]
    if missing:
        message = f"{place}: the page's storage has no entry {missing[0]!r}"
        raise SiteFailure(Kind.SESSION_EXPIRED, message, url=page.url)
    return {name: filled(pattern, values) for name, pattern in patterns.items()}
