"""Opens an address, follows to the login page and asks it what there is."""

import asyncio
import contextlib
import time
from pathlib import Path

import msgspec
from loguru import logger
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Response

from worker.deadlines import Overdue, within
from worker.failures import classify, refusal
from worker.masking import Mask
from worker.protocol import Kind
from worker.sketching.messages import Control, Found, LoginForm, Problem

LOOK = (Path(__file__).with_name("look.js")).read_text("utf-8").partition("\n")[2]
"""A function for the page; it returns what `Seen` describes."""

_OPENING = 45.0
_LOADING = 10.0
_SETTLING = 4.0
"""Seconds that a page made by scripts gets to show something of a login."""

_MOST_ENTRIES = 3
_HTML = ("text/html", "application/xhtml+xml")
_UNAUTHORIZED = 401


class Form(msgspec.Struct, frozen=True):
    """A login as a page describes it."""

    password: Control
    user: Control | None = None
    submit: Control | None = None
    others: tuple[Control, ...] = ()
    captcha: bool = False


class Seen(msgspec.Struct, frozen=True):
    """What `LOOK` returns: untrusted."""

    title: str = ""
    login: Form | None = None
    entries: tuple[Control, ...] = ()
    ways_out: tuple[Control, ...] = ()
    exports: tuple[Control, ...] = ()
    lists: tuple[Control, ...] = ()


async def explore(page: Page, url: str) -> Found | Problem:
    """Return what there is at `url`, an absolute address, and behind its link to the login; uses up the page."""
    mask = Mask()
    try:
        response = await _open(page, url)
    except (PlaywrightError, Overdue) as error:
        return Problem(_unreachable(url, error))
    basic = response is not None and "www-authenticate" in response.headers and response.status == _UNAUTHORIZED
    problem = "" if response is None or basic else _problem(response)
    if problem and response is not None and not _is_html(response):
        return Problem(problem)
    first = await _look(page)
    if problem and first.login is None:  # a login page may well come with an error status
        return Problem(problem)
    here, form = page.url, None
    if first.login is not None:
        form = _form(page.url, first, first.login, None)
    elif not basic:
        form = await _behind_a_link(page, first)
    return Found(
        asked=mask.url(url),
        url=mask.url(here),
        title=first.title,
        login=form,
        exports=first.exports,
        ways_out=first.ways_out,
        lists=first.lists,
        basic=basic,
    )


async def _open(page: Page, url: str) -> Response | None:
    response = await within(_OPENING, page.goto(url, wait_until="domcontentloaded"), "opening the address")
    with contextlib.suppress(PlaywrightError, Overdue):  # some pages never end to load, and are there all the same
        await within(_LOADING, page.wait_for_load_state("load"), "loading the page")
    return response


def _unreachable(url: str, error: PlaywrightError | Overdue) -> str:
    shown, failure = Mask().url(url), classify(error)
    if isinstance(error, PlaywrightError) and "Download is starting" in error.message:
        return f"{shown} is a download, and a web page is needed"
    if failure.kind is Kind.RECIPE_ERROR:  # there is none yet
        return f"{shown} cannot be opened: {str(error).partition(chr(10))[0].removeprefix('Page.goto: ')}"
    return f"{shown} cannot be opened: {failure}"


def _problem(response: Response) -> str:
    """Return what is wrong with an answer that shows no login; nothing when it is a page like any other."""
    shown = Mask().url(response.url)
    refused = refusal(response.status, response.headers, response.url)
    if refused is not None and refused.status != _UNAUTHORIZED:
        return f"{shown} cannot be used: {refused}"
    return "" if _is_html(response) else f"{shown} is {_kind(response)}, and a web page (HTML) is needed"


def _kind(response: Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_html(response: Response) -> bool:
    return _kind(response) in {*_HTML, ""}


async def _look(page: Page) -> Seen:
    """Ask the page; one made by scripts may need a moment before it shows anything of a login."""
    end = time.monotonic() + _SETTLING
    while True:
        try:
            seen = msgspec.convert(await within(_OPENING, page.evaluate(LOOK), "looking at the page"), Seen)
        except (PlaywrightError, Overdue, msgspec.ValidationError) as error:
            logger.debug("the page was not looked at: {}", str(error).partition("\n")[0])
            seen = Seen()
        if seen.login or seen.entries or time.monotonic() > end:
            return seen
        await asyncio.sleep(0.2)  # nothing tells when the scripts of a page have made it


async def _behind_a_link(page: Page, first: Seen) -> LoginForm | None:
    """Follow what is called log in or the like, one after the other, until one shows a field for a password."""
    start = page.url
    for entry in first.entries[:_MOST_ENTRIES]:
        leads = entry.href.startswith(("http://", "https://")) and entry.href.partition("#")[0] != start
        try:
            if page.url != start:
                await _open(page, start)
            if leads:
                await _open(page, entry.href)
            else:
                await within(_LOADING, page.click(entry.selector, timeout=_LOADING * 1000), "clicking")
                with contextlib.suppress(PlaywrightError, Overdue):  # as in _open
                    await within(_LOADING, page.wait_for_load_state("load"), "loading the page")
        except (PlaywrightError, Overdue) as error:
            logger.debug("{} leads nowhere: {}", entry.selector, str(error).partition("\n")[0])
            continue
        seen = await _look(page)
        if seen.login is not None:
            return _form(page.url, seen, seen.login, entry if page.url == start and not leads else None)
    return None


def _form(url: str, seen: Seen, form: Form, opener: Control | None) -> LoginForm:
    return LoginForm(
        url=Mask().url(url),
        title=seen.title,
        password=form.password,
        user=form.user,
        submit=form.submit,
        others=form.others,
        opener=opener,
        captcha=form.captcha,
    )
