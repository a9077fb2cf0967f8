"""The pictures in the README, made of a real run: ``uv run --group test python -m tests.pictures`` repeats them."""

import asyncio
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.async_api import ViewportSize, async_playwright
from rich.console import Console
from rich.text import Text

from supervisor import chromium
from supervisor.views.status import Snapshot, read_status
from tests.views.terminal import ROOT, Terminal

PICTURES = ROOT / ".pictures"
_COMMAND = ("demo", "--faults", "--vehicles", "120", "--workers", "3", "--worker-delay", "0.5")
_COLUMNS, _LINES = 80, 24
_COLOURS = 128
"""Of a PNG's palette: enough for flat pages, and a third of the bytes."""
_SVG = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>The live view of a run on a terminal</title>
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
<rect width="{width}" height="{height}" rx="8" fill="#15181d"/>
<g transform="translate(10, 22)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""Rich's own frame fetches its letters from elsewhere; this one has those of the reader's machine."""


def main() -> int:
    """Run the demo at a terminal, look at it on its way and at its end, and replace the pictures."""
    PICTURES.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="nightfleet-pictures-"))
    try:
        with Terminal(_COLUMNS, _LINES) as terminal:
            terminal.run("run.py", *_COMMAND, "--serve", "--show", "live", "--run-dir", str(folder / "night"))
            snapshot = _wait_until_busy(terminal, folder / "night")
            (PICTURES / "live.svg").write_text(_as_svg(terminal), "utf-8")
            asyncio.run(_photograph(snapshot.run.page, "page", 1100, 1010))
            terminal.wait()
        asyncio.run(_photograph((folder / "night" / "report.html").as_uri(), "report", 1100, 1500))
    finally:
        shutil.rmtree(folder)
    for picture in sorted(PICTURES.iterdir()):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size:,} bytes")  # noqa: T201 - a command that tells
    return 0


def _wait_until_busy(terminal: Terminal, run_dir: Path) -> Snapshot:
    """Read the terminal until a quarter of the work is done, every worker has its picture and the view is full."""
    last = time.monotonic() + 180
    while True:
        if time.monotonic() > last:
            raise TimeoutError("the run never looked as it should")
        terminal.until(lambda lines: any("latest failures" in line for line in lines), "failures are shown")
        terminal.read(0.2)
        snapshot = read_status(run_dir / "status.json")
        seen = list((run_dir / ".nightfleet" / "pages").glob("*.jpg"))
        if snapshot is None or len(seen) < len(snapshot.workers) or snapshot.site.session_age_seconds is None:
            continue
        if snapshot.totals.finished * 4 >= snapshot.totals.total and all(one.memory_bytes for one in snapshot.workers):
            return snapshot


def _as_svg(terminal: Terminal) -> str:
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    first = next(row for row, line in enumerate(terminal.lines) if line.startswith("nightfleet demo"))
    for line in terminal.styled[first:]:
        text = Text()
        for letters, style in line:
            text.append(letters, style=style)
        text.rstrip()
        console.print(text, no_wrap=True)
    return console.export_svg(code_format=_SVG, unique_id="live")


async def _photograph(address: str, name: str, width: int, height: int) -> None:
    found = chromium.find("", "", headed=False, environ={})
    if found is None:
        raise FileNotFoundError("no Chromium is on this machine")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=found.path, chromium_sandbox=False)
        page = await browser.new_page(viewport=ViewportSize(width=width, height=height))
        await page.goto(address)
        await page.locator("svg").first.wait_for()
        await page.emulate_media(color_scheme="light")
        _save(await page.screenshot(), PICTURES / f"{name}-light.png")
        await page.emulate_media(color_scheme="dark")
        _save(await page.screenshot(), PICTURES / f"{name}-dark.png")
        await browser.close()


def _save(shot: bytes, path: Path) -> None:
    palette = Image.open(io.BytesIO(shot)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
