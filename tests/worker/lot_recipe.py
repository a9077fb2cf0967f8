"""A recipe for the test site, with the many ways in which recipes misbehave. The reference says what to do."""

import asyncio
import os
from typing import TYPE_CHECKING

from worker.site import Inventory, LoginRefused, Site

if TYPE_CHECKING:
    from worker.visit import Visit


class Lot(Site):
    name = "lot"
    secrets = ("LOT_USER", "LOT_PASSWORD")

    def __init__(self) -> None:
        base = os.environ["LOT_URL"]
        self.base = base
        self.start_url = f"{base}/inventory"
        self.login_url = f"{base}/login"

    async def log_in(self, visit: "Visit") -> None:
        await visit.goto(self.login_url)
        await visit.page.fill("#user", visit.secret("LOT_USER"))
        await visit.page.fill("#password", visit.secret("LOT_PASSWORD"))
        async with visit.page.expect_navigation(wait_until="domcontentloaded"):
            await visit.page.click("button")
        if await visit.page.locator(".error").count():
            raise LoginRefused("the site answered: wrong user or password")

    async def is_logged_in(self, visit: "Visit") -> bool:
        return await visit.count("#log-out") > 0

    async def export_inventory(self, visit: "Visit") -> Inventory:
        await visit.goto(self.start_url)
        return Inventory(await visit.save(lambda: visit.page.click("#export"), "inventory.csv"), column="Stock No")

    async def request_headers(self, visit: "Visit") -> dict[str, str]:
        token = await visit.page.evaluate("localStorage.getItem('token')")
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def process(self, visit: "Visit", reference: str) -> None:
        visit.step("open the vehicle")
        if reference == "raises":
            raise KeyError(visit.secret("LOT_PASSWORD"))
        if reference == "stubborn":
            await refuse_to_end()
        if reference == "spin-never-closes":
            setattr(visit.page, "close", asyncio.Event().wait)  # noqa: B010 - a method, which mypy lets nobody assign
            reference = "spin"
        await visit.goto(f"{self.base}/vehicle/{reference}")
        visit.step("fetch the documents")
        if reference.endswith("waits"):
            await visit.page.wait_for_selector("#never", timeout=300)
        if reference == "idle":
            await asyncio.Event().wait()
        for link in await visit.read("a.document", "href"):
            await visit.fetch(link["href"])
        for button in await visit.page.locator("a.click").all():
            await visit.download(button.click, await button.get_attribute("data-name"))


async def refuse_to_end() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
