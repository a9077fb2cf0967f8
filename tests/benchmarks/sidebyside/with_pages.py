"""One asyncio process with one browser and N pages, which is how such a program usually begins."""

import asyncio

from playwright.async_api import async_playwright

from tests.benchmarks.sidebyside.job import Job, Reports, read_job
from tests.benchmarks.sidebyside.work import launch_options, try_them


async def visit(job: Job) -> None:
    """Bring every vehicle."""
    queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    for reference in job.references:
        queue.put_nowait((reference, 1))
    reports = Reports(job)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(**launch_options(job))
        context = await browser.new_context(storage_state=job.storage_state)  # type: ignore[arg-type] # its TypedDict
        pages = [await context.new_page() for _ in range(job.workers)]
        await asyncio.gather(*(try_them(page, job, queue, reports) for page in pages))
        await browser.close()


if __name__ == "__main__":
    asyncio.run(visit(read_job()))
