"""What a worker asks a recipe for, and what it takes for done."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker import tasks
from worker.kit import Kit
from worker.protocol import InventoryExported, Kind
from worker.session import Session
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


class Visited(SimpleNamespace):
    """Stands for a visit that brought so many documents; tells whether it was confirmed."""

    confirmed = False

    async def confirm(self) -> None:
        self.confirmed = True


def process(folder: Path, documents: int, fewest: int) -> tuple[list[str], Visited]:
    """Have a recipe bring documents; return what was flushed or closed, in order, and the visit."""
    done: list[str] = []

    async def bring(_visit: Visit, ref: str) -> None:
        done.append(ref)

    async def close_popups() -> None:
        done.append("popups closed")

    site = SimpleNamespace(process=bring, fewest_documents=fewest)
    kit = SimpleNamespace(site=site, browser=SimpleNamespace(close_popups=close_popups))
    visit = Visited(folder=folder, documents=(None,) * documents, page=SimpleNamespace(url="https://lot.example/A"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "sync_folder", lambda path: done.append(f"{path.name} flushed"))
        asyncio.run(Tasks(cast("Kit", kit)).process(cast("Visit", visit), "A"))
    return done, visit


@pytest.mark.parametrize("documents", [0, 2])
def test_documents_are_flushed_and_the_session_is_proven_before_anything_is_told(
    tmp_path: Path, documents: int
) -> None:
    """Where there is none there is no folder either."""
    done, visit = process(tmp_path, documents, 0)
    assert done == ["A", *([f"{tmp_path.name} flushed"] if documents else []), "popups closed"]
    assert visit.confirmed


def test_fewer_documents_than_expected_are_a_failure(tmp_path: Path) -> None:
    """With the address of the page that offers no more."""
    with pytest.raises(SiteFailure, match="the page offers 1 documents, at least 2 are expected") as caught:
        process(tmp_path, 1, 2)
    assert (caught.value.kind, caught.value.url) == (Kind.DOCUMENTS_MISSING, "https://lot.example/A")


def log_in(monkeypatch: pytest.MonkeyPatch, *, answers: list[bool], size: int = 100) -> list[Session]:
    """Log in on a site that answers so when it is asked who is there; return the sessions that the browser got."""
    taken: list[Session] = []

    async def send_the_form(_visit: Visit) -> None:
        pass

    async def is_logged_in(_visit: Visit) -> bool:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def captured(_context: object, _page: object) -> Session:
        return Session({"cookies": [], "filler": "x" * size}, {}, "agent")

    monkeypatch.setattr(tasks, "capture", captured)
    monkeypatch.setattr(tasks, "LARGEST", 10_000)
    site = SimpleNamespace(log_in=send_the_form, is_logged_in=is_logged_in)
    kit = SimpleNamespace(site=site, browser=SimpleNamespace(use=taken.append))
    visit = SimpleNamespace(context=None, page=SimpleNamespace(url="https://lot.example/home"))
    asyncio.run(Tasks(cast("Kit", kit)).log_in(cast("Visit", visit)))
    return taken


def test_a_login_is_one_when_a_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page may take a moment to say it."""
    assert len(log_in(monkeypatch, answers=[False, True])) == 1


def test_a_login_that_no_page_confirms_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser keeps the session that it had."""
    monkeypatch.setattr(tasks, "_LOGGED_IN_WITHIN", 0.0)
    with pytest.raises(SiteFailure, match="does not look like one for who is logged in") as caught:
        log_in(monkeypatch, answers=[False])
    assert caught.value.kind is Kind.LOGIN_FAILED


def test_a_session_that_cannot_be_handed_on_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is too large would end the worker, and the next one after the next login."""
    with pytest.raises(SiteFailure, match="at most 10000 can be handed to the other workers") as caught:
        log_in(monkeypatch, answers=[True], size=10_000)
    assert caught.value.kind is Kind.LOGIN_FAILED


def test_an_inventory_is_told_with_what_is_needed_to_read_it(tmp_path: Path) -> None:
    """Its file by name, because it lies in the staging folder."""
    file = tmp_path / "inventory.csv"
    file.touch()
    inventory = Inventory(file, "Stock No", ";", "cp1252", "lot.toml:12: references.export")
    assert export(tmp_path, inventory) == InventoryExported(
        7, "inventory.csv", "Stock No", ";", "cp1252", "lot.toml:12: references.export"
    )


def test_an_inventory_that_is_not_there_any_more_is_the_recipes_mistake(tmp_path: Path) -> None:
    """It may have moved what it brought."""
    with pytest.raises(SiteFailure, match="did not bring"):
        export(tmp_path, Inventory(tmp_path / "inventory.csv", "Stock No"))


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
