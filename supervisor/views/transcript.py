"""What a check tells, as lines for a terminal: a mark, the time, the step, what was found."""

import os
import re
from collections.abc import Iterator
from typing import Literal, assert_never

import click

from supervisor.views.text import clean, plural, size
from worker.checking import messages as told

Mark = Literal["ok", "FAILED", ""]
_PLAYWRIGHT = re.compile(r"(?:Page|Locator|Frame|ElementHandle)\.\w+: Timeout ")
"""How Playwright's sentences begin, which speak of a method and a time, and of neither the page nor the selector."""

_COLOURS = {"ok": "green", "FAILED": "red"}
_ADVICE = {
    "log in": "the site may have refused the login, and the recipe names nothing that would show it",
    "inventory": "the login page is there: the session did not last until here",
    "vehicle": "the login page is there: the session did not last until here",
    "recover": "the login page is there: the session did not last until here",
    "browser": "",
}


def line(mark: Mark, seconds: float | None, step: str, text: str) -> str:
    """Return one line; `seconds` is None where nothing was timed."""
    shown = f"{mark:6}"
    if mark and not os.environ.get("NO_COLOR"):
        shown = click.style(shown, fg=_COLOURS[mark])
    time = "" if seconds is None else f"{seconds:.1f} s"
    return f"{shown}  {time:>7}  {step:9}  {text}".rstrip()


def lines(message: told.Line) -> Iterator[str]:
    """Yield the lines for one message."""
    match message:
        case told.Began(stage=stage):
            if stage != "browser":
                yield line("", None, stage, "…")
        case told.StepBegan(name=name):
            yield _detail(None, f"step: {clean(name)}")
        case told.Waits(call=call, selector=selector):
            yield _detail(None, f"{call} waits for {_code(selector)}")
        case told.Called(call=call, selector=selector, matches=matches, seconds=seconds):
            yield _detail(seconds, f"{call} {_code(selector)}{_matches(matches)}")
        case told.Opened(url=url, status=status, title=title, seconds=seconds, logged_in=logged_in):
            more = (f", status {status}" if status else "") + (", logged in" if logged_in else "")
            yield _detail(seconds, f"opened {_page(url, title)}{more}")
        case told.Proof(logged_in=logged_in, url=url, title=title):
            yield _detail(
                None, f"{'logged in' if logged_in else 'not logged in'}, says the recipe, at {_page(url, title)}"
            )
        case told.Brought(name=name, seconds=seconds) as document:
            yield _detail(seconds, f"document {clean(name)}: {size(document.bytes)}, {_sort(document)}")
        case told.Saved(name=name, bytes=count, seconds=seconds):
            yield _detail(seconds, f"file {clean(name)}: {size(count)}")
        case told.Passed(stage=stage, seconds=seconds, documents=documents):
            yield line("ok", seconds, stage, _passed(stage, documents))
        case told.Overlooked(things=things):
            yield _detail(None, "the page also has what looks like documents, and the recipe does not use:")
            yield from _things("", things)
        case told.Failure():
            yield from _failure(message)
        case told.Browser() | told.Exported() | told.Finished():
            return
        case _:
            assert_never(message)


def _detail(seconds: float | None, text: str) -> str:
    return line("", seconds, "", text)


def _passed(stage: str, documents: int) -> str:
    texts = {
        "log in": "logged in",
        "inventory": "exported",
        "vehicle": plural(documents, "document") if documents else "no document, which the recipe allows",
        "recover": "back at the inventory",
        "browser": "started",
    }
    return texts[stage]


def _failure(failure: told.Failure) -> Iterator[str]:
    yield line("FAILED", failure.seconds, failure.stage, f"{clean(failure.kind)}: {clean(sentence(failure), 1000)}")
    if failure.url:
        yield _fact("page", _page(failure.url, failure.title))
    if failure.asks_password and failure.kind in {"login_failed", "session_expired"} and _ADVICE[failure.stage]:
        yield _fact("note", _ADVICE[failure.stage])
    for mismatch in failure.mismatches:
        yield from _mismatch(mismatch)
    if failure.place:
        yield _fact("recipe", clean(failure.place, 1000))
    if failure.screenshot:
        yield _fact("picture", failure.screenshot)
    if failure.evidence:
        yield _fact("evidence", failure.evidence)


def _mismatch(mismatch: told.Mismatch) -> Iterator[str]:
    yield _fact("selector", f"{_code(mismatch.selector)}{_matches(mismatch.matches)}")
    yield from _things("nearest", mismatch.nearest)
    if mismatch.matches == 0 and not mismatch.nearest:
        yield _fact("nearest", "the page has nothing that one could click or fill in")


def _things(name: str, things: tuple[told.Thing, ...]) -> Iterator[str]:
    width = max((len(clean(thing.selector, 80)) for thing in things), default=0)
    for index, thing in enumerate(things):
        more = f" ({thing.count} of them)" if thing.count > 1 else ""
        yield _fact(name if index == 0 else "", f"{clean(thing.selector, 80):{width}}  {clean(thing.what)}{more}")


def sentence(failure: told.Failure) -> str:
    """Return what went wrong in one sentence."""
    if not failure.mismatches or not _PLAYWRIGHT.match(failure.message):
        return failure.message
    mismatch = failure.mismatches[0]
    if mismatch.matches is None:
        return f"{mismatch.selector} is no selector that could be read"
    if mismatch.matches == 0:
        return f"{mismatch.selector} matches nothing on this page"
    elements = "the one element" if mismatch.matches == 1 else f"the {mismatch.matches} elements"
    return f"{elements} that {mismatch.selector} matches could not be used in time: hidden, covered or disabled"


def _fact(name: str, text: str) -> str:
    return f"{'':19}{name:8}  {text}"


def _code(selector: str) -> str:
    return clean(selector, 120)


def _matches(matches: int | None) -> str:
    match matches:
        case None:
            return ""
        case 0:
            return ": matches nothing"
        case 1:
            return ": 1 match"
        case _:
            return f": {matches} matches"


def _page(url: str, title: str) -> str:
    return f"{clean(url, 160)} {clean(title, 80)!r}" if title else clean(url, 160)


def _sort(document: told.Brought) -> str:
    told_format = clean(document.format.upper(), 20) or "of no known format"
    told_format += f", {plural(document.pages, 'page')}" if document.pages is not None else ""
    return told_format + (", protected by a password" if document.protected else "")
