"""Whole nights with the demo's recipe in TOML, which must bring what the one in Python brings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.harness import ROOT, Night, Site

RECIPE = (ROOT / "worker" / "sites" / "demo" / "demo.toml").read_text("utf-8")
Begin = Callable[..., Night]
OpenSite = Callable[..., Site]


def begun(begin: Begin, site: Site, folder: Path, *changes: tuple[str, str], **options: str | float) -> Night:
    """Return a night with the demo's recipe, changed, for this website."""
    text = RECIPE.replace("http://127.0.0.1:8080", site.url)
    for there, instead in changes:
        assert there in text
        text = text.replace(there, instead)
    path = folder / "demo.toml"
    path.write_text(text, "utf-8")
    run = begin(site.url, str(path), **options)
    run.environ |= {"HARBOUR_USER": "night", "HARBOUR_PASSWORD": "harbour-lane"}
    return run


def test_the_recipe_in_toml_brings_every_document(begin: Begin, open_site: OpenSite, tmp_path: Path) -> None:
    """Links, forms and scripts, odd references, a window and a page that moves on: all equal to the site's truth."""
    site = open_site(12, "target-blank=0.4,meta-refresh=0.4")
    run = begun(begin, site, tmp_path)
    assert run.run() == 0, run.said
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert site.log()["logins"] == 1


@pytest.mark.long
def test_a_listing_in_the_place_of_the_export(begin: Begin, open_site: OpenSite, tmp_path: Path) -> None:
    """The program writes the inventory itself, and goes on as with any other."""
    site = open_site(27)
    listing = '[references.listing]\nreference = "#inventory tbody td:first-child"\n'
    listing += 'next = "a[rel=next]"\ntotal = "h1 small"\n'
    export = RECIPE[RECIPE.index("[references.export]") : RECIPE.index("[vehicle]")]
    run = begun(begin, site, tmp_path, (export, listing + "\n"))
    assert run.run() == 0, run.said
    run.check(site.truth)
    lines = (run.folder / "inventory.csv").read_text("utf-8").splitlines()
    assert lines[0] == "reference"
    assert lines[1:] == list(site.truth.references)


@pytest.mark.parametrize(
    ("there", "instead", "said"),
    [
        ('"Stock No"', '"Stok No"', "references.export: the export has no column 'Stok No'; there are 'Stock No'"),
        pytest.param(
            'click = "#export"',
            'click = "#exprt"',
            "references.export.click: '#exprt' matched nothing",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_only_the_site_can_show_ends_the_run(
    begin: Begin, open_site: OpenSite, tmp_path: Path, *, there: str, instead: str, said: str
) -> None:
    """A column that is not there, a selector that matches nothing or too much: exit code 2, and where it stands."""
    run = begun(begin, open_site(3), tmp_path, (there, instead), ("base_url", "patience = 1\nbase_url"), workers=1)
    assert run.run() == 2, run.said + run.log
    assert said in run.said
    assert "demo.toml:" in run.said
