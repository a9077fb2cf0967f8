"""One vehicle as a careful user of Playwright writes it: open the page, wait for its links, fetch and write all."""

import asyncio
import os
from pathlib import Path
from typing import Any

from playwright.async_api import Page, Response

from tests.benchmarks.sidebyside.job import Job, Reports, place

DOCUMENTS = "a.document"


async def process(page: Page, job: Job, reference: str) -> None:
    """Bring the documents of one vehicle."""
    response = await page.goto(job.page(reference), wait_until="domcontentloaded")
    check(response)
    await fetch_all(page, job, reference)


def check(response: Response | None) -> None:
    """Refuse an error page."""
    if response is not None and not response.ok:
        raise RuntimeError(f"the page was answered with {response.status}")


async def fetch_all(page: Page, job: Job, reference: str) -> None:
    """Bring the documents of the vehicle whose page is open."""
    await page.wait_for_selector(DOCUMENTS)
    links: list[str] = await page.eval_on_selector_all(DOCUMENTS, "links => links.map(link => link.href)")
    folder = place(job.folder, reference)
    folder.mkdir(parents=True, exist_ok=True)
    for link in links:
        await save(page, link, folder)


async def save(page: Page, link: str, folder: Path) -> None:
    """Bring one document through the session of the page."""
    answer = await page.context.request.get(link)
    if not answer.ok:
        raise RuntimeError(f"the document was answered with {answer.status}")
    (folder / link.rpartition("/")[2]).write_bytes(await answer.body())
    await answer.dispose()


def launch_options(job: Job) -> dict[str, Any]:
    """Return what every contestant starts its browser with: the ordinary way, with the Chromium of the contest."""
    sandbox = os.geteuid() != 0  # Chromium's sandbox refuses to work for root, and crawlee asks for it
    return {"executable_path": job.browser, "chromium_sandbox": sandbox}


async def try_them(page: Page, job: Job, queue: "asyncio.Queue[tuple[str, int]]", reports: Reports) -> None:
    """Take references from a queue until it is empty; a failed one goes back for another try."""
    while not queue.empty():
        reference, tries = queue.get_nowait()
        try:
            await asyncio.wait_for(process(page, job, reference), job.timeout)
        except Exception:  # noqa: BLE001 - whatever it was, the next reference is tried
            if tries < job.tries:
                queue.put_nowait((reference, tries + 1))
            else:
                reports.tell(reference, completed=False)
        else:
            reports.tell(reference, completed=True)
