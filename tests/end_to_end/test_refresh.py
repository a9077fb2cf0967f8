"""Another night in the same run directory: what changed on the site is put beside what was there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.end_to_end.harness import ROOT, Night
from tests.worker.lot_site import PASSWORD, USER, Answer, LotSite, make_pdf

RECIPE = ROOT / "tests" / "worker" / "lot_recipe.py"
Begin = Callable[..., Night]


class ChangingLot(LotSite):
    """Its stock and its documents are what the test says."""

    stock: tuple[str, ...] = ()

    async def export(self, _request: web.Request) -> Answer:
        text = "\n".join(("Stock No", *self.stock, ""))
        return web.Response(text=text, headers={"Content-Disposition": 'attachment; filename="all.csv"'})


@pytest.fixture
def lot() -> Iterator[ChangingLot]:
    with ChangingLot() as site:
        yield site


def lot_night(begin: Begin, lot: ChangingLot, password: str = PASSWORD) -> Night:
    run = begin(lot.url, f"{RECIPE}:Lot", workers=1)
    run.environ |= {"LOT_URL": lot.url, "LOT_USER": USER, "LOT_PASSWORD": password}
    return run


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return found


def test_on_the_next_night_changed_documents_are_put_beside_the_old_ones(begin: Begin, lot: ChangingLot) -> None:
    """New references come along, what is the same is left, what is no longer in the stock stays as it is."""
    lot.stock = ("two", "plain", "blank")
    run = lot_night(begin, lot)
    assert run.run() == 0, run.said
    old, opened = lot.pdf, dict(lot.opened)
    assert run.run("--refresh", "1") == 0, run.said
    assert lot.opened == opened, "nothing was done more than an hour ago"

    lot.pdf = make_pdf("another")
    lot.stock = ("two", "blank", "alert")
    assert run.run("--refresh", "0") == 0, run.said
    tracking = run.tracking
    assert sorted((entry.ref, entry.state) for entry in tracking.references) == [
        (ref, "completed") for ref in ("alert", "blank", "plain", "two")
    ]
    assert lot.opened["plain"] == opened["plain"], "it is not in the stock any more"
    documents = run.folder / "documents"
    assert (documents / "two" / "a.pdf").read_bytes() == lot.pdf
    found = manifest(documents / "two")
    assert [document["name"] for document in found["documents"]] == ["a.pdf", "b.pdf"]
    assert [former["name"] for former in found["former"]] == ["a.pdf", "b.pdf"]
    assert {(documents / "two" / former["path"]).read_bytes() for former in found["former"]} == {old}
    assert manifest(documents / "alert")["former"] == []
    run.check_nothing_left()

    assert run.run("--refresh", "0") == 0, run.said
    again = manifest(documents / "two")
    assert (again["former"], len(list((documents / "two" / "previous").iterdir()))) == (found["former"], 1)
    assert again["attempt"] > found["attempt"]


def test_a_failed_login_leaves_its_evidence_and_nothing_else(begin: Begin, lot: ChangingLot) -> None:
    """The page with the site's own words, where people look for it; the password is in none of it."""
    run = lot_night(begin, lot, password="wr0ng-password")  # noqa: S106 - of a site made here
    assert run.run() == 4, run.said
    evidence = run.folder / "failures" / "_login" / "attempt-1"
    assert {"error.txt", "page.html", "screenshot.png"} <= {path.name for path in evidence.iterdir()}
    assert "login_refused: the site answered: wrong user or password" in (evidence / "error.txt").read_text()
    assert 'class="error"' in (evidence / "page.html").read_text()
    assert "failures/_login/attempt-1" in run.log
    run.check_nothing_left()


@pytest.mark.long
def test_a_rejected_export_is_kept_to_be_looked_at(begin: Begin, lot: ChangingLot) -> None:
    """It is the best evidence of what is wrong with it."""
    lot.stock = ("two", "\x00")
    run = lot_night(begin, lot)
    assert run.run() == 2, run.said
    kept = run.folder / "failures" / "_export" / "attempt-1"
    assert sorted(path.name for path in kept.iterdir()) == ["error.txt", "inventory.csv"]
    assert (kept / "inventory.csv").read_text().startswith("Stock No\ntwo\n")
    run.check_nothing_left()
