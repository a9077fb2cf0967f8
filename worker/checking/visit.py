"""A visit, a recipe and a worker that tell what they do, and otherwise are those of a run."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Response

from worker.checking.calls import Calls
from worker.checking.messages import Brought, Opened, Proof, Saved, StepBegan, Told
from worker.deadlines import Overdue, within
from worker.masking import Mask
from worker.protocol import Document
from worker.site import Site
from worker.visit import Visit

_GLANCE = 2.0

Tell = Callable[[Told], None]


class TellingVisit(Visit):
    """Tells each page that is opened and each file that is brought."""

    tell: Tell
    mask: Mask
    calls: Calls

    def step(self, name: str) -> None:
        """As in a run, and tell it."""
        super().step(name)
        self.calls.begin_step()
        self.tell(StepBegan(self.present_step[0]))

    async def goto(self, *args: Any, **kwargs: Any) -> Response | None:
        """As in a run, and tell it."""
        began = time.monotonic()
        response = await super().goto(*args, **kwargs)
        status = response.status if response else 0
        url, title = await where(self.page, self.mask)
        self.tell(Opened(url, status, title, _since(began), not self._logging_in))
        return response

    async def fetch(self, *args: Any, **kwargs: Any) -> Document:
        """As in a run, and tell it."""
        return await self._brought(super().fetch(*args, **kwargs))

    async def download(self, *args: Any, **kwargs: Any) -> Document:
        """As in a run, and tell it."""
        return await self._brought(super().download(*args, **kwargs))

    async def save(self, *args: Any, **kwargs: Any) -> Path:
        """As in a run, and tell it."""
        began = time.monotonic()
        path = await super().save(*args, **kwargs)
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        self.tell(Saved(path.name, size, _since(began)))
        return path

    async def keep(self, *args: Any, **kwargs: Any) -> Path:
        """As in a run, and tell it."""
        began = time.monotonic()
        path = await super().keep(*args, **kwargs)
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        self.tell(Saved(path.name, size, _since(began)))
        return path

    async def _brought(self, work: Awaitable[Document]) -> Document:
        began = time.monotonic()
        document = await work
        self.tell(
            Brought(
                document.name,
                document.url,
                document.bytes,
                document.pages,
                _since(began),
                document.format,
                document.protected,
            )
        )
        return document


class TellingSite:
    """The recipe, which tells what it says about being logged in; everything else is the recipe's own."""

    def __init__(self, site: Site, tell: Tell, mask: Mask, calls: Calls) -> None:
        self._site = site
        self._tell = tell
        self._mask = mask
        self._calls = calls
        self._present: bool | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site, name)

    async def is_logged_in(self, visit: Visit) -> bool:
        """As the recipe says; an answer that is another one than before is told."""
        before = dict(self._calls.fruitless)
        self._calls.quiet = self._present is True  # it is asked on every page, and answers as it did
        try:
            answer = await self._site.is_logged_in(visit)
        finally:
            self._calls.quiet = False
        if answer:  # what it looked for in vain is no trouble then
            self._calls.fruitless = before
        proof = Proof(bool(answer), *await where(visit.page, self._mask))
        if proof.logged_in is not self._present:
            self._tell(proof)
        self._present = proof.logged_in
        return answer


async def where(page: Page, mask: Mask) -> tuple[str, str]:
    """Return URL and title of a page, masked; the title is empty when the page does not tell it."""
    try:
        title = await within(_GLANCE, page.title(), "reading the title")
    except (Overdue, PlaywrightError):
        title = ""  # it is moving on, or hangs: that is told by what fails next
    return mask.url(page.url), mask(title)[:200]


def line_of(error: BaseException | None, recipe_file: str) -> int:
    """Return the recipe's line that `error` went through last, also within groups and causes; 0 without one."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop(0)
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == recipe_file]
        if recipe_file and lines and lines[-1] is not None:
            return lines[-1]
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        waiting += [error.__cause__, error.__context__]
    return 0


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
