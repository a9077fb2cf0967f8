"""Every member of a worker's tree killed or frozen in mid-run: the night completes, and says what happened."""

import signal
import time
from collections.abc import Callable

import pytest

from supervisor.shell import linux
from tests.end_to_end.harness import Night, Site

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]

BLOWS = [
    pytest.param("renderer", signal.SIGKILL, id="renderer-killed"),
    pytest.param("network", signal.SIGKILL, id="network-service-killed", marks=pytest.mark.long),
    pytest.param("browser", signal.SIGSTOP, id="browser-frozen"),
    pytest.param("child", signal.SIGSTOP, id="child-frozen", marks=pytest.mark.long),
    pytest.param("renderer", signal.SIGSTOP, id="renderer-frozen", marks=pytest.mark.long),
    pytest.param("driver", signal.SIGSTOP, id="driver-frozen", marks=pytest.mark.long),
    pytest.param("network", signal.SIGSTOP, id="network-service-frozen", marks=pytest.mark.long),
    pytest.param("child", signal.SIGKILL, id="child-killed", marks=pytest.mark.long),
    pytest.param("browser", signal.SIGKILL, id="browser-killed", marks=pytest.mark.long),
    pytest.param("driver", signal.SIGKILL, id="driver-killed", marks=pytest.mark.long),
]
CAUSES = {"timeout", "step_timeout", "frozen", "worker_died", "browser_lost", "page_crashed", "page_hung", "network"}


@pytest.mark.parametrize(("victim", "number"), BLOWS)
def test_a_blow_in_mid_run_loses_nothing(
    victim: str, number: signal.Signals, begin: Begin, open_site: OpenSite
) -> None:
    """Everything is completed, at most the attempts in flight failed, each for a cause that fits, nothing is left."""
    site = open_site(14)
    run = begin(site.url, task_timeout=5, stuck_threshold=12)
    run.start()
    run.wait_for_completed()
    begun = time.monotonic()
    struck = run.strike(victim, number)
    assert run.end() == 0, run.said + run.log
    print(f"{victim}: the night was over {time.monotonic() - begun:.1f} s after {number.name}")  # noqa: T201 - a figure
    run.check(site.truth)
    assert not linux.is_running(struck.pid, struck.start_time)
    assert run.status is not None
    failures = run.status.metrics.failures
    # Chromium keeps the cookies of a session in its network service: when that dies, the login page comes.
    assert set(failures) <= CAUSES | ({"session_expired"} if (victim, number) == ("network", signal.SIGKILL) else set())
    assert sum(failures.values()) <= 2


@pytest.mark.long
def test_a_child_killed_beside_its_frozen_browser_leaves_no_browser(begin: Begin, open_site: OpenSite) -> None:
    """The browser cannot notice the death; the supervisor kills it before the reference is queued again."""
    site = open_site(12)
    run = begin(site.url)
    run.start()
    run.wait_for_completed()
    for browser in run.find("browser"):
        linux.send_signal(browser.pid, browser.start_time, signal.SIGSTOP)
    for child in run.find("child"):
        linux.send_signal(child.pid, child.start_time, signal.SIGKILL)
    assert run.end() == 0, run.said + run.log
    run.check(site.truth)


@pytest.mark.long
def test_a_supervisor_killed_beside_frozen_browsers_leaves_nothing(begin: Begin, open_site: OpenSite) -> None:
    """The guardian ends what cannot end itself, within 40 seconds; the same command then completes the night."""
    site = open_site(12)
    run = begin(site.url)
    run.start()
    run.wait_for_completed()
    for browser in run.find("browser"):
        linux.send_signal(browser.pid, browser.start_time, signal.SIGSTOP)
    run.send(signal.SIGKILL)
    run.end()
    run.check_no_process(40)
    assert run.run() == 0, run.said + run.log
    run.check(site.truth)


@pytest.mark.long
def test_a_whole_tree_that_stood_still_blames_nobody(begin: Begin, open_site: OpenSite) -> None:
    """After a pause of everything (a suspended machine), deadlines are set afresh: no time-out, no kill."""
    site = open_site(10)
    run = begin(site.url, task_timeout=8, stuck_threshold=12, heartbeat_timeout=5)
    run.start()
    run.wait_for_completed()
    members = run.family.members()
    for member in members:
        linux.send_signal(member.pid, member.start_time, signal.SIGSTOP)
    time.sleep(14)  # the length of the pause is what is tested
    for member in members:
        linux.send_signal(member.pid, member.start_time, signal.SIGCONT)
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}, "a time-out of the pause was charged"
    assert run.status is not None
    assert run.status.metrics.kills == 0, run.log
