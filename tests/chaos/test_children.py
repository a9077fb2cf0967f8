"""Children that go wrong in every way that a process can: the night completes, and says what happened."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor import chromium
from tests.end_to_end import recipes
from tests.end_to_end.harness import Night, Site, until
from tests.end_to_end.recipes import BAD

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]

RECIPES = recipes.__file__

TROUBLES = [
    pytest.param("Ends", {"worker_died": 1}, 1, "exit code 9", id="ends", marks=pytest.mark.long),
    pytest.param("Segfaults", {"worker_died": 1}, 1, "signal 11", id="segfault", marks=pytest.mark.long),
    pytest.param("Garbles", {"worker_garbled": 1}, 1, "is no message", id="garbage-on-the-pipe"),
    pytest.param("Floods", {"stuck": 1}, 1, "no answer for 12", id="flood-of-messages", marks=pytest.mark.long),
    pytest.param("Trickles", {"frozen": 1}, 1, "was silent", id="a-message-that-trickles", marks=pytest.mark.long),
    pytest.param("Shouts", {"recipe_error": 1}, 0, "deliberate", id="ten-megabytes-of-text", marks=pytest.mark.long),
    pytest.param("Tears", {"worker_died": 1}, 1, "exit code 9", id="torn-frame-and-a-copy-of-the-pipe"),
    pytest.param("HoldsTheLock", {"frozen": 1}, 1, "was silent", id="holds-the-lock-in-c", marks=pytest.mark.long),
    pytest.param("NeverAnswersDialogs", None, 0, "", id="unanswered-dialog", marks=pytest.mark.long),
    pytest.param("RaisesInHandler", None, 0, "", id="handler-that-raises", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("recipe", "failures", "kills", "said"), TROUBLES)
def test_a_child_that_goes_wrong_costs_one_attempt(  # noqa: PLR0917 - four of them make a row of the table
    recipe: str,
    failures: dict[str, int] | None,
    kills: int,
    said: str,
    begin: Begin,
    open_site: OpenSite,
    tmp_path: Path,
) -> None:
    """Its cause is in the log and in the figures, its reference is done again, nothing is left of its tree."""
    site = open_site(5)
    run = begin(site.url, f"{RECIPES}:{recipe}", task_timeout=6, stuck_threshold=12, heartbeat_timeout=4)
    run.environ["FIRST_TIME_MARK"] = str(tmp_path / "was-here")
    site.hold(4)  # the reference's own page, which is the last, until its trouble is over
    run.start()
    run.wait_for_log(said)
    memory = run.most_memory
    site.order("release")
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth, recovered=60)
    assert run.status is not None
    assert run.status.metrics.kills == kills
    assert memory < 80_000_000, "what a child says piles up in the supervisor"
    assert len(run.log) + len(run.said) < 100_000
    assert all(len(failure.message) < 5_000 for entry in entries.values() for failure in entry.failures)
    if failures is None:
        assert entries[BAD].attempts <= 2
    else:
        assert run.status.metrics.failures == failures
        assert entries[BAD].attempts == 1 + sum(failures.values())


@pytest.mark.long
def test_a_worker_that_takes_too_much_memory_is_killed(begin: Begin, open_site: OpenSite, tmp_path: Path) -> None:
    """In the midst of its attempt, which is charged and done again by another one."""
    site = open_site(5)
    run = begin(site.url, f"{RECIPES}:Grows", task_timeout=100, stuck_threshold=200, memory_limit=700_000_000)
    run.environ["FIRST_TIME_MARK"] = str(tmp_path / "was-here")
    assert run.run() == 0, run.said + run.log
    assert run.check(site.truth)[BAD].attempts == 2
    assert run.status is not None
    assert (run.status.metrics.kills, run.status.metrics.failures) == (1, {"memory": 1})
    assert "MB, 700 are allowed" in run.log


def test_an_answer_counts_although_its_worker_is_dead(begin: Begin, open_site: OpenSite) -> None:
    """What a worker had said before it died is read; at most what was handed to the dead one meanwhile is repeated."""
    site = open_site(5)
    run = begin(site.url, f"{RECIPES}:AnswersAndDies")
    assert run.run() == 0, run.said + run.log
    assert "signal 9" in run.log
    assert run.check(site.truth)[BAD].attempts == 1
    assert run.status is not None
    assert run.status.metrics.failures in ({}, {"worker_died": 1})


def test_a_reference_that_kills_every_worker_fails_with_that_verdict(begin: Begin, open_site: OpenSite) -> None:
    """It is tried last and alone after its second crash, the third is final; every other reference is completed."""
    site = open_site(6)
    run = begin(site.url, f"{RECIPES}:KillsEveryWorker", max_retries=5)
    assert run.run() == 1, run.said + run.log
    entries = run.check(site.truth, {BAD: "worker_died"})
    assert entries[BAD].attempts == 3
    error = entries[BAD].error
    assert error is not None
    assert "exit code 9" in error.message
    whole = json.loads((run.folder / "tracking.json").read_text())["references"]
    assert max(whole, key=lambda entry: str(entry["finished_at"]))["ref"] == BAD


@pytest.mark.long
def test_a_worker_that_fails_where_others_succeed_is_made_afresh(
    begin: Begin, open_site: OpenSite, tmp_path: Path
) -> None:
    """A fresh browser does not help it, a fresh process does; no reference is given up for what it did."""
    site = open_site(16)
    run = begin(site.url, f"{RECIPES}:Sick", sick_failures=2, task_timeout=100, stuck_threshold=200, step_patience=0)
    run.environ |= {"FIRST_TIME_MARK": str(tmp_path / "was-here"), "SICK_MARK": str(tmp_path / "sick")}
    site.hold(0)
    run.start()
    run.wait_for_log("deliberate")
    site.hold(4)  # the other one succeeds, and there is work left for both until the worker is found sick
    run.wait_for_completed()
    (tmp_path / "sick").touch()
    run.wait_for_log("it gets a fresh process and profile")
    site.order("release")
    assert run.end() == 0, run.said + run.log
    run.check(site.truth)
    browser, process = (run.log.find(f"it gets a fresh {what}") for what in ("browser", "process and profile"))
    assert 0 < browser < process


def test_workers_that_never_start_end_the_run_and_not_the_references(begin: Begin, open_site: OpenSite) -> None:
    """Exit code 5 after so many in a row, nothing charged, nothing left; with a sound recipe the same run completes."""
    site = open_site(4)
    broken = Path(RECIPES).with_name("never_starts.py")
    run = begin(site.url, f"{broken}:NeverStarts")
    assert run.run("--start-failures-limit", "3") == 5, run.said
    assert "no worker can be started on this machine" in run.said
    assert "exit code 9" in run.log
    run.check_orphans(10)
    assert "Traceback" not in run.said
    run.site = "demo"  # by its name the same site
    assert run.run() == 0, run.said + run.log
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}


@pytest.mark.long
def test_a_browser_that_goes_away_in_mid_run_ends_the_run_and_not_the_references(
    begin: Begin, open_site: OpenSite, tmp_path: Path
) -> None:
    """Its program is removed and its worker killed: exit code 5 after so many tries; with it back the run completes."""
    found = chromium.find("", "", headed=False, environ=os.environ)
    assert found is not None
    program, away = tmp_path / "browser", tmp_path / "away"
    program.write_text(f'#!/bin/sh\nexec "{found.path}" "$@"\n')
    program.chmod(0o755)
    site = open_site(4)
    run = begin(site.url, workers=1, browser=str(program), step_patience=0, task_timeout=60, stuck_threshold=90)
    site.order("hold")
    run.start("--start-failures-limit", "3", "--no-spare-worker")
    site.wait_until_held(1)
    program.rename(away)
    run.strike("child", signal.SIGKILL)
    assert run.end() == 5, run.said + run.log
    assert "no worker can be started on this machine, 3 times in a row" in run.said
    assert "Traceback" not in run.said
    run.check_nothing_left()
    away.rename(program)
    site.order("release")
    assert run.run() == 0, run.said + run.log
    run.check(site.truth)
    assert run.causes == {"worker_died": 1}


def test_answers_that_nobody_waits_for_change_nothing(begin: Begin, open_site: OpenSite) -> None:
    """Each twice, and each once more after the next one: every reference is done once, with its own documents."""
    site = open_site(8)
    run = begin(site.url, f"{RECIPES}:AnswersAgain")
    assert run.run() == 0, run.said + run.log
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}
    assert not run.causes + run.excused
    assert site.log()["vehicles"] == dict.fromkeys(site.truth.references, 1)


@pytest.mark.long
def test_a_recipe_that_cannot_recover_gets_another_browser(begin: Begin, open_site: OpenSite) -> None:
    """What it hung on fails for good after its attempts; what it raises in recover() costs no other reference."""
    site = open_site(5)
    run = begin(site.url, f"{RECIPES}:RaisesInRecover", task_timeout=2, stuck_threshold=20, max_retries=1)
    assert run.run() == 1, run.said + run.log
    entries = run.check(site.truth, {BAD: "timeout"})
    assert entries[BAD].attempts == 2
    assert "deliberate in recover" in "".join(
        path.read_text() for path in until(lambda: list((run.folder / "logs").glob("worker-*.log")), "there are logs")
    )
