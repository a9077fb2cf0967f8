"""References out of pages that list them: one page after the other, or one page that grows.

Two pages with the same references, an address that was read already and a page that brings nothing new end the listing
with one failure: a listing that silently stopped half-way would cost a night's documents.
"""

import csv
import io
import re
from collections.abc import AsyncIterator
from functools import partial

from worker.protocol import Kind
from worker.site import Inventory, SiteFailure
from worker.sites.declarative import questions
from worker.sites.declarative.pages import Hand, Unmatched
from worker.sites.declarative.schema import Listing

_PATH = ("references", "listing")
COLUMN = "reference"
"""The one column of the inventory that is written here."""

_BEYOND = 3.0
"""Seconds that a page after the first one gets to list something before it counts as the one beyond the last."""

_ENDED = 1.0
"""Seconds for which nothing more may be offered before a growing page counts as complete."""


async def collect(hand: Hand, wanted: Listing) -> Inventory:
    """Read every page and write the inventory.

    Raises:
        SiteFailure: a page lists nothing, repeats another, or the numbers do not add up.
    """
    listing = _Listing(hand, wanted)
    references = await listing.collect()
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([COLUMN])
    writer.writerows([reference] for reference in references)
    file = await hand.visit.keep("inventory.csv", text.getvalue().encode())
    return Inventory(file, COLUMN)


