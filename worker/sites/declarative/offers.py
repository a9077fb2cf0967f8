"""The documents of a vehicle: links that are fetched, buttons that are clicked."""

import asyncio
from collections.abc import Callable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import msgspec

from worker.protocol import Kind
from worker.site import SiteFailure
from worker.sites.declarative import questions
from worker.sites.declarative.pages import Hand
from worker.sites.declarative.patterns import filled
from worker.sites.declarative.schema import Documents

_NONE_IS_FINE = 2.0
"""Seconds that a vehicle without documents gets to show one after all, unless the recipe says `within`."""

_AT_ONCE = 6
"""Documents that are fetched side by side, as many as a browser asks one host for; one by one under a delay."""


class Link(msgspec.Struct, frozen=True):
    """What a link on the page is."""

    url: str
    text: str
    tag: str


async def fetch_all(hand: Hand, wanted: Documents) -> None:
    """Bring every document of the present page.

    Raises:
        SiteFailure: there are too few or too many, or one of them cannot be had.
    """
    hand.visit.step("find the documents")
    await _appear(hand, wanted)
    links = await _links(hand, wanted)
    buttons = await hand.count(wanted.buttons)
    _check_number(hand, wanted, len(links) + buttons)
    if links:
        hand.visit.step("fetch the documents")
        await _fetch(hand, wanted, links)
    for number in range(buttons):
        await _click(hand, wanted, number, len(links) + number + 1, buttons)


async def _appear(hand: Hand, wanted: Documents) -> None:
    """Wait until as many documents are on the page as the recipe or the page itself says, and no more come."""
    least = max(wanted.fewest, 1)  # where none is fine, one may be about to come all the same
    usual = hand.patience if wanted.fewest else min(hand.patience, _NONE_IS_FINE)
    within = usual if wanted.within is None else wanted.within

    async def there() -> bool:
        if wanted.ready is not None:
            return await hand.count(wanted.ready) > 0
        found = await _found(hand, wanted)
        if wanted.count is None:
            return found >= least
        number = await hand.number(wanted.count)
        return number is not None and found >= number

    if await there():
        return
    if await hand.until(there, within):
        await hand.come_to_rest(wanted.links, wanted.buttons)
        return
    await hand.visit.prove_session()
    for key, pattern in (("ready", wanted.ready), ("count", wanted.count)):
        if pattern is not None and not await hand.count(pattern):
            raise await hand.unmatched(("documents", key), pattern, 0, within, Kind.STEP_TIMEOUT)
    if wanted.count is not None:
        found, said = await _found(hand, wanted), await hand.text(wanted.count)
        place = hand.source.place(("documents", "count"))
        message = f"{place}: the page counts {said!r} documents and offers {found}"
        raise SiteFailure(Kind.DOCUMENTS_MISSING, message, url=hand.visit.page.url)


async def _found(hand: Hand, wanted: Documents) -> int:
    return await hand.count(wanted.links) + await hand.count(wanted.buttons)


async def _links(hand: Hand, wanted: Documents) -> list[Link]:
    """Return the links, each address once."""
    if wanted.links is None:
        return []
    read = await hand.ask(wanted.links, questions.LINKS, wanted.link_attribute)
    links: dict[str, Link] = {}
    for link in msgspec.convert(read, list[Link]):
        if not link.url or urlsplit(link.url).scheme not in {"", "http", "https"} or _is_fragment(hand, link.url):
            place = hand.source.place(("documents", "links"))
            what = f"whose address is {link.url[:80]!r}" if link.url else "without an address"
            message = (
                f"{place}: {hand.selector(wanted.links)!r} matched a <{link.tag}> {what} ({link.text[:60]!r}); what "
                "has to be clicked belongs to documents.buttons"
            )
            raise SiteFailure(Kind.RECIPE_ERROR, message, url=hand.visit.page.url)
        links.setdefault(link.url, link)
    return list(links.values())


def _is_fragment(hand: Hand, url: str) -> bool:
    """Say whether an address only leads to another place on the same page, as links do that wait for a click."""
    address, hash_sign, _ = url.partition("#")
    return bool(hash_sign) and address in {"", hand.visit.page.url.partition("#")[0]}


def _check_number(hand: Hand, wanted: Documents, found: int) -> None:
    url = hand.visit.page.url
    if found < wanted.fewest:
        patterns = " and ".join(repr(hand.selector(one)) for one in (wanted.links, wanted.buttons) if one)
        place = hand.source.place(("documents", "fewest"))
        message = f"{place}: {patterns} matched {found} documents, at least {wanted.fewest} are expected"
        raise SiteFailure(Kind.DOCUMENTS_MISSING, message, url=url)
    if wanted.most is not None and found > wanted.most:
        place = hand.source.place(("documents", "most"))
        message = f"{place}: the page offers {found} documents, at most {wanted.most} are expected"
        raise SiteFailure(Kind.TOO_MANY_DOCUMENTS, message, url=url)


async def _fetch(hand: Hand, wanted: Documents, links: list[Link]) -> None:
    gate = asyncio.Semaphore(1 if hand.source.recipe.delay else _AT_ONCE)

    async def fetch(number: int, link: Link) -> None:
        async with gate:
            await hand.pace()
            await hand.visit.fetch(link.url, _namer(hand, wanted, number, link.text))

    try:
        async with asyncio.TaskGroup() as group:
            for number, link in enumerate(links, 1):
                group.create_task(fetch(number, link))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _click(hand: Hand, wanted: Documents, index: int, number: int, expected: int) -> None:
    pattern = wanted.buttons or ""
    present = await hand.count(pattern)
    if present != expected:
        place = hand.source.place(("documents", "buttons"))
        message = (
            f"{place}: {hand.selector(pattern)!r} matched {expected} elements before a download and {present} after it"
        )
        raise SiteFailure(Kind.RECIPE_ERROR, message, url=hand.visit.page.url)
    button = hand.locator(pattern).nth(index)
    text = " ".join((await button.text_content() or "").split())
    hand.visit.step(f"download {number}: {text[:60]}" if text else f"download {number}")
    await hand.pace()
    namer = _namer(hand, wanted, number, text)
    click = lambda: button.click(timeout=hand.patience * 1000)  # noqa: E731 - a trigger, used twice below
    await hand.on(("documents", "buttons"), pattern, lambda: hand.visit.download(click, namer))


def _namer(hand: Hand, wanted: Documents, number: int, text: str) -> Callable[[str], str] | None:
    """Return what makes the name of a document out of the one that the site proposes; None to keep that."""
    pattern = wanted.name
    if pattern is None:
        return None

    def name(proposed: str) -> str:
        path = PurePosixPath(proposed)
        values = {
            "ref": hand.ref,
            "number": str(number),
            "text": " ".join(text.split())[:100] or path.stem,
            "filename": path.name,
            "stem": path.stem,
            "extension": path.suffix.removeprefix("."),
        }
        return filled(pattern, values)

    return name
