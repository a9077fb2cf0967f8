"""Recipes for the lot with documents as the real web has them."""

from typing import TYPE_CHECKING

from tests.worker.lot_recipe import Lot

if TYPE_CHECKING:
    from worker.visit import Visit


class Papers(Lot):
    name = "papers"

    async def process(self, visit: "Visit", reference: str) -> None:
        await visit.goto(f"{self.base}/vehicle/{reference}")
        for link in await visit.read("a.document", "href", "data-formats"):
            await visit.fetch(link["href"], formats=link["data-formats"].split())
        for button in await visit.page.locator("a.click").all():
            await visit.download(button.click, await button.get_attribute("data-name"))


class OneToFour(Lot):
    name = "one to four"
    fewest_documents = 3
    most_documents = 4

    async def process(self, visit: "Visit", reference: str) -> None:
        await visit.goto(f"{self.base}/vehicle/{reference}")
        for link in await visit.offers("a.document", within=5):
            await visit.fetch(await link.get_attribute("href") or "")
