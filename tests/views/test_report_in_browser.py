"""The morning report as people open it: from the disk, offline, in light and dark, on a phone and on paper."""

import asyncio
from pathlib import Path

import pikepdf
import pytest
from playwright.async_api import Page, Route, ViewportSize, async_playwright

from supervisor import chromium
from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded, Incident, Record
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.report import write_report
from tests.views.test_report import document, make
from worker.protocol import Kind, Step

pytestmark = pytest.mark.browser
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
COLOURS = """() => Object.fromEntries(['work', 'failure', 'killed', 'outage'].map(name => {
    const shape = [...document.querySelectorAll('#timeline-of-the-workers-axes_1 path')]
        .find(path => path.getAttribute('style')?.includes(`var(--${name})`));
    const style = shape && getComputedStyle(shape);
    return [name, shape ? (style.fill === 'none' ? style.stroke : style.fill) : 'missing'];
}))"""


@pytest.fixture
def night(tmp_path: Path) -> RunDirectory:
    """Two nights of one site; the later one has everything that the report can show."""
    came: list[Record] = [AttemptStarted(1, 1, 1, 1, 1), AttemptSucceeded(1, 1, (document("a.pdf", "a"),), ())]
    make(tmp_path / "first", ["A-1", "B-1"], [(1.0, came)])
    failed = AttemptFailed(
        2, 2, Kind.STUCK, EVIL, counted=True, crashed=True, retry_in=None, url="https://lot.example/" + "x" * 300
    )
    batches: list[tuple[float, list[Record]]] = [
        (10.0, [AttemptStarted(1, 1, 1, 1, 1), AttemptStarted(2, 2, 1, 2, 2)]),
        (40.0, [AttemptSucceeded(1, 1, (document("a.pdf", "b"),), (Step("open", 12.0),))]),
        (900.0, [failed, Incident("killed", EVIL, slot=2), Incident("breaker_opened", "no answer")]),
        (1800.0, [Incident("breaker_closed", "back"), Incident("restarted", "again", slot=2)]),
        (1900.0, [AttemptStarted(3, 3, 1, 2, 3)]),
        (2000.0, [AttemptSucceeded(3, 3, (), ())]),
    ]
    return make(tmp_path / "second", ["A-1", EVIL, "C-1", "D-1"], batches, wall=5.0)


def test_the_report_in_a_browser(night: RunDirectory) -> None:
    """Nothing is fetched or run; plots follow the colours; a narrow phone shows it, and paper."""
    write_report(night.path)
    asyncio.run(_look(night.report))


async def _look(report: Path) -> None:
    found = chromium.find("", "", headed=False, environ={})
    assert found is not None
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=found.path, chromium_sandbox=False)
        page = await browser.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))

        async def note(route: Route) -> None:
            if route.request.url != report.as_uri():
                troubles.append(route.request.url)
            await route.continue_()

        await page.route("**/*", note)
        await page.goto(report.as_uri())
        await _check_contents(page)
        await _check_colours(page)
        for width in (312, 390, 1280):
            await page.set_viewport_size(ViewportSize(width=width, height=800))
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
        printed = report.with_suffix(".pdf")
        await page.pdf(path=printed, format="A4")
        with pikepdf.open(printed) as pdf:
            assert 1 <= len(pdf.pages) <= 4
        assert not troubles
        await browser.close()


async def _check_contents(page: Page) -> None:
    text = " ".join((await page.locator("body").inner_text()).split())
    for said in (
        "2 of 4 references are completed. 1 failed for good.",
        f"{EVIL} https://lot.example/xxx",
        "Not finished: 1 reference",
        "Completed without a document: 1 reference",
        "1 changed documents: A-1: a.pdf",
        "What helps".lower(),
        "worker 2",
    ):
        assert said in text, said
    for name in ("References finished a minute", "Timeline of the workers", "How long attempts took"):
        assert await page.locator(f'svg[aria-label="{name}"] path').count() > 2, name
    assert EVIL in await page.locator("svg title").nth(1).inner_html() or await page.locator("svg title").count() >= 3


async def _check_colours(page: Page) -> None:
    seen = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        colours: dict[str, str] = await page.evaluate(COLOURS)
        assert "missing" not in colours.values(), colours
        assert len(set(colours.values())) == len(colours)
        seen.append(colours)
    assert not set(seen[0].values()) & set(seen[1].values())
