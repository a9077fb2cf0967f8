"""Nights that cannot be: each is refused or ended with one sentence and the right exit code."""

import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.harness import ROOT, Night, Site, until

RECIPES = ROOT / "tests" / "end_to_end" / "recipes.py"
Begin = Callable[..., Night]
OpenSite = Callable[..., Site]


def test_a_wrong_password_ends_the_run_at_the_first_refusal(begin: Begin, open_site: OpenSite) -> None:
    """Exit code 4, one refused login and no more, whoever starts it again; the password is in no file of the run."""
    site = open_site(4)
    run = begin(site.url)
    run.environ["NIGHTFLEET_DEMO_PASSWORD"] = "quite-wrong-42"  # noqa: S105 - wrong on purpose
    assert run.run() == 4, run.said
    assert site.log()["refusals"] == 1
    assert "Traceback" not in run.said
    run.check_nothing_left()
    assert run.run() == 4, "the same command again"
    assert site.log()["refusals"] == 1, "the same password was tried again"
    assert "--try-login-again" in run.said
    run.environ["NIGHTFLEET_DEMO_PASSWORD"] = "also-wrong-42"  # noqa: S105 - as above
    assert run.run() == 4, run.said
    assert run.run("--try-login-again") == 4, run.said
    assert site.log()["refusals"] == 3
    for path in run.folder.rglob("*"):
        assert not path.is_file() or b"quite-wrong-42" not in path.read_bytes(), path


def test_a_site_that_is_not_there_stops_the_run(begin: Begin) -> None:
    """Exit code 3: it can be resumed when the site is back."""
    with socket.socket() as taken:  # bound but not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        run = begin(f"http://127.0.0.1:{taken.getsockname()[1]}", login_tries=2)
        assert run.run() == 3, run.said
    assert "Traceback" not in run.said
    run.check_nothing_left()


@pytest.mark.parametrize(
    ("recipe", "codes"),
    [
        ("ExportsHtml", {2}),
        ("RaisesInLogIn", {2, 3}),
        pytest.param("RaisesInIsLoggedIn", {2, 3}, marks=pytest.mark.long),
        ("RaisesInExport", {2, 3}),
    ],
)
def test_a_recipe_that_cannot_begin_ends_the_run(
    recipe: str, codes: set[int], begin: Begin, open_site: OpenSite
) -> None:
    """The log says which exception it was; nobody sees a traceback on the terminal."""
    site = open_site(4)
    run = begin(site.url, f"{RECIPES}:{recipe}", login_tries=2, outage_limit=3)
    assert run.run() in codes, run.said + run.log
    assert "Traceback" not in run.said
    if recipe != "ExportsHtml":
        assert "deliberate in" in run.log
    run.check_nothing_left()


def test_two_supervisors_never_share_a_run_directory(begin: Begin, open_site: OpenSite) -> None:
    """The second is refused with exit code 5 and the pid of the first, which is not disturbed."""
    site = open_site(10)
    run = begin(site.url)
    site.hold(4)
    run.start()
    run.wait_for_completed()
    second = Night(run.folder, site.url)
    second.environ |= run.environ
    assert second.run() == 5
    assert run.process is not None
    assert f"pid {run.process.pid}" in second.said
    site.order("release")
    assert run.end() == 0, run.said
    run.check(site.truth)


def test_a_browser_that_is_none_is_refused(begin: Begin, open_site: OpenSite, tmp_path: Path) -> None:
    """The path and where it came from are named, nothing is started."""
    false = tmp_path / "no-browser"
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)
    run = begin(open_site(2).url, browser=str(false))
    assert run.run() in {2, 5}
    assert str(false) in run.said
    assert "Traceback" not in run.said


def test_a_run_directory_of_another_site_is_refused(begin: Begin, open_site: OpenSite) -> None:
    """Exit code 2, and nothing in it is touched."""
    site = open_site(3)
    first = begin(site.url)
    assert first.run() == 0, first.said
    before = (first.folder / "tracking.json").read_bytes()
    second = begin(site.url, f"{RECIPES}:Elsewhere")
    second.family = first.family
    assert second.run() == 2, second.said
    assert (first.folder / "tracking.json").read_bytes() == before


HOOK = """
import sys, time
from pathlib import Path
folder = Path(sys.argv[1])
(folder / "begun").touch()
while not (folder / "go").exists():
    time.sleep(0.05)
(folder / "told").touch()
"""


def test_an_interrupt_when_all_is_done_changes_nothing(begin: Begin, open_site: OpenSite, tmp_path: Path) -> None:
    """Whoever is told of the end is told, nobody is left behind, and the exit code is what came of the run."""
    site = open_site(1)
    hook = tmp_path / "hook.py"
    hook.write_text(HOOK)
    run = begin(site.url, on_finish=f"{sys.executable} {hook} {tmp_path}", hook_timeout=60)
    run.start()
    until((tmp_path / "begun").exists, "the hook is called")
    run.send(signal.SIGINT)
    (tmp_path / "go").touch()
    assert run.end() == 0, run.said
    assert (tmp_path / "told").exists()
    run.check_nothing_left()


def test_the_second_interrupt_ends_at_once_and_counts_nothing(begin: Begin, open_site: OpenSite) -> None:
    """What was in flight goes back uncounted, exit code 3, nothing left behind."""
    site = open_site(4, "never-answers=1:always")
    run = begin(site.url, task_timeout=60, stuck_threshold=90, workers=2)
    run.start()
    run.wait_for_log("the inventory has")
    run.find("child")
    run.send(signal.SIGTERM)
    run.wait_for_log("SIGTERM")
    run.send(signal.SIGTERM)
    assert run.end(60) == 3, run.said
    assert {entry.attempts for entry in run.tracking.references} <= {0}
    run.check_nothing_left()
