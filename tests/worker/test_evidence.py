"""What a failure leaves behind: bounded, masked, and never worth another failure."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from worker import evidence
from worker.masking import Mask
from worker.observer import Observer
from worker.protocol import Kind, Step
from worker.site import SiteFailure

SECRET = "harbour-lane"  # noqa: S105 - of nobody


class FakePage:
    """A page that shows a secret; what it is asked for is noted, and comes, fails or never comes."""

    url = f"https://me:pw@lot.example/vehicle/A?token={SECRET}"

    def __init__(self, *, silent: bool = False) -> None:
        self.asked: list[str] = []
        self._silent = silent

    async def screenshot(self, *, path: Path, **_options: Any) -> None:
        self.asked.append("screenshot")
        if self._silent:
            await asyncio.Event().wait()
        await asyncio.to_thread(path.write_bytes, b"a picture")

    async def content(self) -> str:
        self.asked.append("content")
        if self._silent:
            raise PlaywrightError("Page.content: Target crashed")
        return f"<p>{SECRET}</p>" + "x" * 100


def collect(folder: Path, failure: SiteFailure, page: FakePage, *, waiting: bool = False) -> str:
    """Collect the evidence of a failure; return the report."""
    mask = Mask()
    mask.add(SECRET)
    observer = SimpleNamespace(
        navigating=waiting, awaited=[page.url], requests=["200 GET https://lot.example/"], console=["trouble"]
    )
    work = evidence.collect(
        folder,
        failure,
        mask=mask,
        page=cast("Page", page),
        observer=cast("Observer", observer),
        step=f"type {SECRET}",
        steps=(Step("open the vehicle", 1.5),),
    )
    asyncio.run(asyncio.wait_for(work, 60))
    report = folder / "error.txt"
    return report.read_text("utf-8") if report.exists() else ""


def failed(kind: Kind = Kind.RECIPE_ERROR) -> SiteFailure:
    """Return a failure that another exception caused, with a traceback."""
    failure = SiteFailure(kind, f"typed {SECRET}", url=FakePage.url, status=418)
    try:
        dict[str, int]().pop(SECRET)
    except KeyError as error:
        failure.__cause__ = error
    return failure


def test_everything_that_can_be_had_is_there_and_no_secret(tmp_path: Path) -> None:
    """In the report, and in the page."""
    report = collect(tmp_path / "evidence", failed(), FakePage())
    assert report.splitlines()[:6] == [
        "kind: recipe_error",
        "message: typed ***",
        "url: https://***@lot.example/vehicle/A?token=***",
        "status: 418",
        "step: type ***",
        "step done: open the vehicle (1.500 s)",
    ]
    for said in ("page: https://lot.example/vehicle/A?token=***", "200 GET", "trouble", "KeyError: '***'"):
        assert said in report
    assert SECRET not in report
    assert (tmp_path / "evidence" / "page.html").read_text("utf-8") == "<p>***</p>" + "x" * 100
    assert (tmp_path / "evidence" / "screenshot.png").read_bytes() == b"a picture"


@pytest.mark.parametrize("kind", sorted(evidence._BLIND))
def test_a_page_that_cannot_answer_is_not_asked(tmp_path: Path, kind: Kind) -> None:
    """Nor one on a disk that is full; the report comes all the same."""
    page = FakePage()
    assert collect(tmp_path, failed(kind), page).startswith(f"kind: {kind}")
    assert page.asked == []


def test_a_page_that_waits_for_the_site_is_not_asked(tmp_path: Path) -> None:
    """Until it is answered no call on it is."""
    page = FakePage()
    assert "not answered by the site: https://lot.example" in collect(tmp_path, failed(), page, waiting=True)
    assert page.asked == []


def test_what_cannot_be_had_in_time_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that never comes, a page that fails."""
    monkeypatch.setattr(evidence, "_DEADLINE", 0.05)
    page = FakePage(silent=True)
    assert collect(tmp_path, failed(), page).startswith("kind: recipe_error")
    assert page.asked == ["screenshot", "content"]
    assert [path.name for path in tmp_path.iterdir()] == ["error.txt"]


def test_a_page_is_kept_up_to_a_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are endless."""
    monkeypatch.setattr(evidence, "_LONGEST_PAGE", 30)
    collect(tmp_path, failed(), FakePage())
    assert len((tmp_path / "page.html").read_text("utf-8")) < 30


class MovingPage(FakePage):
    """At the first question it is about to be replaced by another page."""

    async def content(self) -> str:
        if "wait" not in self.asked:
            raise PlaywrightError("Page.content: Unable to retrieve content because the page is navigating")
        return await super().content()

    async def wait_for_load_state(self, state: str) -> None:
        assert state == "domcontentloaded"
        self.asked.append("wait")


def test_a_page_that_is_being_replaced_is_waited_for(tmp_path: Path) -> None:
    """A click may have led away from it when it brought nothing."""
    page = MovingPage()
    collect(tmp_path, failed(), page)
    assert page.asked == ["screenshot", "wait", "content"]
    assert (tmp_path / "page.html").exists()


def test_evidence_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    """The attempt has failed already, and its own cause is what counts."""
    (tmp_path / "evidence").touch()
    assert collect(tmp_path / "evidence", failed(), FakePage()) == ""
