"""What a recipe says of its export is told only when it can be understood."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.kit import Kit
from worker.protocol import InventoryExported, Kind
from worker.site import Inventory, SiteFailure
from worker.tasks import Tasks
from worker.visit import Visit


def export(folder: Path, returned: object) -> InventoryExported:
    """Return what a worker tells whose recipe returns this from `export_inventory`."""

    async def export_inventory(_visit: Visit) -> object:
        return returned

    kit = SimpleNamespace(site=SimpleNamespace(export_inventory=export_inventory))
    found: list[InventoryExported] = []
    asyncio.run(Tasks(cast("Kit", kit)).export(cast("Visit", SimpleNamespace(folder=folder)), 7, found))
    return found[0]


def test_an_inventory_is_told_with_what_is_needed_to_read_it(tmp_path: Path) -> None:
    """Its file by name, because it lies in the staging folder."""
    file = tmp_path / "inventory.csv"
    file.touch()
    inventory = Inventory(file, "Stock No", ";", "cp1252", "lot.toml:12: references.export")
    assert export(tmp_path, inventory) == InventoryExported(
        7, "inventory.csv", "Stock No", ";", "cp1252", "lot.toml:12: references.export"
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"column": None}, "got `null` - at `$.column`"),
        ({"column": 3}, "got `int` - at `$.column`"),
        ({"column": object()}, "unsupported"),
        ({"delimiter": b";"}, "at `$.delimiter`"),
        ({"encoding": "x" * 70_000}, "at `$.encoding`"),
        ({"file": Path("/etc/hostname")}, "a file that Visit.save did not bring"),
        ({"file": Path("missing.csv")}, "a file that Visit.save did not bring"),
        (None, "returned NoneType, not an Inventory"),
    ],
)
def test_an_inventory_that_nobody_could_read_is_the_recipes_mistake(
    tmp_path: Path, wrong: dict[str, Any] | None, said: str
) -> None:
    """It would have been refused as no message at all, and its worker killed for it."""
    file = tmp_path / "inventory.csv"
    file.touch()
    fields: dict[str, Any] = {"file": file, "column": "Stock No"} | (wrong or {})
    returned = None if wrong is None else Inventory(**fields)
    with pytest.raises(SiteFailure) as caught:
        export(tmp_path, returned)
    assert caught.value.kind is Kind.RECIPE_ERROR
    assert said in str(caught.value)
