"""The supervisor killed in every state, at any moment, alone and with everybody: the same command goes on."""

import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from supervisor.shell import linux
from tests.end_to_end import recipes
from tests.end_to_end.harness import Night, Site, until

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]


def _has_asked(run: Night, site: Site, requests: int) -> bool:
    """Say whether the website was asked so often, or nobody asks any more."""
    assert run.process is not None
    return sum(site.log()["requests"].values()) >= requests or run.process.poll() is not None


@pytest.mark.long
def test_a_supervisor_killed_at_random_instants_completes_all_the_same(begin: Begin, open_site: OpenSite) -> None:
    """During starts, login, export and work; what the killed one left is gone, and little is done twice."""
    dice = random.Random(20)  # noqa: S311 - to be repeated from its seed, no secret
    site = open_site(40)
    run = begin(site.url)
    kills = 0
    for _ in range(4):
        wanted = sum(site.log()["requests"].values()) + dice.randint(0, 20)
        run.start()
        until(partial(_has_asked, run, site, wanted), "so many pages were asked for")
        run.send(signal.SIGKILL)
        kills += run.end() == -signal.SIGKILL
        run.check_orphans()
    assert kills >= 2, "it was over too soon"
    assert run.run() == 0, run.said + run.log
    run.check(site.truth)
    assert run.tracking.run.starts <= 5
    assert sum(times - 1 for times in site.log()["vehicles"].values()) <= 2 * kills, "more than what was in flight"


@pytest.mark.long
def test_a_supervisor_killed_while_everybody_rests_leaves_nothing(begin: Begin, open_site: OpenSite) -> None:
    """Its workers wait for it and have nothing to do; the same command then completes the night, one attempt each."""
    site = open_site(6)
    run = begin(site.url, worker_delay=600)
    run.start()
    until(lambda: run.status and [w.state for w in run.status.workers] == ["idle"] * 2, "both have begun to wait")
    run.wait_for_completed(2)
    run.send(signal.SIGKILL)
    run.end()
    run.check_orphans()
    assert run.run("--worker-delay", "0") == 0, run.said + run.log
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}


@pytest.mark.long
def test_a_supervisor_killed_beside_a_worker_that_holds_the_lock_leaves_nothing(
    begin: Begin, open_site: OpenSite, tmp_path: Path
) -> None:
    """No thread of that worker can notice the death; the guardian ends it, and the same command completes the night."""
    site = open_site(5)
    run = begin(
        site.url, f"{recipes.__file__}:HoldsTheLock", heartbeat_timeout=300, task_timeout=300, stuck_threshold=600
    )
    mark = tmp_path / "was-here"
    run.environ["FIRST_TIME_MARK"] = str(mark)
    run.start()
    until(mark.exists, "a worker holds its lock")
    run.send(signal.SIGKILL)
    run.end()
    run.check_orphans()
    assert run.run() == 0, run.said + run.log
    assert run.check(site.truth)[recipes.BAD].attempts == 2


def test_after_a_power_cut_what_was_left_is_swept(begin: Begin, open_site: OpenSite) -> None:
    """Everything dies in one moment, the guardian too: the stale profiles of the browsers go at the next start."""
    site = open_site(10)
    run = begin(site.url)
    site.order("hold")
    run.start()
    site.wait_until_held(2)
    assert run.status is not None
    members = run.family.members()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for member in members:
            linux.send_signal(member.pid, member.start_time, number)
    run.end()
    run.check_no_process(10)
    assert list(run.temporary.rglob("playwright_chromiumdev_profile-*")), "there are stale profiles"
    site.order("release")
    assert run.run() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert sum(entry.attempts - 1 for entry in entries.values()) == 2, "what was in flight is counted and done again"
