"""The recipe for the demo website: an example of how one is written, and what ``run.py demo`` works with.

Environment: ``NIGHTFLEET_DEMO_URL`` (where the website is), ``NIGHTFLEET_DEMO_USER`` and ``NIGHTFLEET_DEMO_PASSWORD``.
"""

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from worker.protocol import Kind
from worker.site import Inventory, LoginRefused, Site, SiteFailure

if TYPE_CHECKING:
    from worker.visit import Visit

DEFAULTS = {
    "NIGHTFLEET_DEMO_URL": "http://127.0.0.1:8080",
    "NIGHTFLEET_DEMO_USER": "night",
    "NIGHTFLEET_DEMO_PASSWORD": "harbour-lane",
}
"""What the website and the recipe use where the environment says nothing: no secret is kept from anybody here."""


class Demo(Site):
    """Harbour Lane Motors, the built-in inventory website."""

    name = "demo"
    images = False

    def __init__(self) -> None:
        base = (os.environ.get("NIGHTFLEET_DEMO_URL") or DEFAULTS["NIGHTFLEET_DEMO_URL"]).rstrip("/")
        self.start_url = f"{base}/inventory"
        self.login_url = f"{base}/login"
        self._vehicles = f"{base}/vehicle"
        names = ("NIGHTFLEET_DEMO_USER", "NIGHTFLEET_DEMO_PASSWORD")
        self.secrets = tuple(name for name in names if os.environ.get(name) or os.environ.get(f"{name}_FILE"))

    async def log_in(self, visit: "Visit") -> None:
        """Fill in the form; the website answers a wrong password with the form again and a sentence in it."""
        page = visit.page
        await visit.goto(self.login_url)
        await page.fill("#user", self._secret(visit, "NIGHTFLEET_DEMO_USER"))
        await page.fill("#password", self._secret(visit, "NIGHTFLEET_DEMO_PASSWORD"))
        async with page.expect_navigation(wait_until="domcontentloaded") as navigation:
            await page.click("#log-in button")
        response = await navigation.value
        if not response.ok:
            raise SiteFailure(
                Kind.LOGIN_FAILED,
                f"the site answered the log-in with status {response.status}",
                url=page.url,
                status=response.status,
            )
        error = page.locator("#log-in .error")
        if await error.count():
            raise LoginRefused(f"the site answered: {await error.inner_text()}")

    def _secret(self, visit: "Visit", name: str) -> str:
        return visit.secret(name) if name in self.secrets else DEFAULTS[name]

    async def is_logged_in(self, visit: "Visit") -> bool:
        """Look for the way out."""
        return await visit.count("#log-out") > 0

    async def export_inventory(self, visit: "Visit") -> Inventory:
        """Click on the export."""
        await visit.goto(self.start_url)
        file = await visit.save(lambda: visit.page.click("#export"), "inventory.csv")
        return Inventory(file, column="Stock No")

    async def process(self, visit: "Visit", reference: str) -> None:
        """Fetch what has an address side by side, then click on the other documents one after the other."""
        visit.step("open the vehicle")
        await visit.goto(f"{self._vehicles}/{quote(reference, safe='')}")
        offers = await visit.read(".document", "data-name", "href", "target", inside="#documents")
        links = [offer for offer in offers if offer["href"] and offer["target"] != "_blank"]
        visit.step("fetch the documents")
        try:
            async with asyncio.TaskGroup() as group:
                for offer in links:
                    group.create_task(visit.fetch(offer["href"], offer["data-name"]))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        for offer in offers:
            if offer not in links:
                visit.step(f"download {offer['data-name']}")
                await _click(visit, offer["data-name"])


async def _click(visit: "Visit", name: str) -> None:
    await visit.download(lambda: visit.page.click(f'.document[data-name="{name}"]'), name)
