"""The same work by crawlee's PlaywrightCrawler, whose pool, retries and time-outs are its own."""

import asyncio
from datetime import timedelta

from crawlee import ConcurrencySettings, Request
from crawlee.configuration import Configuration
from crawlee.crawlers import PlaywrightCrawler, PlaywrightCrawlingContext, PlaywrightPreNavCrawlingContext

from tests.benchmarks.sidebyside.job import Job, Reports, read_job
from tests.benchmarks.sidebyside.work import check, fetch_all, launch_options


async def visit(job: Job) -> None:
    """Bring every vehicle."""
    reports = Reports(job)
    crawler = PlaywrightCrawler(
        configuration=Configuration(storage_dir=f"{job.folder}/crawlee"),
        concurrency_settings=ConcurrencySettings(
            min_concurrency=job.workers, desired_concurrency=job.workers, max_concurrency=job.workers
        ),
        max_request_retries=job.tries - 1,
        request_handler_timeout=timedelta(seconds=job.timeout),
        navigation_timeout=timedelta(seconds=job.timeout),
        browser_launch_options=launch_options(job),
        fingerprint_generator=None,
        headless=True,
        goto_options={"wait_until": "domcontentloaded"},
        configure_logging=False,
    )

    @crawler.pre_navigation_hook
    async def be_logged_in(context: PlaywrightPreNavCrawlingContext) -> None:
        await context.page.context.add_cookies([job.web_cookie])

    @crawler.router.default_handler
    async def bring(context: PlaywrightCrawlingContext) -> None:
        check(context.response)
        reference = context.request.unique_key
        await fetch_all(context.page, job, reference)
        reports.tell(reference, completed=True)

    @crawler.failed_request_handler
    async def give_up(context: PlaywrightCrawlingContext, _error: Exception) -> None:
        reports.tell(context.request.unique_key, completed=False)

    await crawler.run([Request.from_url(job.page(ref), unique_key=ref) for ref in job.references])


if __name__ == "__main__":
    asyncio.run(visit(read_job()))