class _Listing:
    def __init__(self, hand: Hand, wanted: Listing) -> None:
        self._hand = hand
        self._wanted = wanted
        self._found: dict[str, None] = {}
        self._read = 0
        """Elements that were read, repeated references too."""
        self._total: int | None = None
        self._last: list[str] = []

    async def collect(self) -> list[str]:
        wanted = self._wanted
        if wanted.pages is None:
            await self._hand.open(self._hand.url(wanted.page or self._hand.source.recipe.start_url))
            await self._hand.run((*_PATH, "steps"), wanted.steps)
        number = 0
        async for last in self._pages():
            number += 1
            if number > wanted.most_pages:
                raise self._loop(f"there are more than {wanted.most_pages} pages")
            if number == 1:
                self._total = await self._read_total()
            if last == self._last:
                raise self._loop(f"page {number} shows the same {len(last)} references as the page before it")
            fresh = dict.fromkeys(reference for reference in last if reference not in self._found)
            if last and not fresh:
                raise self._loop(f"page {number} brings no new reference")
            self._found |= fresh
            self._read += len(last)
            self._last = last
        self._check_total()
        return list(self._found)

    def _pages(self) -> AsyncIterator[list[str]]:
        if self._wanted.pages is not None:
            return self._numbered(self._wanted.pages)
        if self._wanted.more is not None:
            return self._growing(self._wanted.more)
        return self._linked(self._wanted.next)

    # ------------------------------------------------------------------------------------------------ ways onward
    async def _linked(self, following: str | None) -> AsyncIterator[list[str]]:
        visit = self._hand.visit
        visited = {_bare(visit.page.url)}
        number = 1
        while True:
            visit.step(f"read page {number} of the listing")
            here = await self._references(first=number == 1)
            yield here
            if following is None or not await self._hand.usable(following):
                return
            addresses: set[str] = set(await self._hand.ask(following, questions.ADDRESSES))
            url = addresses.pop() if len(addresses) == 1 else ""  # a pager above the list and one below are one pager
            number += 1
            if url.startswith(("http:", "https:")) and _bare(url) != _bare(visit.page.url):
                if _bare(url) in visited:
                    raise self._loop(f"page {number - 1} leads to {url}, which was read already")
                visited.add(_bare(url))
                await self._hand.open(url)
                continue
            target = await self._hand.one((*_PATH, "next"), following, 0)
            await self._hand.pace()
            await self._hand.on((*_PATH, "next"), following, partial(target.click, timeout=self._hand.patience * 1000))
            await self._changed(here)

    async def _changed(self, before: list[str]) -> None:
        async def other() -> bool:
            now = await self._texts()
            return bool(now) and now != before

        if not await self._hand.until(other, self._hand.patience):
            await self._hand.visit.prove_session()
            raise self._loop(f"a click on {self._wanted.next!r} brought no other references")
        await self._hand.come_to_rest(self._wanted.reference)

    async def _growing(self, more: str) -> AsyncIterator[list[str]]:
        visit, hand = self._hand.visit, self._hand
        visit.step("read the listing")
        here = await self._references(first=True)
        yield here
        while await self._stays_offered(more):
            visit.step(f"load more than {len(here)}")
            elements = await hand.count(self._wanted.reference)
            target = await hand.one((*_PATH, "more"), more, 0)
            await hand.pace()
            await hand.on((*_PATH, "more"), more, partial(target.click, timeout=hand.patience * 1000))

            async def grown(before: int = elements) -> bool:
                return await hand.count(self._wanted.reference) > before

            if not await hand.until(grown, hand.patience):
                if not await self._offers(more, "more"):
                    return
                raise self._loop(f"a click on {more!r} loaded nothing more")
            await hand.come_to_rest(self._wanted.reference)
            now = await self._texts()
            yield now[len(here) :]
            here = now

    async def _stays_offered(self, more: str) -> bool:
        """Say whether there is more; a button that is busy loading is often hidden for a moment."""

        async def offered() -> bool:
            return await self._offers(more, "more")

        return await self._hand.until(offered, _ENDED)

    async def _numbered(self, pattern: str) -> AsyncIterator[list[str]]:
        number = self._wanted.first_page
        while True:
            first = number == self._wanted.first_page
            self._hand.visit.step(f"read page {number} of the listing")
            try:
                await self._hand.open(self._hand.url(pattern, page=str(number)))
            except SiteFailure as failure:
                if failure.kind is Kind.NOT_FOUND and not first:
                    return
                raise
            here = await self._references(first=first, may_end=True)
            if not here or (self._wanted.last_page_repeats and here == self._last):
                return
            yield here
            number += 1

    # ---------------------------------------------------------------------------------------------------- reading
    async def _references(self, *, first: bool, may_end: bool = False) -> list[str]:
        """Return the references of the present page, once there are some."""
        wanted, hand = self._wanted, self._hand

        async def there() -> bool:
            return await hand.count(wanted.reference) > 0 or await hand.shows(wanted.empty)

        if not await there():
            await hand.until(there, hand.patience if first or not may_end else min(hand.patience, _BEYOND))
            await hand.come_to_rest(wanted.reference)
        found = await self._texts()
        if found or (may_end and not first) or await hand.shows(wanted.empty):
            return found
        kind = Kind.RECIPE_ERROR if first else Kind.STEP_TIMEOUT
        raise await hand.unmatched((*_PATH, "reference"), wanted.reference, 0, hand.patience, kind)

    async def _texts(self) -> list[str]:
        wanted = self._wanted
        texts: list[str] = await self._hand.ask(wanted.reference, questions.TEXTS, wanted.attribute)
        return [reference for text in texts if (reference := self._reference(" ".join(text.split())))]

    def _reference(self, text: str) -> str:
        if self._wanted.pattern is None or not text:
            return text
        found = re.search(self._wanted.pattern, text)
        if found is None:
            place = self._hand.source.place((*_PATH, "pattern"))
            message = f"{place}: {self._wanted.pattern!r} matches nothing in the text {text[:100]!r}"
            raise SiteFailure(Kind.RECIPE_ERROR, message, url=self._hand.visit.page.url)
        return (found[1] if found.re.groups else found[0]).strip()

    async def _offers(self, pattern: str, key: str) -> bool:
        found = await self._hand.count(pattern)
        if found > 1:
            raise await self._hand.unmatched((*_PATH, key), pattern, found, 0)
        return found == 1 and await self._hand.usable(pattern) == 1

    async def _read_total(self) -> int | None:
        if self._wanted.total is None:
            return None
        number = await self._hand.number(self._wanted.total)
        if number is None:
            text = await self._hand.text(self._wanted.total)
            place, selector = self._hand.source.place((*_PATH, "total")), self._wanted.total
            sentence = f"shows no number but {text!r}" if text else "matched nothing"
            raise Unmatched(Kind.RECIPE_ERROR, place, selector, sentence, matched=0, url=self._hand.visit.page.url)
        return number

    def _check_total(self) -> None:
        if self._total is not None and self._total not in {len(self._found), self._read}:
            place = self._hand.source.place((*_PATH, "total"))
            message = f"{place}: the site counts {self._total} vehicles, {len(self._found)} references were found"
            raise SiteFailure(Kind.EXPORT_INVALID, message, url=self._hand.visit.page.url)

    def _loop(self, what: str) -> SiteFailure:
        key = next((key for key in ("pages", "more", "next") if getattr(self._wanted, key) is not None), "reference")
        place = self._hand.source.place((*_PATH, key))
        advice = "; when the site shows its last page again beyond the end, last_page_repeats = true says so"
        message = f"{place}: the listing does not come to an end: {what}{advice if key == 'pages' else ''}"
        return SiteFailure(Kind.RECIPE_ERROR, message, url=self._hand.visit.page.url)


def _bare(url: str) -> str:
    return url.partition("#")[0]
