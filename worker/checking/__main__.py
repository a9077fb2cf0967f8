"""The process behind ``run.py check``: an `Order` on standard input, a line of JSON on standard output for all it does.

It ends when the check is over, or when whoever started it is gone; its processes go with it.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, NoReturn, cast

import msgspec
from playwright.async_api import Error as PlaywrightError

from worker.browser import Browser, BrowserError
from worker.checking import messages
from worker.checking.calls import Calls, followed
from worker.checking.messages import Choice, Failure, Finished, Order, Passed, Told
from worker.checking.visit import TellingSite
from worker.checking.walk import CheckingWorker
from worker.deadlines import Overdue
from worker.exits import Exit
from worker.gateway import GatewayError, open_gateway
from worker.heartbeat import Kin, end_at_once, watch_supervisor
from worker.journal import Journal
from worker.kit import Kit
from worker.loading import load_site, recipe_file
from worker.main import isolate, prepare_environment, redirect_output
from worker.masking import Mask
from worker.protocol import Kind
from worker.site import RecipeError, Site
from worker.vault import Vault


class Teller:
    """Writes what is told to the standard output that the process was started with, which nothing else is to reach."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)

    def __call__(self, told: Told) -> None:
        """Write one line."""
        self._out.write(msgspec.json.encode(told) + b"\n")


def main() -> NoReturn:
    """Be the process; it ends with an `Exit`."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    tell = Teller()
    kin = Kin()
    settings = order.worker
    isolate(settings.supervisor_pid)
    watch_supervisor(settings.supervisor_pid, kin)
    prepare_environment(settings)
    redirect_output(Path(settings.temp_dir) / "output.txt")
    mask = Mask()
    journal = Journal(settings, mask)
    journal.open()
    asyncio.run(_check(order, tell, kin, journal, mask))
    journal.close()
    end_at_once(kin, Exit.CLEAN)


async def _check(order: Order, tell: Teller, kin: Kin, journal: Journal, mask: Mask) -> None:
    try:
        site = load_site(order.worker.site)
    except RecipeError as error:  # it was fine a moment ago, when the supervisor tried it
        tell(Failure("browser", Kind.RECIPE_ERROR, str(error), 0.0))
        return
    vault = Vault(site.secrets, mask)
    try:
        gateway = open_gateway(site.access, site.start_url, vault, Path(order.worker.temp_dir))
    except GatewayError as error:
        tell(Failure("browser", Kind.RECIPE_ERROR, mask(str(error)), 0.0))
        return
    hosts = gateway.hosts or site.allowed_hosts
    browser = Browser(order.worker, kin, mask, images=site.images, hosts=hosts, gateway=gateway)
    calls = Calls(lambda told: tell(_masked(told, mask)), recipe_file(site))
    telling = cast("Site", TellingSite(site, tell, mask, calls))  # it has every attribute of the recipe
    kit = Kit(browser, telling, vault, mask, order.worker.document_limit)
    worker = CheckingWorker(kit, journal, order, recipe_file(site), calls=calls, tell=tell)
    began = asyncio.get_running_loop().time()
    tell(messages.Began("browser"))
    try:
        started = await browser.start()
        tell(messages.Browser(started.pid, started.browser_version))
        tell(Passed("browser", round(asyncio.get_running_loop().time() - began, 3)))
        with followed(calls):
            await worker.walk(_choose)
    except (BrowserError, Overdue, PlaywrightError) as error:
        tell(Failure("browser", Kind.BROWSER_LOST, mask(str(error)), 0.0))
    finally:
        await browser.stop()
    tell(Finished())


async def _choose() -> str:
    line = await asyncio.to_thread(sys.stdin.buffer.readline)
    return msgspec.json.decode(line, type=Choice).ref if line else ""


def _masked(told: Any, mask: Mask) -> Told:
    masked: Told = msgspec.structs.replace(told, selector=mask(told.selector)[:2000])
    return masked


if __name__ == "__main__":
    main()
