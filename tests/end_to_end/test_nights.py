"""Whole nights with real browsers: the original design's four tests, and going on afterwards."""

import contextlib
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.harness import ROOT, Night, Site, until
from tests.end_to_end.recipes import BAD

RECIPES = ROOT / "tests" / "end_to_end" / "recipes.py"
Begin = Callable[..., Night]
OpenSite = Callable[..., Site]


def test_a_hundred_vehicles_are_each_done_once(begin: Begin, open_site: OpenSite) -> None:
    """No reference is opened twice, and every document equals the site's truth."""
    site = open_site(100)
    run = begin(site.url, workers=3)
    assert run.run() == 0, run.said
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    log = site.log()
    assert log["vehicles"] == dict.fromkeys(site.truth.references, 1)
    assert log["logins"] == 1


def test_a_task_that_hangs_is_timed_out_and_queued_again(begin: Begin, open_site: OpenSite) -> None:
    """A page that is never answered costs its reference one attempt, in the worker, without a kill."""
    site = open_site(8, "never-answers")
    run = begin(site.url, task_timeout=4)
    assert run.run() == 0, run.said
    entries = run.check(site.truth)
    assert (
        sorted(entry.attempts for entry in entries.values()) == [1] * 7 + [2]
        or max(entry.attempts for entry in entries.values()) == 2
    )
    assert run.status is not None
    assert run.status.metrics.kills == 0
    assert set(run.status.metrics.failures) <= {"timeout", "step_timeout"}


def test_a_failing_task_is_retried_twice_and_then_marked_failed(begin: Begin, open_site: OpenSite) -> None:
    """Three attempts by default, then the reference has failed with its last error and the exit code says so."""
    site = open_site(6)
    run = begin(site.url, f"{RECIPES}:RaisesInProcess")
    assert run.run() == 1, run.said
    entries = run.check(site.truth, {BAD: "recipe_error"})
    assert entries[BAD].attempts == 3
    error = entries[BAD].error
    assert error is not None
    assert "deliberate in process" in error.message
    evidence = run.folder / "failures" / entries[BAD].folder
    assert {folder.name for folder in evidence.iterdir()} == {"attempt-1", "attempt-2", "attempt-3"}


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        pytest.param("Spins", "frozen", marks=pytest.mark.long),
        ("Blocks", "frozen"),
        pytest.param("Stubborn", "", marks=pytest.mark.long),
    ],
)
def test_a_stuck_child_is_killed_and_its_reference_recovered(
    recipe: str, kind: str, begin: Begin, open_site: OpenSite, tmp_path: Path
) -> None:
    """A child that never gives control back, or ignores being cancelled, costs one attempt and no reference."""
    site = open_site(5)
    run = begin(site.url, f"{RECIPES}:{recipe}", task_timeout=3, stuck_threshold=8, heartbeat_timeout=4)
    run.environ["FIRST_TIME_MARK"] = str(tmp_path / "was-here")
    assert run.run() == 0, run.said
    entries = run.check(site.truth)
    assert entries[BAD].attempts == 2
    assert run.status is not None
    if kind:
        assert run.status.metrics.kills == 1
        assert run.status.metrics.failures == {kind: 1}


def test_a_killed_supervisor_goes_on_where_it_was(begin: Begin, open_site: OpenSite) -> None:
    """Nothing completed is done again, nothing is lost, and what the dead one started is gone.

    In flight is what the ledger calls so: an attempt at each worker, and those whose documents are being published.
    """
    site = open_site(16)
    run = begin(site.url)
    site.hold(9)
    run.start()
    run.wait_for_completed(3)
    run.family.members()
    run.send(signal.SIGKILL)
    run.end()
    until(lambda: not run.family.members(), "nothing of the killed supervisor is left", 10)
    site.order("release")
    with contextlib.closing(sqlite3.connect(f"file:{run.folder / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        (in_flight,) = ledger.execute("SELECT count(*) FROM attempt WHERE outcome = 'running'").fetchone()
    assert run.run() == 0, run.said
    run.check(site.truth)
    assert run.tracking.run.starts == 2
    repeated = sum(times - 1 for times in site.log()["vehicles"].values())
    assert repeated <= in_flight, "more than what was in flight was repeated"


def test_an_interrupted_night_finishes_what_is_in_flight_and_goes_on_later(begin: Begin, open_site: OpenSite) -> None:
    """Ctrl-C ends it with exit code 3 and nothing left behind; the same command completes it, no attempt repeated."""
    site = open_site(16)
    run = begin(site.url, task_timeout=60, stuck_threshold=90)
    site.hold(2)
    run.start()
    site.wait_until_held(2)
    run.send(signal.SIGINT)
    until(lambda: run.status and run.status.run.state == "draining", "it drains")
    site.order("release")
    assert run.end() == 3, run.said
    run.check_nothing_left()
    assert run.tracking.totals.completed == 4
    assert run.tracking.totals.in_progress == 0
    assert run.run() == 0, run.said
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert site.log()["vehicles"] == dict.fromkeys(site.truth.references, 1)
