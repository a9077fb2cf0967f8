"""What a worker has the recipe do, and what has to be true afterwards: documents, a login, an export, a proof."""

import asyncio
import time

import msgspec

from worker.documents import sync_folder
from worker.kit import Kit
from worker.protocol import InventoryExported, Kind
from worker.session import LARGEST, capture
from worker.site import Inventory, SiteFailure
from worker.visit import Visit

_LOGGED_IN_WITHIN = 5.0
"""Seconds that the page after the login gets to look like one."""


class Tasks:
    """The tasks of one worker's recipe, each for one visit."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    async def open_inventory(self, visit: Visit) -> None:
        """Open the inventory page, which proves the session.

        Raises:
            SiteFailure: `SESSION_EXPIRED`; or as for `Visit.goto`.
        """
        await visit.goto(self._kit.site.start_url)

    async def process(self, visit: Visit, ref: str) -> None:
        """Bring the documents of a reference, flushed to disk, in a session that is still there at the end.

        Raises:
            SiteFailure: what went wrong on the way, or `DOCUMENTS_MISSING`. A recipe may raise anything.
        """
        site = self._kit.site
        await site.process(visit, ref)
        brought = len(visit.documents)
        if brought < site.fewest_documents:
            message = f"the page offers {brought} documents, at least {site.fewest_documents} are expected"
            raise SiteFailure(Kind.DOCUMENTS_MISSING, message, url=visit.page.url)
        if brought:
            await asyncio.to_thread(sync_folder, visit.folder)
        await self._kit.browser.close_popups()
        await visit.confirm()

    async def log_in(self, visit: Visit) -> None:
        """Log in; the browser has the session then.

        Raises:
            SiteFailure: `LOGIN_REFUSED`, `LOGIN_FAILED`, or what went wrong on the way. A recipe may raise anything.
        """
        site = self._kit.site
        await site.log_in(visit)
        deadline = time.monotonic() + _LOGGED_IN_WITHIN
        while not await site.is_logged_in(visit):
            if time.monotonic() > deadline:
                message = "after the login the page does not look like one for who is logged in"
                raise SiteFailure(Kind.LOGIN_FAILED, message, url=visit.page.url)
            await asyncio.sleep(0.2)  # a page may still be on its way, and tells nobody when it has arrived
        session = await capture(visit.context, visit.page)
        if (size := len(session.to_bytes())) > LARGEST:
            message = f"the session has {size} bytes, and at most {LARGEST} can be handed to the other workers"
            raise SiteFailure(Kind.LOGIN_FAILED, message, url=visit.page.url)
        self._kit.browser.use(session)

    async def export(self, visit: Visit, errand: int, found: list[InventoryExported]) -> None:
        """Export the inventory and add what tells of it to `found`.

        Raises:
            SiteFailure: `RECIPE_ERROR`, nobody could read what came; or what went wrong on the way.
        """
        inventory: object = await self._kit.site.export_inventory(visit)
        if not isinstance(inventory, Inventory):
            message = f"export_inventory of the recipe returned {type(inventory).__name__}, not an Inventory"
            raise SiteFailure(Kind.RECIPE_ERROR, message)
        if inventory.file.parent != visit.folder or not await asyncio.to_thread(inventory.file.is_file):
            message = "export_inventory of the recipe returned a file that Visit.save did not bring"
            raise SiteFailure(Kind.RECIPE_ERROR, message)
        exported = InventoryExported(
            errand,
            inventory.file.name,
            inventory.column,
            inventory.delimiter,
            inventory.encoding,
            inventory.place,
        )
        try:  # a recipe in Python can say anything, and nobody would understand a message that says it
            found.append(msgspec.convert(msgspec.to_builtins(exported, builtin_types=(bytes,)), InventoryExported))
        except (TypeError, msgspec.ValidationError) as error:
            message = f"export_inventory of the recipe returned an Inventory that is none: {error}"
            raise SiteFailure(Kind.RECIPE_ERROR, message) from error
