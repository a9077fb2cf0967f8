"""Which selector matched how much, and which one did not do: listens to Playwright's calls while a recipe runs.

A recipe in Python holds an ordinary page, so the only place at which its selectors can be seen is Playwright itself.
"""

import ast
import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import msgspec
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Locator, Page

from worker.checking.messages import Called, Told, Waits
from worker.deadlines import Overdue, within
from worker.site import SiteFailure
from worker.sites.declarative import questions
from worker.visit import Visit

_GLANCE = 1.0
_PATIENT = 2.0
"""Seconds after which it is told that a call still waits."""

_ACTIONS = (
    "click", "dblclick", "fill", "clear", "check", "uncheck", "set_checked", "select_option", "press",
    "press_sequentially", "hover", "tap", "type", "focus", "dispatch_event", "set_input_files", "wait_for",
    "wait_for_selector", "evaluate", "evaluate_all", "eval_on_selector", "eval_on_selector_all",
)  # fmt: skip
"""What one does to an element: told when it is done."""

_QUESTIONS = ("read", "all", "all_inner_texts", "all_text_contents", "query_selector_all")
"""What tells how many elements there are."""

_ASKED = {questions.COUNT: "count", questions.SHOWN: "count visible", questions.USABLE: "count usable"}
"""What a declarative recipe asks for numbers."""

_GLANCES = ("is_visible", "is_hidden", "is_enabled", "is_disabled", "is_checked", "query_selector")
"""What asks whether there is something; they neither wait nor fail when there is nothing."""

_READINGS = (
    "get_attribute", "inner_text", "inner_html", "text_content", "input_value", "element_handle",
    "scroll_into_view_if_needed", "select_text", "screenshot",
)  # fmt: skip
"""What reads of an element: told of only when it fails, because a list of links is read once for each."""

_within: ContextVar[bool] = ContextVar("within", default=False)
"""Whether a call that is followed makes this one."""

_WHOLE = ("evaluate", "evaluate_all", "eval_on_selector", "eval_on_selector_all", "inner_html", "screenshot")
"""What also sees all that is in the element."""

_SELECTOR = re.compile(r"""selector=('.*'|".*")>$""", re.DOTALL)


class Trouble(msgspec.Struct, frozen=True):
    """A call that failed, or found nothing."""

    call: str
    selector: str
    error: str
    """Playwright's sentence; empty when the call found nothing and was content with that."""
    line: int
    """Of the recipe's source, 0 when the call did not come from there."""


class Calls:
    """The calls of one stage. `tell` is told of those that matter, each once as long as its answer stays the same."""

    def __init__(self, tell: Callable[[Told], None], recipe_file: str) -> None:
        self._tell = tell
        self._recipe_file = recipe_file
        self._told: dict[tuple[str, str], int | None] = {}
        self.failed: Trouble | None = None
        """The last call that failed."""
        self.fruitless: dict[str, Trouble] = {}
        """Selectors that matched nothing when they were asked for last, the latest at the end."""
        self.touched: dict[str, bool] = {}
        """Selectors that matched something in this stage, and whether all that is within was seen as well."""
        self.listens = True
        self.quiet = False
        """Nothing is told, though all is noted."""

    def begin(self) -> None:
        """Forget the stage before."""
        self._told.clear()
        self.touched.clear()
        self.begin_step()

    def begin_step(self) -> None:
        """Forget what failed or was found nowhere in the step before: it went on all the same."""
        self.fruitless.clear()
        self.failed = None

    async def follow(self, call: str, selector: str, work: Callable[[], Any], first_of: Locator | None) -> Any:
        """Await a call and note what came of it.

        Args:
            call: name of the method.
            selector: what it is about.
            work: makes the call.
            first_of: what a page's own methods take the first of; None where there may be only one anyway.
        """
        if not self.listens or _within.get():
            return await work()
        began, line = time.monotonic(), self._line()
        waits = asyncio.get_running_loop().call_later(_PATIENT, self._tell, Waits(call, selector))
        matches = None if first_of is None or call not in _ACTIONS else await self._count(first_of)
        token = _within.set(True)
        try:
            answer = await work()
        except (PlaywrightError, SiteFailure) as error:
            self.failed = Trouble(call, selector, str(error), line)
            raise
        except asyncio.CancelledError:  # as a click ends that a download takes the place of
            self._note(Trouble(call, selector, "", line), matches, began)
            raise
        finally:
            _within.reset(token)
            waits.cancel()
        self._note(Trouble(call, selector, "", line), matches or _matches(call, answer), began)
        return answer

    def _note(self, what: Trouble, matches: int | None, began: float) -> None:
        call, selector = what.call, what.selector
        self.fruitless.pop(selector, None)
        if matches == 0:
            self.fruitless[selector] = what
        else:
            self.touched[selector] = self.touched.get(selector, False) or call in _WHOLE
        if call not in _READINGS and not self.quiet and self._told.get((call, selector), -1) != matches:
            self._told[call, selector] = matches
            self._tell(Called(call, selector, matches, round(time.monotonic() - began, 3)))

    async def _count(self, locator: Locator) -> int | None:
        self.listens = False
        try:
            return await within(_GLANCE, locator.count(), "counting") or None
        except (Overdue, PlaywrightError):
            return None  # the call itself will meet the same trouble, and say so
        finally:
            self.listens = True

    def _line(self) -> int:
        frame = sys._getframe()  # noqa: SLF001 - the only way to the line of a recipe that a call comes from
        while frame.f_back is not None:
            frame = frame.f_back
            if self._recipe_file and frame.f_code.co_filename == self._recipe_file:
                return frame.f_lineno
        return 0


