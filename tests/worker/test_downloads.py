"""A download raced against what means that it will never come, and watched while it goes on; without a browser."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from playwright.async_api import Download
from playwright.async_api import Error as PlaywrightError

from worker import downloads
from worker.downloads import DownloadRace, Shown, finish, is_web_page
from worker.observer import Navigation, Observer
from worker.protocol import Kind
from worker.site import SiteFailure

URL = "https://lot.example/invoice"
LOGIN = "https://lot.example/login"
PDF = {"content-type": "application/pdf"}
Scene = Callable[[SimpleNamespace], Awaitable[object]]


async def nothing() -> None:
    """Do what a click does that leads nowhere."""


def race(scene: Scene, patience: float = 20.0) -> Download:
    """Return the download of a click during which this happens to the browser, which is what `scene` is given."""

    async def run() -> Download:
        heard = SimpleNamespace(last_refusal=(418, "of an earlier click"), over=False)
        observer = cast("Observer", heard)
        try:
            with DownloadRace(observer, is_login=LOGIN.__eq__) as one:
                return await asyncio.wait_for(one.begin(lambda: scene(heard), patience), 60)
        finally:
            await asyncio.sleep(0)  # what was cancelled ends in the next round of the loop
            heard.over = True
            assert (heard.on_download, heard.on_navigation, heard.on_broken_navigation) == (None, None, None)

    return asyncio.run(run())


def lost(scene: Scene, patience: float = 20.0) -> SiteFailure:
    with pytest.raises(SiteFailure) as caught:
        race(scene, patience)
    return caught.value


def answered(status: int, url: str = URL, **headers: str) -> Scene:
    """Return what happens when the site answers so, and no download begins."""

    async def scene(browser: SimpleNamespace) -> None:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        browser.on_navigation(Navigation(url, status, fields))

    return scene


@pytest.mark.parametrize(
    ("scene", "kind", "status"),
    [
        (answered(500), Kind.DOWNLOAD_REFUSED, 500),
        (answered(418), Kind.DOWNLOAD_REFUSED, 418),
        (answered(404), Kind.NOT_FOUND, 404),
        (answered(401), Kind.SESSION_EXPIRED, 401),
        (answered(503, retry_after="5"), Kind.RATE_LIMITED, 503),
        (answered(204), Kind.DOCUMENT_INVALID, 204),
        (answered(205), Kind.DOCUMENT_INVALID, 205),
        (answered(200, LOGIN), Kind.SESSION_EXPIRED, 0),
    ],
)
def test_an_answer_that_is_no_download_is_not_waited_for(scene: Scene, kind: Kind, status: int) -> None:
    """Each has its own kind."""
    failure = lost(scene)
    assert (failure.kind, failure.status) == (kind, status)
    assert failure.url in {URL, LOGIN}


def test_a_navigation_that_chromium_calls_invalid_was_refused() -> None:
    """As an error status with an attachment is, whose answer may not be told."""

    async def scene(browser: SimpleNamespace) -> None:
        browser.on_broken_navigation(URL, "net::ERR_INVALID_RESPONSE")

    assert lost(scene).kind is Kind.DOWNLOAD_REFUSED


def test_a_navigation_that_a_download_took_the_place_of_is_no_refusal() -> None:
    """Chromium calls it aborted; the download comes."""
    download = cast("Download", object())

    async def scene(browser: SimpleNamespace) -> None:
        browser.on_navigation(Navigation(URL, 200, PDF | {"content-disposition": "attachment"}))
        browser.on_broken_navigation(URL, "net::ERR_ABORTED")
        browser.on_download(download)
        browser.on_download(cast("Download", object()))

    assert race(scene) is download


def test_what_can_be_shown_is_shown_when_no_download_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full browser opens its viewer; the headless one downloads it a moment later."""
    monkeypatch.setattr(downloads, "_VIEWER", 0.01)
    with pytest.raises(Shown) as caught:
        race(answered(200, content_type="application/pdf; charset=binary", content_disposition="inline"))
    assert caught.value.answer.url == URL
    attached = answered(200, content_type="application/pdf", content_disposition="attachment; filename=a.pdf")
    assert lost(attached, 0.1).kind is Kind.DOCUMENT_STALLED, "what no browser shows is not to be fetched as shown"


