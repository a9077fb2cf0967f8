"""Finding things on a page for a recipe, doing its steps, and saying exactly which key did not match, and where."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from playwright.async_api import Locator
from playwright.async_api import TimeoutError as PlaywrightTimeout

from worker.failures import refusal
from worker.protocol import Kind
from worker.site import SiteFailure
from worker.sites.declarative import questions
from worker.sites.declarative.patterns import filled, in_selector, in_url
from worker.sites.declarative.reading import Source
from worker.sites.declarative.rules import ACTIONS
from worker.sites.declarative.schema import Step
from worker.sites.declarative.selectors import for_playwright
from worker.sites.declarative.toml_lines import Path

if TYPE_CHECKING:
    from worker.visit import Visit

T = TypeVar("T")

_NUMBER = re.compile(r"\d{1,3}(?:[.,'\u00a0\u202f ]\d{3})+(?!\d)|\d+")
"""With or without marks between the thousands."""

_AT_REST = 0.6
"""Seconds without another element after which what had to be waited for is complete."""

_LOOK_EVERY = 0.1
"""Seconds between two looks at a page for one of several things to appear; no event tells of any of them."""


class Unmatched(SiteFailure):
    """A selector of the recipe that matches nothing on the page, or more than it may."""

    def __init__(self, kind: Kind, place: str, selector: str, sentence: str, *, matched: int, url: str) -> None:
        super().__init__(kind, f"{place}: {selector!r} {sentence}; the page is {url}", url=url)
        self.place = place
        """``lot.toml:12: vehicle.loaded``."""
        self.selector = selector
        self.matched = matched


class Hand:
    """What a recipe does on the page of one visit; `ref` fills the placeholders."""

    def __init__(self, source: Source, visit: "Visit", pace: Callable[[], Awaitable[None]], ref: str = "") -> None:
        self.source = source
        self.visit = visit
        self.ref = ref
        self.pace = pace
        self.patience = source.recipe.patience

    # -------------------------------------------------------------------------------------------------- addresses
    def url(self, pattern: str, **values: str) -> str:
        """Return an address of the recipe, in full and with its placeholders filled in."""
        return self.source.url(filled(pattern, {"ref": in_url(self.ref), **values}))

    async def open(self, url: str) -> None:
        """Open an address, in full, after the recipe's delay."""
        await self.pace()
        page = self.visit.page
        if "#" in url and url.partition("#")[0] == page.url.partition("#")[0]:
            # The browser would stay on the page that it has, with the vehicle before this one still on it.
            await page.goto("about:blank")
        await self.visit.goto(url)

    # ---------------------------------------------------------------------------------------------------- looking
    def selector(self, pattern: str) -> str:
        """Return a selector of the recipe with its placeholders filled in."""
        return for_playwright(filled(pattern, {"ref": in_selector(self.ref)}))

    def locator(self, pattern: str) -> Locator:
        """Return the locator of a selector of the recipe."""
        return self.visit.page.locator(self.selector(pattern))

    async def count(self, pattern: str | None) -> int:
        """Return how many elements match, hidden ones too."""
        return await self._number(pattern, questions.COUNT)

    async def shows(self, pattern: str | None) -> bool:
        """Say whether an element that matches can be seen."""
        return await self._number(pattern, questions.SHOWN) > 0

    async def usable(self, pattern: str) -> int:
        """Return how many elements that match can be clicked."""
        return await self._number(pattern, questions.USABLE)

    async def text(self, pattern: str) -> str:
        """Return the text of what matches, on one line; empty when nothing does."""
        return " ".join(" ".join(await self.ask(pattern, questions.TEXTS)).split())[:500]

    async def sentence(self, pattern: str) -> str:
        """Return what can be read of what matches, on one line."""
        return " ".join(" ".join(await self.ask(pattern, questions.SENTENCES)).split())[:500]

    async def number(self, pattern: str) -> int | None:
        """Return the first number in the text of what matches; None when there is none."""
        found = _NUMBER.search(await self.text(pattern))
        return None if found is None else int(re.sub(r"\D", "", found[0]))

    async def ask(self, pattern: str, question: str, argument: object = None) -> list[Any]:
        """Return the answer to a question about each element that matches."""
        return await questions.ask(self.visit.page, self.selector(pattern), question, argument) or []

    async def _number(self, pattern: str | None, question: str) -> int:
        if pattern is None:
            return 0
        return await questions.ask(self.visit.page, self.selector(pattern), question) or 0

    async def until(self, question: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Ask again and again for `seconds` until the answer is yes; say whether it was."""
        end = time.monotonic() + seconds
        while not await question():
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(_LOOK_EVERY)
        return True

    async def come_to_rest(self, *patterns: str | None) -> None:
        """Wait until no more elements appear: what comes late often comes one by one."""
        known, since = -1, time.monotonic()
        while time.monotonic() - since < _AT_REST:
            now = sum([await self.count(pattern) for pattern in patterns])
            if now != known:
                known, since = now, time.monotonic()
            await asyncio.sleep(_LOOK_EVERY)

    async def one(self, path: Path, pattern: str, within: float) -> Locator:
        """Return the one element that matches, waiting for it.

        Raises:
            SiteFailure: none or several match, or the session is gone.
        """

        async def there() -> bool:
            return await self.count(pattern) > 0

        await self.until(there, within)
        found = await self.count(pattern)
        if found == 1:
            return self.locator(pattern)
        if found and await self._number(pattern, questions.SHOWN) == 1:
            return self.locator(pattern).filter(visible=True)
        raise await self.unmatched(path, pattern, found, within)

    async def unmatched(
        self, path: Path, pattern: str, found: int, within: float, kind: Kind = Kind.RECIPE_ERROR
    ) -> SiteFailure:
        """Return the failure of a selector that should match one element, once the session is known to be there.

        Raises:
            SiteFailure: `SESSION_EXPIRED`, which explains it.
        """
        await self.visit.prove_session()
        sentence = f"matched {found} elements, one is expected" if found else f"matched nothing within {within:g} s"
        place = self.source.place(path)
        return Unmatched(kind, place, self.selector(pattern), sentence, matched=found, url=self.visit.page.url)

    def check_answer(self) -> None:
        """Refuse a page that came with an error status after a click, where `goto` could not.

        Raises:
            SiteFailure: what the status says.
        """
        answer = self.visit.answer
        if answer is None or answer.url.partition("#")[0] != self.visit.page.url.partition("#")[0]:
            return
        if (failure := refusal(answer.status, answer.headers, answer.url)) is not None:
            raise failure

    # ------------------------------------------------------------------------------------------------------ doing
    async def run(self, path: Path, steps: Sequence[Step]) -> None:
        """Do steps of the recipe one after the other.

        Raises:
            SiteFailure: one of them cannot be done.
        """
        for number, step in enumerate(steps):
            await self._run(path, number, step)

    async def _run(self, path: Path, number: int, step: Step) -> None:
        action = next(name for name in ACTIONS if getattr(step, name) is not None)
        said: str = getattr(step, action)
        here = (*path, number, action)
        self.visit.step(f"{action.replace('_', ' ')} {self.selector(said) if action != 'open' else said}")
        if step.open is not None:
            await self.open(self.url(step.open))
        elif step.press is not None and step.on is None:
            await self.visit.page.keyboard.press(step.press)
        elif step.wait_for is not None or step.wait_gone is not None:
            await self._wait(here, step)
        else:
            await self._act(here, step)

    async def _wait(self, path: Path, step: Step) -> None:
        pattern = step.wait_for or step.wait_gone or ""
        wanted = step.wait_for is not None
        within = self._within(step)

        async def come() -> bool:
            return await self.shows(pattern) is wanted

        if await self.until(come, within) or step.optional:
            return
        await self.visit.prove_session()
        sentence = f"did not show within {within:g} s" if wanted else f"still showed after {within:g} s"
        place, url = self.source.place(path), self.visit.page.url
        raise Unmatched(Kind.STEP_TIMEOUT, place, self.selector(pattern), sentence, matched=int(not wanted), url=url)

    async def _act(self, path: Path, step: Step) -> None:
        pattern = step.click or step.fill or step.select or step.tick or step.hover or step.on or ""
        within = self._within(step)
        if step.optional:

            async def there() -> bool:
                return await self.shows(pattern)

            if not await self.until(there, within):
                return
        target = await self.one((*path[:-1], "on") if step.on else path, pattern, within)
        await self.on(path, pattern, lambda: self._do(target, step))

    async def on(self, path: Path, pattern: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call on an element that is there; one that cannot be seen, used or reached is a failure with its key.

        Raises:
            SiteFailure: `STEP_TIMEOUT`.
        """
        try:
            return await call()
        except PlaywrightTimeout as error:
            sentence = f"is there, but was hidden, disabled or covered for {self.patience:g} s"
            raise Unmatched(
                Kind.STEP_TIMEOUT,
                self.source.place(path),
                self.selector(pattern),
                sentence,
                matched=1,
                url=self.visit.page.url,
            ) from error

    async def _do(self, target: Locator, step: Step) -> None:
        limit = self.patience * 1000
        if step.click is not None:
            await target.click(timeout=limit)
        elif step.fill is not None:
            await target.fill(self._typed(step), timeout=limit)
        elif step.select is not None:
            await target.select_option(self._typed(step), timeout=limit)
        elif step.tick is not None:
            await target.check(timeout=limit)
        elif step.hover is not None:
            await target.hover(timeout=limit)
        elif step.press is not None:
            await target.press(step.press, timeout=limit)

    def _typed(self, step: Step) -> str:
        if step.secret is not None:
            return self.visit.secret(step.secret)
        return filled(step.value or "", {"ref": self.ref})

    def _within(self, step: Step) -> float:
        if step.within is not None:
            return step.within
        return 0.0 if step.optional else self.patience