def _matches(call: str, answer: Any) -> int | None:
    if call in _QUESTIONS or (call == "evaluate_all" and isinstance(answer, list)):
        return len(answer)
    if call in _ASKED.values():
        return None if answer is None else answer if isinstance(answer, int) else len(answer)
    if call == "is_visible":
        return None if answer else 0
    if call == "query_selector":
        return int(answer is not None)
    return None if call in _GLANCES else 1


@contextlib.contextmanager
def followed(calls: Calls) -> Iterator[None]:
    """Have `calls` follow every call with a selector, of any page or visit in this process, until the block ends."""
    names = (*_ACTIONS, "count", *_QUESTIONS, *_GLANCES, *_READINGS)
    with contextlib.ExitStack() as stack:
        for owner, selector_of in ((Locator, _of_locator), (Page, _of_first), (Visit, _of_first)):
            for name in names:
                # A page has screenshots and scripts of its own, which no selector is part of.
                if hasattr(owner, name) and not (owner is Page and name in {"screenshot", "evaluate"}):
                    stack.enter_context(_replaced(owner, name, calls, selector_of))
        stack.enter_context(_asked(calls))
        yield


@contextlib.contextmanager
def _replaced(owner: type, name: str, calls: Calls, selector_of: Callable[..., str]) -> Iterator[None]:
    original = getattr(owner, name)

    async def follow(self: Any, *args: Any, **kwargs: Any) -> Any:
        selector = selector_of(self, *args, **kwargs)
        first_of = self.locator(selector) if owner is Page else None
        return await calls.follow(name, selector, lambda: original(self, *args, **kwargs), first_of)

    setattr(owner, name, follow)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextlib.contextmanager
def _asked(calls: Calls) -> Iterator[None]:
    """Follow what a declarative recipe asks, in evaluations of its own."""
    original = questions.ask

    async def follow(page: Page, selector: str, question: str, argument: object = None) -> Any:
        call = _ASKED.get(question, "read")
        return await calls.follow(call, selector, lambda: original(page, selector, question, argument), None)

    questions.ask = follow
    try:
        yield
    finally:
        questions.ask = original


def _of_locator(locator: Locator, *_args: Any, **_kwargs: Any) -> str:
    found = _SELECTOR.search(repr(locator))  # a locator tells its selector in no other way
    return str(ast.literal_eval(found[1])) if found else repr(locator)


def _of_first(_owner: Page | Visit, *args: Any, **kwargs: Any) -> str:
    return str(args[0] if args else kwargs.get("selector", kwargs.get("css", "")))
