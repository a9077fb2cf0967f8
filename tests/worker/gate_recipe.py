"""Recipes for the site behind a gate: who comes in at all is logged in. ACCESS says how, as JSON."""

import os
from typing import TYPE_CHECKING

import msgspec

from worker.access import Access
from worker.site import Inventory, Site

if TYPE_CHECKING:
    from worker.visit import Visit


class Gate(Site):
    name = "gate"

    def __init__(self) -> None:
        self.start_url = os.environ["GATE_URL"] + "/inventory"
        self.access = msgspec.json.decode(os.environ.get("ACCESS", "{}"), type=Access)

    async def log_in(self, visit: "Visit") -> None:
        await visit.goto(self.start_url)

    async def is_logged_in(self, visit: "Visit") -> bool:
        return await visit.count("#inside") > 0

    async def export_inventory(self, visit: "Visit") -> Inventory:
        raise NotImplementedError

    async def process(self, visit: "Visit", reference: str) -> None:
        await visit.goto(f"/vehicle/{reference}")
        for link in await visit.read("a.document", "href"):
            await visit.fetch(link["href"])
