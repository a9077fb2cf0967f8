"""What a failed attempt leaves behind for the morning: a screenshot, the page, and what the site said last."""

import asyncio
import traceback
from pathlib import Path

from loguru import logger
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from worker.deadlines import Overdue, within
from worker.masking import Mask
from worker.observer import Observer
from worker.protocol import Kind, Step
from worker.site import SiteFailure

_DEADLINE = 4.0
_LONGEST_PAGE = 5_000_000  # characters of HTML

_BLIND = {Kind.PAGE_HUNG, Kind.PAGE_CRASHED, Kind.BROWSER_LOST, Kind.DISK_FULL}
"""Kinds after which the page cannot be asked for anything, or nothing can be written."""


async def collect(
    folder: Path,
    failure: SiteFailure,
    *,
    mask: Mask,
    page: Page | None,
    observer: Observer | None,
    step: str,
    steps: tuple[Step, ...],
) -> None:
    """Write what can be had within four seconds into `folder`; what cannot be had is left out and logged."""
    waiting = observer is not None and observer.navigating  # until it is answered no call on the page is
    seeing = page is not None and failure.kind not in _BLIND and not waiting
    html = ""
    report = (
        mask("\n".join([*_facts(failure, step, steps), *_sightings(mask, page, observer), *_cause(failure)])) + "\n"
    )
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        if page is not None and seeing:
            _, html = await asyncio.gather(_screenshot(page, folder / "screenshot.png"), _html(page))
        await asyncio.to_thread(_write, folder, report, html, mask)
    except OSError as error:
        logger.warning("evidence cannot be written: {}", error.strerror)


async def _screenshot(page: Page, path: Path) -> None:
    try:
        # A timeout of Playwright's own as well, so that no screenshot is still being made when the page is closed.
        shot = page.screenshot(path=path, timeout=_DEADLINE * 1000, animations="disabled")
        await within(_DEADLINE, shot, "the screenshot")
    except (Overdue, PlaywrightError) as error:
        logger.debug("no screenshot: {}", str(error).partition("\n")[0])


async def _html(page: Page) -> str:
    try:
        return (await within(_DEADLINE, _content(page), "reading the page"))[:_LONGEST_PAGE]
    except (Overdue, PlaywrightError) as error:
        logger.debug("no page.html: {}", str(error).partition("\n")[0])
        return ""


async def _content(page: Page) -> str:
    """Read a page, or the one that is taking its place at this moment."""
    while True:
        try:
            return await page.content()
        except PlaywrightError as error:
            if "is navigating" not in str(error):
                raise
        await page.wait_for_load_state("domcontentloaded")


def _write(folder: Path, report: str, html: str, mask: Mask) -> None:
    (folder / "error.txt").write_text(report, "utf-8", errors="replace")
    if html:
        (folder / "page.html").write_text(mask(html), "utf-8", errors="replace")


def _facts(failure: SiteFailure, step: str, steps: tuple[Step, ...]) -> list[str]:
    lines = [f"kind: {failure.kind}", f"message: {failure}"]
    if failure.url:
        lines.append(f"url: {failure.url}")
    if failure.status:
        lines.append(f"status: {failure.status}")
    if step:
        lines.append(f"step: {step}")
    return lines + [f"step done: {done.name} ({done.seconds:.3f} s)" for done in steps]


def _sightings(mask: Mask, page: Page | None, observer: Observer | None) -> list[str]:
    lines = [f"page: {mask.url(page.url)}"] if page is not None else []
    if observer is not None:
        lines += [f"not answered by the site: {mask.url(url)}" for url in observer.awaited]
        lines += _section("last answers of the site", list(observer.requests))
        lines += _section("last errors on the console", list(observer.console))
    return lines


def _cause(failure: SiteFailure) -> list[str]:
    cause = failure.__cause__ or failure
    if cause.__traceback__ is None:
        return []
    return _section("traceback", ["".join(traceback.format_exception(cause)).rstrip()])


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", *lines] if lines else []
