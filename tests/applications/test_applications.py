import json
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from supervisor import demo_site
from tests.applications import calibre_web, roundup_tracker
from tests.end_to_end.harness import LONGEST, ROOT, Night


class Case(NamedTuple):
    """An application, its recipe, the variables for the recipe's secrets, and where the recipe says it is."""

    module: str
    recipe: str
    secrets: dict[str, str]
    address: str
    user: str


CASES = [
    Case(
        "roundup_tracker",
        "roundup.toml",
        {"ROUNDUP_USER": roundup_tracker.USER, "ROUNDUP_PASSWORD": roundup_tracker.PASSWORD},
        "http://127.0.0.1:8080",
        "ROUNDUP_PASSWORD",
    ),
    Case(
        "calibre_web",
        "calibre_web.toml",
        {"CALIBRE_USER": calibre_web.USER, "CALIBRE_PASSWORD": calibre_web.PASSWORD},
        "http://127.0.0.1:8083",
        "CALIBRE_PASSWORD",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.module for case in CASES])
def test_an_application_is_read_by_a_recipe_alone(case: Case, begin: Callable[..., Night], tmp_path: Path) -> None:
    """Every document of every item comes home as the application holds it; a wrong password is refused once."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.applications.{case.module}", str(tmp_path / "application")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as application:
        assert application.stdout is not None
        assert application.stdin is not None
        try:
            assert select.select([application.stdout], [], [], LONGEST)[0], "the application does not start"
            told = json.loads(application.stdout.readline())
            recipe = tmp_path / case.recipe
            text = Path(__file__).with_name(case.recipe).read_text()
            recipe.write_text(text.replace(case.address, told["url"]))

            refused = begin("", str(recipe), name="refused", workers=1)
            refused.environ |= case.secrets | {case.user: "not the password"}
            assert refused.run() == 4, refused.said
            assert "not the password" not in refused.log

            run = begin("", str(recipe))
            run.environ |= case.secrets
            assert run.run() == 0, run.said + run.log
        finally:
            application.stdin.close()
            application.wait(LONGEST)
    entries = {entry.ref: entry for entry in run.tracking.references}
    assert entries.keys() == told["truth"].keys()
    for ref, documents in told["truth"].items():
        assert entries[ref].state == "completed"
        assert demo_site.hashes(run.folder / "documents" / entries[ref].folder) == documents
    run.check_nothing_left()
