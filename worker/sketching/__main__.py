"""The process behind ``run.py new-site``: an `Order` on standard input, a line of JSON for what was found.

It ends when it has told that, or when whoever started it is gone; its processes go with it.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import NoReturn

import msgspec
from playwright.async_api import Error as PlaywrightError

from worker.browser import Browser, BrowserError
from worker.deadlines import Overdue
from worker.exits import Exit
from worker.heartbeat import Kin, end_at_once, watch_supervisor
from worker.journal import Journal
from worker.main import isolate, prepare_environment, redirect_output
from worker.masking import Mask
from worker.sketching import messages
from worker.sketching.explore import explore
from worker.sketching.messages import Order, Problem, Told


def main() -> NoReturn:
    """Be the process; it ends with an `Exit`."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    settings, kin, mask = order.worker, Kin(), Mask()
    out = os.fdopen(os.dup(1), "wb", buffering=0)  # which nothing but `tell` is to reach
    isolate(settings.supervisor_pid)
    watch_supervisor(settings.supervisor_pid, kin)
    prepare_environment(settings)
    redirect_output(Path(settings.temp_dir) / "output.txt")
    journal = Journal(settings, mask)
    journal.open()

    def tell(told: Told) -> None:
        out.write(msgspec.json.encode(told) + b"\n")

    async def look() -> None:
        browser = Browser(settings, kin, mask, images=True)
        try:
            started = await browser.start()
            tell(messages.Browser(started.pid))
            await browser.fresh_context()
            tell(await explore(browser.page, order.url))
        except (BrowserError, Overdue, PlaywrightError) as error:
            tell(Problem(str(error).partition("\n")[0], browser=True))
        finally:
            await browser.stop()

    asyncio.run(look())
    journal.close()
    end_at_once(kin, Exit.CLEAN)


if __name__ == "__main__":
    main()
