"""One download by the browser, raced against everything that means it will never come.

A refusal with `Content-Disposition: attachment` gives no download event at all, only a status and a navigation that
broke; a download that stalls gives no event either, and Playwright waits for it for ever. So the signals are raced,
and a download that goes on is judged by the growth of its file.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.async_api import Download
from playwright.async_api import Error as PlaywrightError

from worker.deadlines import Overdue, consume, within
from worker.failures import refusal
from worker.observer import Navigation, Observer
from worker.protocol import Kind
from worker.site import SiteFailure

_LOOK_EVERY = 0.25  # seconds between two looks at the growing file
_ROOM = 1024 * 1024  # bytes of free space below which a broken download is the disk's fault
_CALL = 5.0  # seconds for calls on a finished download

_WITHOUT_CONTENT = {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT}
"""Answers after which the browser stays where it is, and no download ever begins."""

_VIEWER = 1.0
"""Seconds after the answer in which the download of something that could be shown has begun, if it is to be one."""

Trigger = Callable[[], Awaitable[object]]


class Shown(Exception):  # noqa: N818 - a way in which a document comes, not an error
    """The browser shows the document in its viewer instead of downloading it; the answer says where it is."""

    def __init__(self, answer: Navigation) -> None:
        super().__init__(answer.url)
        self.answer = answer


class DownloadRace:
    """Listens from before the trigger until the download has begun, or something says that it will not."""

    def __init__(self, observer: Observer, *, is_login: Callable[[str], bool]) -> None:
        self._observer = observer
        self._is_login = is_login
        self._begun: asyncio.Future[Download] = asyncio.get_running_loop().create_future()
        self._begun.add_done_callback(consume)
        self.answers: dict[str, Navigation] = {}
        """Answers to navigations since the trigger, by URL."""

    def __enter__(self) -> Self:
        self._observer.last_refusal = None
        self._observer.on_download = self._download
        self._observer.on_navigation = self._answer
        self._observer.on_broken_navigation = self._broken
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._observer.on_download = self._observer.on_navigation = self._observer.on_broken_navigation = None

    async def begin(self, trigger: Trigger, patience: float) -> Download:
        """Run `trigger` and return the download that it starts within `patience` seconds.

        Raises:
            Shown: the browser opened it in its viewer.
            SiteFailure: an error status, the login page or nothing came instead.
        """
        triggered: asyncio.Future[Any] = asyncio.ensure_future(trigger())
        triggered.add_done_callback(consume)
        try:
            await asyncio.wait({triggered, self._begun}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if triggered.done() and not self._begun.done():
                if (error := triggered.exception()) is not None and not _is_download(error):
                    raise error
                await asyncio.wait({self._begun}, timeout=patience)
        finally:
            triggered.cancel()  # a click waits for the navigation that the download took the place of
        if self._begun.done():
            return self._begun.result()
        raise self._nothing(patience)

    def _nothing(self, patience: float) -> SiteFailure:
        if self._observer.last_refusal is not None:
            status, url = self._observer.last_refusal
            return SiteFailure(
                Kind.DOWNLOAD_REFUSED,
                f"no download began; the site answered {status} meanwhile",
                url=url,
                status=status,
            )
        return SiteFailure(Kind.DOCUMENT_STALLED, f"no download began within {patience:.0f} s")

    def _download(self, download: Download) -> None:
        if not self._begun.done():
            self._begun.set_result(download)

    def _answer(self, answer: Navigation) -> None:
        self.answers[answer.url] = answer
        if (failure := refusal(answer.status, answer.headers, answer.url)) is not None:
            if failure.kind in {Kind.SERVER_ERROR, Kind.HTTP_ERROR}:
                failure.kind = Kind.DOWNLOAD_REFUSED
            self._fail(failure)
        elif answer.status in _WITHOUT_CONTENT:
            message = f"the site answered {answer.status} without a document"
            self._fail(SiteFailure(Kind.DOCUMENT_INVALID, message, url=answer.url, status=answer.status))
        elif self._is_login(answer.url):
            self._fail(
                SiteFailure(Kind.SESSION_EXPIRED, "the login page came in place of the download", url=answer.url)
            )
        elif _opens_in_a_viewer(answer.headers):
            asyncio.get_running_loop().call_later(_VIEWER, self._fail, Shown(answer))

    def _broken(self, url: str, error: str) -> None:
        if "ERR_INVALID_RESPONSE" in error:  # its status came first, if at all
            self._fail(SiteFailure(Kind.DOWNLOAD_REFUSED, "the site refused the download", url=url))

    def _fail(self, failure: SiteFailure | Shown) -> None:
        if not self._begun.done():
            self._begun.set_exception(failure)


def is_web_page(headers: dict[str, str]) -> bool:
    """Say whether an answer with these header fields is a page for people."""
    return _kind_of(headers) in {"text/html", "application/xhtml+xml"} and not _is_attached(headers)


def _opens_in_a_viewer(headers: dict[str, str]) -> bool:
    """Say whether a full browser shows such an answer; the headless shell has no viewer and downloads it."""
    return _kind_of(headers) == "application/pdf" and not _is_attached(headers)


def _kind_of(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_attached(headers: dict[str, str]) -> bool:
    return headers.get("content-disposition", "").partition(";")[0].strip().lower() == "attachment"


def _is_download(error: BaseException) -> bool:
    """A trigger that navigates there itself fails with this, although the download begins."""
    return isinstance(error, PlaywrightError) and (
        "Download is starting" in error.message or "ERR_ABORTED" in error.message
    )


async def finish(download: Download, folder: Path, patience: float, limit: int) -> Path:
    """Wait for a download to end, as long as its file in `folder` grows, and return the file's path.

    Raises:
        SiteFailure: `DOCUMENT_STALLED`, it did not grow for `patience` seconds, or `DOCUMENT_INVALID`, it broke off or
            grew beyond `limit` bytes, or `DISK_FULL`, which Chromium reports as if the site had broken it off.
    """
    ended: asyncio.Future[str | None] = asyncio.ensure_future(download.failure())
    ended.add_done_callback(consume)
    try:
        if (failure := await _watch_growth(ended, folder, patience, limit)) is None:
            return Path(await within(_CALL, download.path(), "finding the downloaded file"))
    except BaseException:
        ended.cancel()
        with contextlib.suppress(Overdue, PlaywrightError):  # it has ended meanwhile, or its browser has
            await within(_CALL, download.cancel(), "cancelling the download")
        raise
    if _space(folder) < _ROOM:
        raise SiteFailure(Kind.DISK_FULL, "the disk is full: the download broke off")
    raise SiteFailure(Kind.DOCUMENT_INVALID, f"the download broke off ({failure})")


async def _watch_growth(ended: "asyncio.Future[str | None]", folder: Path, patience: float, limit: int) -> str | None:
    size, still = -1, 0.0
    while not ended.done():
        await asyncio.wait({ended}, timeout=_LOOK_EVERY)
        now = await asyncio.to_thread(_total, folder)
        size, still = (now, 0.0) if now != size else (size, still + _LOOK_EVERY)
        if now > limit:
            raise SiteFailure(Kind.DOCUMENT_INVALID, f"the document has more than the {limit} bytes that are allowed")
        if still >= patience and not ended.done():
            raise SiteFailure(Kind.DOCUMENT_STALLED, f"the download stopped moving for {patience:.0f} s")
    return ended.result()


async def forget(download: Download) -> None:
    """Delete the browser's copy, which would otherwise stay until its context closes."""
    with contextlib.suppress(Overdue, PlaywrightError):  # it goes with the context then
        await within(_CALL, download.delete(), "deleting the downloaded file")


def _total(folder: Path) -> int:
    total = 0
    with contextlib.suppress(FileNotFoundError):  # Chromium renames it when it is complete
        for entry in os.scandir(folder):
            total += entry.stat().st_size
    return total


def _space(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