def test_a_click_that_leads_nowhere_is_a_stall_or_what_the_site_answered_meanwhile() -> None:
    """The refusals of earlier clicks do not count."""
    assert lost(lambda _: nothing(), 0.01).kind is Kind.DOCUMENT_STALLED

    async def refused(browser: SimpleNamespace) -> None:
        browser.last_refusal = (502, "https://lot.example/print")

    failure = lost(refused, 0.01)
    assert (failure.kind, failure.status, failure.url) == (Kind.DOWNLOAD_REFUSED, 502, "https://lot.example/print")


def test_a_click_that_cannot_be_made_is_told_at_once() -> None:
    """With Playwright's own words; but not where it only says that a download begins."""

    async def scene(browser: SimpleNamespace) -> None:
        raise PlaywrightError("Locator.click: strict mode violation")

    with pytest.raises(PlaywrightError, match="strict mode"):
        race(scene)
    download = cast("Download", object())

    async def opened(browser: SimpleNamespace) -> None:
        asyncio.get_running_loop().call_later(0.01, browser.on_download, download)
        raise PlaywrightError("Page.goto: Download is starting")

    assert race(opened) is download


def test_a_click_that_still_waits_is_ended_when_the_download_has_begun() -> None:
    """It would wait for a navigation that never comes."""
    ended: list[bool] = []
    download = cast("Download", object())

    async def scene(browser: SimpleNamespace) -> None:
        browser.on_download(download)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(not browser.over)

    assert race(scene) is download
    assert ended == [True]


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"content-type": "text/html; charset=utf-8"}, True),
        ({"content-type": "application/xhtml+xml"}, True),
        ({"content-type": "text/html", "content-disposition": "Attachment; filename=a.html"}, False),
        (PDF, False),
        ({}, False),
    ],
)
def test_a_page_for_people_is_told_from_a_download(headers: dict[str, str], *, page: bool) -> None:
    """By the header fields of its answer."""
    assert is_web_page(headers) is page


class Coming:
    """Stands for a download: its file grows by so many bytes at each look, and ends after so many, or never."""

    def __init__(self, folder: Path, *, grows: int, looks: int | None = None, failure: str | None = None) -> None:
        self.file = folder / "guid"
        self.file.touch()
        self.cancelled = False
        self._grows = grows
        self._looks = looks
        self._failure = failure

    async def failure(self) -> str | None:
        look = 0
        while look != self._looks:
            await asyncio.sleep(0.001)  # as long as a look of the one that watches it
            look += 1
            with self.file.open("ab") as file:
                file.write(b"x" * self._grows)
        return self._failure

    async def path(self) -> Path:
        return self.file

    async def cancel(self) -> None:
        self.cancelled = True


def finished(coming: Coming, patience: float = 20.0, limit: int = 1_000_000) -> Path:
    work = finish(cast("Download", coming), coming.file.parent, patience, limit)
    return asyncio.run(asyncio.wait_for(work, 60))


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the growing file every millisecond."""
    monkeypatch.setattr(downloads, "_LOOK_EVERY", 0.001)


def test_a_download_that_ends_is_where_the_browser_put_it(tmp_path: Path) -> None:
    """However long it takes, as long as it grows."""
    coming = Coming(tmp_path, grows=10, looks=50)
    assert finished(coming, patience=0.5).stat().st_size == 500
    assert not coming.cancelled


def test_a_download_that_stands_still_is_cancelled(tmp_path: Path) -> None:
    """Nothing else would ever end it."""
    coming = Coming(tmp_path, grows=0)
    with pytest.raises(SiteFailure, match="stopped moving") as caught:
        finished(coming, patience=0.01)
    assert (caught.value.kind, coming.cancelled) == (Kind.DOCUMENT_STALLED, True)


def test_a_download_that_grows_beyond_the_limit_is_cancelled(tmp_path: Path) -> None:
    """Before it fills the disk."""
    coming = Coming(tmp_path, grows=1_000)
    with pytest.raises(SiteFailure, match="more than the 5000 bytes") as caught:
        finished(coming, limit=5_000)
    assert (caught.value.kind, coming.cancelled) == (Kind.DOCUMENT_INVALID, True)


@pytest.mark.parametrize(("room", "kind"), [(10**9, Kind.DOCUMENT_INVALID), (1_000, Kind.DISK_FULL)])
def test_a_download_that_breaks_off_is_the_sites_fault_or_the_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, *, kind: Kind
) -> None:
    """Chromium says the same of both."""
    monkeypatch.setattr(downloads, "_space", lambda _folder: room)
    with pytest.raises(SiteFailure, match="broke off") as caught:
        finished(Coming(tmp_path, grows=1, looks=2, failure="canceled"))
    assert caught.value.kind is kind
