"""Recipes for the test site that do not fit it, each in one place."""

from typing import TYPE_CHECKING

from tests.worker.lot_recipe import Lot
from worker.site import Inventory

if TYPE_CHECKING:
    from worker.visit import Visit


class WrongField(Lot):
    async def log_in(self, visit: "Visit") -> None:
        await visit.goto(self.login_url)
        await visit.page.fill("#pasword", visit.secret("LOT_PASSWORD"))


class WrongColumn(Lot):
    async def export_inventory(self, visit: "Visit") -> Inventory:
        await visit.goto(self.start_url)
        return Inventory(await visit.save("/export", "inventory.csv"), column="Stock Number")


class WrongLinks(Lot):
    async def process(self, visit: "Visit", reference: str) -> None:
        await visit.goto(f"{self.base}/vehicle/{reference}")
        for link in await visit.page.locator("a.documents").all():
            await visit.fetch(await link.get_attribute("href") or "")
