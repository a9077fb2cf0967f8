"""``run.py check`` as a person meets it: what fits, what does not and what is near it, and nothing left behind."""

import re
import signal
from collections.abc import Callable, Iterator

import pytest

from supervisor.demo_site import URL_VARIABLE, hashes
from tests.end_to_end.harness import Site
from tests.terminal import LIMIT, ROOT, Terminal
from tests.worker.lot_site import PASSWORD, USER, LotSite

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lot() -> Iterator[LotSite]:
    """The test site, running."""
    with LotSite() as site:
        yield site


def of_lot(lot: LotSite, password: str = PASSWORD) -> dict[str, str]:
    return {"LOT_URL": lot.url, "LOT_USER": USER, "LOT_PASSWORD": password}


MISFITS = ROOT / "tests/worker/misfits.py"


def misfit(name: str) -> str:
    return f"{MISFITS}:{name}"


def place(code: str) -> str:
    lines = MISFITS.read_text().splitlines()
    return f"{MISFITS}:{next(number for number, line in enumerate(lines, 1) if code in line)}"


def test_a_recipe_that_fits_passes_every_step(terminal: Terminal, open_site: Callable[..., Site]) -> None:
    """Each step as it happens; the documents of a reference with odd characters lie where the last line says."""
    site = open_site(60)
    code, said = terminal.run("check", "demo", "--ref", " T-1042/B ", "--output", "seen", **{URL_VARIABLE: site.url})
    assert code == 0, said
    steps = ["recipe", "secrets", "browser", "log in", "logged in, says the recipe", "inventory", "60 references in"]
    steps += ["vehicle", "step: open the vehicle", "%2FB", "document ", "PDF, ", "recover", "everything fits"]
    position = 0
    for step in steps:
        position = said.index(step, position)
    assert "documents are in seen/documents" in said
    expected = {document.name: document.sha256 for document in site.truth.references["T-1042/B"].documents}
    assert hashes(terminal.folder / "seen" / "documents") == expected
    assert "harbour-lane" not in said


def test_a_field_that_is_not_there_is_shown_with_what_is_near(terminal: Terminal, lot: LotSite) -> None:
    """Selector, page, the nearest field, the line of the recipe, the screenshot; no secret anywhere."""
    code, said = terminal.run("check", misfit("WrongField"), "--patience", "0.5", "--output", "seen", **of_lot(lot))
    assert code == 2, said
    assert "step_timeout: #pasword matches nothing on this page" in said
    assert "#password  password field" in said
    assert place('fill("#pasword"') in said
    assert " seen/failures/log-in/screenshot.png\n" in said
    assert (terminal.folder / "seen/failures/log-in/screenshot.png").is_file()
    assert PASSWORD not in said + (terminal.folder / "seen/check.log").read_text()


def test_links_that_match_nothing_are_shown_with_what_is_near(terminal: Terminal, lot: LotSite) -> None:
    """Although nothing has raised but the program, which counts; then it goes back to the inventory all the same."""
    code, said = terminal.run("check", misfit("WrongLinks"), "--ref", "two", **of_lot(lot))
    assert code == 2, said
    assert "a.documents: matches nothing" in said
    assert "a.document  link 'a' to /pdf/a.pdf" in said
    assert place('locator("a.documents")') in said
    assert "back at the inventory" in said
    assert "two is not among them; it is tried all the same" in said


def test_a_recipe_in_toml_is_told_of_by_key_and_line(terminal: Terminal, open_site: Callable[..., Site]) -> None:
    """With every selector of the step that found nothing, and what is near it; without an export none is tried."""
    site = open_site(3)
    text = (ROOT / "worker/sites/demo/demo.toml").read_text().replace("http://127.0.0.1:8080", site.url)
    text = text.replace('"a.document"', '"a.pdf-document"').replace('"button.document"', '"button.doc"')
    text = text.replace("[login]", "patience = 1\n[login]").replace('[references.export]\nclick = "#export"', "")
    (terminal.folder / "lot.toml").write_text(text.replace('column = "Stock No"', ""))
    account = {"HARBOUR_USER": "night", "HARBOUR_PASSWORD": "harbour-lane"}
    code, said = terminal.run("check", "lot.toml", "--ref", next(iter(site.truth.references)), **account)
    assert code == 2, said
    assert "inventory  …" not in said
    assert re.search(r"documents_missing: lot.toml:\d+: documents.fewest: 'a.pdf-document' and 'button.doc'", said)
    for part in ("selector  a.pdf-document: matches nothing", "nearest   a.document", "selector  button.doc: matches"):
        assert part in said
    assert "harbour-lane" not in said


@pytest.mark.long
def test_a_column_that_is_not_there_is_named_with_those_that_are(terminal: Terminal, lot: LotSite) -> None:
    """As a run would say it; without a reference from the export nothing more is tried."""
    code, said = terminal.run("check", misfit("WrongColumn"), **of_lot(lot))
    assert code == 2, said
    assert "the export has no column 'Stock Number'; there are 'Stock No', 'Make'" in said
    assert "vehicle" not in said


def test_a_refused_login_is_tried_once(terminal: Terminal, lot: LotSite) -> None:
    """Exit code 4; the password that was tried is shown nowhere."""
    before = lot.logins
    recipe = f"{ROOT / 'tests/worker/lot_recipe.py'}:Lot"
    code, said = terminal.run("check", recipe, "--output", "seen", **of_lot(lot, "wr0ng-one"))
    assert code == 4, said
    assert "login_refused: the site answered: wrong user or password" in said
    assert lot.logins == before + 1
    assert "wr0ng-one" not in said + (terminal.folder / "seen/check.log").read_text()


@pytest.mark.long
def test_a_vehicle_that_the_site_does_not_have_is_the_sites_word(terminal: Terminal, lot: LotSite) -> None:
    """Exit code 1, with the page that said so and a near reference of the export."""
    recipe = f"{ROOT / 'tests/worker/lot_recipe.py'}:Lot"
    code, said = terminal.run("check", recipe, "--ref", "plane", **of_lot(lot))
    assert code == 1, said
    assert "plane is not among them (near it: plain)" in said
    assert "not_found: the site answered 404 (Not Found)" in said
    assert "a step failed by the site's doing" in said


def test_ctrl_c_leaves_nothing(terminal: Terminal, lot: LotSite) -> None:
    """In the middle of a page that never answers: no process, no temporary folder."""
    lot.arrived.clear()
    process = terminal.start("check", f"{ROOT / 'tests/worker/lot_recipe.py'}:Lot", "--ref", "never", **of_lot(lot))
    assert lot.arrived.wait(LIMIT)
    assert terminal.family.members()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 3, said
    assert said.endswith("nightfleet: interrupted\n")
    terminal.check_nothing_left()


def test_an_output_that_holds_something_is_refused(terminal: Terminal, lot: LotSite) -> None:
    """So that what one looks at afterwards is of this check alone."""
    (terminal.folder / "seen").mkdir()
    (terminal.folder / "seen" / "mine").touch()
    recipe = f"{ROOT / 'tests/worker/lot_recipe.py'}:Lot"
    code, said = terminal.run("check", recipe, "--output", "seen", **of_lot(lot))
    assert code == 2
    assert "is not empty" in said.splitlines()[-1]
