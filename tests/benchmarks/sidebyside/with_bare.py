"""Bare Playwright in N processes, each with a browser, nobody watching: the ceiling of what supervision could reach."""

import asyncio
import multiprocessing

from playwright.async_api import async_playwright

from tests.benchmarks.sidebyside.job import Job, Reports, read_job
from tests.benchmarks.sidebyside.work import launch_options, try_them


async def visit(job: Job, number: int) -> None:
    """Bring every so-manieth vehicle."""
    queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    for reference in job.references[number :: job.workers]:
        queue.put_nowait((reference, 1))
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(**launch_options(job))
        context = await browser.new_context(storage_state=job.storage_state)  # type: ignore[arg-type] # its TypedDict
        await try_them(await context.new_page(), job, queue, Reports(job, str(number)))
        await browser.close()


def work(job: Job, number: int) -> None:
    """Be one of the processes."""
    asyncio.run(visit(job, number))


if __name__ == "__main__":
    told = read_job()
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=work, args=(told, number)) for number in range(told.workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
