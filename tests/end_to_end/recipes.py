"""Recipes that go wrong on purpose, each on one reference or in one method. The reference is T-1042/B."""

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from worker.site import Inventory
from worker.sites.demo.recipe import Demo

if TYPE_CHECKING:
    from worker.visit import Visit

BAD = "T-1042/B"


class _Once(Demo):
    """Goes wrong at the first attempt of each worker's file at `BAD`: the attempt's number is not for a recipe."""

    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD and not _was_here():
            await self.go_wrong(visit)
        await super().process(visit, reference)

    async def go_wrong(self, visit: "Visit") -> None:
        raise NotImplementedError


def _was_here() -> bool:
    """Say whether any worker of this run has asked before; a file beside the recipe's run tells."""
    mark = Path(os.environ["FIRST_TIME_MARK"])
    with contextlib.suppress(FileExistsError):
        mark.touch(exist_ok=False)
        return False
    return True


class Spins(_Once):
    """Never gives the event loop back."""

    async def go_wrong(self, visit: "Visit") -> None:
        while True:
            pass


class Blocks(_Once):
    """Waits in a blocking call for ever."""

    async def go_wrong(self, visit: "Visit") -> None:
        threading.Event().wait()


class Hangs(_Once):
    """Awaits what never comes."""

    async def go_wrong(self, visit: "Visit") -> None:
        await asyncio.Event().wait()


class Stubborn(_Once):
    """Ignores being cancelled."""

    async def go_wrong(self, visit: "Visit") -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)


class RaisesInLogIn(Demo):
    async def log_in(self, visit: "Visit") -> None:
        raise ValueError("deliberate in log_in")


class RaisesInIsLoggedIn(Demo):
    async def is_logged_in(self, visit: "Visit") -> bool:
        raise ValueError("deliberate in is_logged_in")


class RaisesInExport(Demo):
    async def export_inventory(self, visit: "Visit") -> Inventory:
        raise ValueError("deliberate in export_inventory")


class RaisesInProcess(Demo):
    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD:
            raise ValueError("deliberate in process")
        await super().process(visit, reference)


class RaisesInRecover(Demo):
    async def process(self, visit: "Visit", reference: str) -> None:
        if reference == BAD:
            await asyncio.Event().wait()
        await super().process(visit, reference)

    async def recover(self, visit: "Visit") -> None:
        raise ValueError("deliberate in recover")


class ExportsHtml(Demo):
    async def export_inventory(self, visit: "Visit") -> Inventory:
        visit.folder.mkdir(parents=True, exist_ok=True)
        file = visit.folder / "inventory.csv"
        file.write_text("<!doctype html><html><body>Please try again later.</body></html>")
        return Inventory(file, column="Stock No")


class Elsewhere(Demo):
    """The same under the name of another site."""

    name = "elsewhere"
