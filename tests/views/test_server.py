"""The status page: over HTTP for whoever asks, and in a real Chromium for whoever looks."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from playwright.async_api import Page, ViewportSize, async_playwright, expect
from prometheus_client.parser import text_string_to_metric_families

from supervisor import chromium
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.views import page as html_of
from supervisor.views.status import MetricsView, Notice, SiteView, Totals, write_status
from tests.views.snapshots import busy, run_view

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 60.0
EVIL = "<img src=x onerror=\"document.title='broken'\">\u202e'&"
PHONE = ViewportSize(width=312, height=640)
"""80 % of an ordinary phone's 390 pixels."""


class Served:
    """A run directory whose page is served by the process that does it in earnest."""

    def __init__(self, path: Path) -> None:
        self.directory = RunDirectory(path)
        self.directory.create()
        self.directory.pages.mkdir()
        with Ledger.create(self.directory.ledger, site="lot", site_name="lot", wall=0.0) as ledger:
            ledger.begin_run(1, 5, 0.0)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
            self.process = subprocess.Popen(
                [sys.executable, "run.py", "_page", str(path), "--listener", str(listener.fileno())],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
            )

    def ask(self, path: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[HTTPResponse, str]:
        """Return the answer and its body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer, body

    def close(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path / "night")
    yield one
    one.close()


def photograph(served: Served, slot: int, colour: str) -> None:
    """Leave a picture as a worker does."""
    beside = served.directory.pages / "new"
    Image.new("RGB", (64, 48), colour).save(beside, "JPEG")
    beside.replace(served.directory.page(slot))


def test_the_page_is_read_only_and_for_this_machine_alone(served: Served) -> None:
    """Only GET and HEAD, only by a loopback name (so not for a page that rebinds its name), nothing to embed or run."""
    assert served.ask("/")[0].status == 503  # the run has not written anything yet
    write_status(served.directory.status, busy(run=run_view(site=EVIL)))
    photograph(served, 1, "red")
    paths = ("/", "/timeline", "/status.json", "/metrics", "/workers/1.jpg", "/page.js", "/page.css")
    for path in paths:
        answer, _ = served.ask(path)
        assert answer.status == 200, path
        assert "default-src 'none'" in (answer.headers["Content-Security-Policy"] or "")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert served.ask(path, "HEAD")[0].status == 200
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert served.ask(path, method)[0].status == 405
        for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "", "["):
            assert served.ask(path, host=host)[0].status in {400, 403}, host
    for host in ("localhost", "localhost:9999", f"127.0.0.1:{served.port}", "[::1]:80"):
        assert served.ask("/", host=host)[0].status == 200
    for path in (
        "/workers/2.jpg",
        "/workers/../status.json",
        "/workers/..%2f..%2fledger.db",
        "/ledger.db",
        "/page.html",
    ):
        assert served.ask(path)[0].status == 404, path
    body = served.ask("/")[1]
    assert "<img src=x" not in body
    assert "\u202e" not in body
    assert not re.search(r'(?:src|href)="(?!/|data:,)', body)  # nothing comes from elsewhere


def test_scripts_get_the_same_figures(served: Served) -> None:
    """status.json as it is on the disk, and metrics that Prometheus' own parser reads."""
    write_status(served.directory.status, busy())
    assert json.loads(served.ask("/status.json")[1]) == json.loads(served.directory.status.read_bytes())
    answer, body = served.ask("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
    assert [s.value for s in samples if s.labels.get("state") == "completed"] == [1230]


def test_the_server_ends_with_its_supervisor(served: Served) -> None:
    """The end of its standard input is its end, while somebody looks on too."""
    write_status(served.directory.status, busy())
    lingering = HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE)
    lingering.request("GET", "/")
    lingering.getresponse().read()
    assert served.close() == 0
    lingering.close()


@pytest.mark.browser
def test_the_page_in_a_browser(served: Served) -> None:
    """Figures, pictures and timeline are there, follow the run by themselves, fit a phone, and say so when it ends."""
    asyncio.run(_look(served))


async def _look(served: Served) -> None:
    failed = Notice("2026-11-24T23:20:02.000Z", "WARNING", f"A-9: {EVIL}", failure=True)
    write_status(
        served.directory.status,
        busy(site=SiteView("slow", 740.0, "it takes long"), recent=(failed, *busy().recent)),
    )
    photograph(served, 1, "red")
    found = chromium.find("", "", headed=False, environ={})
    assert found is not None
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=found.path, chromium_sandbox=False)
        page = await browser.new_page(viewport=PHONE)
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        await page.goto(f"http://127.0.0.1:{served.port}/")
        await _check_first_sight(page)
        assert await _pixel(page) == "red"
        await _check_it_follows(served, page)
        assert not troubles
        served.close()
        await expect(page.locator("#lost")).to_be_visible(timeout=DEADLINE * 1000)
        await browser.close()


async def _check_first_sight(page: Page) -> None:
    for text in (
        "62 %",
        "1,240 of 2,000 references",
        "38.5 a minute, about 19 min left (15 to 23 min)",
        "slow, logged in 12 min ago: it takes long",
        "worker 5, working for 50 s",
        "412 MB",
        "worker 3 was killed: it was silent for 30 s",
        "timeout 12, server_error 4",
    ):
        await expect(page.locator("main")).to_contain_text(text, timeout=DEADLINE * 1000)
    await expect(page.locator("#failures")).to_contain_text("A-9: <img src=x onerror=")
    await expect(page.locator("#timeline svg")).to_be_visible(timeout=DEADLINE * 1000)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], "the page is wider than a narrow phone"
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


async def _check_it_follows(served: Served, page: Page) -> None:
    photograph(served, 1, "blue")
    photograph(served, 2, "red")
    totals = Totals(total=2000, pending=753, completed=1247)
    write_status(served.directory.status, msgspec.structs.replace(busy(), totals=totals))
    await expect(page.locator("#figures")).to_contain_text("1,247", timeout=DEADLINE * 1000)
    await expect(page.locator("#worker-2 img")).to_be_visible(timeout=DEADLINE * 1000)
    last = time.monotonic() + DEADLINE
    while await _pixel(page) != "blue":
        assert time.monotonic() < last, "the new picture does not come"
        await page.wait_for_timeout(100)
    write_status(served.directory.status, busy(workers=(), run=run_view(state="finished", exit_code=0, reason="done")))
    await expect(page.locator("#head")).to_contain_text("finished (done)", timeout=DEADLINE * 1000)
    await expect(page.locator(".worker")).to_have_count(0, timeout=DEADLINE * 1000)


async def _pixel(page: Page) -> str:
    """Return the colour of the first worker's picture as it is shown."""
    shown: list[int] = await page.evaluate(
        """async () => {
            const image = document.querySelector('#worker-1 img');
            await image.decode();
            const canvas = document.createElement('canvas');
            canvas.width = canvas.height = 1;
            const drawing = canvas.getContext('2d');
            drawing.drawImage(image, 0, 0, 1, 1);
            return [...drawing.getImageData(0, 0, 1, 1).data];
        }"""
    )
    return "red" if shown[0] > shown[2] else "blue"


def test_one_of_something_is_told_as_one() -> None:
    """A figure stands in one line with its unit, and a noun in its number."""
    metrics = MetricsView(documents=1, bytes=12_000_000, kills=1, restarts=2)
    told = html_of.render(busy(metrics=metrics), {})
    assert "<b>1</b>document, 12\N{NO-BREAK SPACE}MB<" in told
    assert "<b>1</b>worker killed, 2\N{NO-BREAK SPACE}restarts<" in told
