"""The same work by Scrapy with scrapy-playwright, whose scheduler, retries and time-outs are its own."""

from collections.abc import AsyncIterator
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

from tests.benchmarks.sidebyside.job import Job, Reports, read_job
from tests.benchmarks.sidebyside.work import fetch_all, launch_options


class Vehicles(scrapy.Spider):
    """Brings every vehicle. An answer above 400 goes to the retries of Scrapy and then to `give_up`."""

    name = "vehicles"

    def __init__(self, job: Job, reports: Reports, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.reports = reports

    async def start(self) -> AsyncIterator[Any]:
        """Yield a request for every vehicle."""
        for reference in self.job.references:
            yield scrapy.Request(
                self.job.page(reference),
                callback=self.bring,
                errback=self.give_up,
                meta={
                    "playwright": True,
                    "playwright_include_page": True,
                    "playwright_page_goto_kwargs": {"wait_until": "domcontentloaded"},
                },
                cb_kwargs={"reference": reference, "tries": 1},
                dont_filter=True,
            )

    async def bring(self, response: Response, reference: str, tries: int) -> Any:
        """Fetch the documents. Scrapy retries downloads only, so what fails here is yielded once more."""
        page = response.meta["playwright_page"]
        try:
            await fetch_all(page, self.job, reference)
            self.reports.tell(reference, completed=True)
        except Exception:  # noqa: BLE001 - whatever it was, the next reference is tried
            if tries < self.job.tries:
                again = response.request.replace(cb_kwargs={"reference": reference, "tries": tries + 1})
                again.meta.pop("playwright_page", None)
                return again
            self.reports.tell(reference, completed=False)
        finally:
            await page.close()
        return None

    async def give_up(self, failure: Any) -> None:
        """Report what came to nothing, and close its page."""
        self.reports.tell(failure.request.cb_kwargs["reference"], completed=False)
        if page := failure.request.meta.get("playwright_page"):
            await page.close()


def settings(job: Job) -> dict[str, Any]:
    """Return the settings as the documentation of scrapy-playwright recommends them."""
    return {
        "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
        "DOWNLOAD_HANDLERS": {"http": "scrapy_playwright.handler.ScrapyPlaywrightDownloadHandler"},
        "PLAYWRIGHT_LAUNCH_OPTIONS": launch_options(job),
        "PLAYWRIGHT_CONTEXTS": {"default": {"storage_state": job.storage_state}},
        "PLAYWRIGHT_MAX_PAGES_PER_CONTEXT": job.workers,
        "PLAYWRIGHT_DEFAULT_NAVIGATION_TIMEOUT": job.timeout * 1000,
        "CONCURRENT_REQUESTS": job.workers,
        "CONCURRENT_REQUESTS_PER_DOMAIN": job.workers,
        "DOWNLOAD_DELAY": 0,
        "DOWNLOAD_TIMEOUT": job.timeout,
        "RETRY_TIMES": job.tries - 1,
        "ROBOTSTXT_OBEY": False,
        "LOG_LEVEL": "CRITICAL",
        "TELNETCONSOLE_ENABLED": False,
    }


if __name__ == "__main__":
    told = read_job()
    process = CrawlerProcess(settings(told))
    process.crawl(Vehicles, job=told, reports=Reports(told))
    process.start()
