"""Every member of a worker's tree killed or frozen in mid-run: the night completes, and says what happened."""

import signal
import time
from collections.abc import Callable

import pytest

from supervisor.shell import linux
from tests.end_to_end.harness import Night, Site

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]

LONG = pytest.mark.long
SLOW = {"timeout"}
BLOWS = [
    pytest.param("child", signal.SIGKILL, {"worker_died"}, "signal 9", id="child-killed"),
    pytest.param("driver", signal.SIGKILL, {"worker_died"}, "exit code 71 (its driver died)", id="driver-killed"),
    pytest.param("browser", signal.SIGKILL, {"browser_lost"}, "browser_lost", id="browser-killed"),
    pytest.param("renderer", signal.SIGKILL, {"page_crashed"}, "page_crashed", id="renderer-killed"),
    pytest.param("browser", signal.SIGSTOP, SLOW, "timeout", id="browser-frozen"),
    pytest.param("child", signal.SIGSTOP, {"frozen"}, "was silent", id="child-frozen", marks=LONG),
    pytest.param("driver", signal.SIGSTOP, SLOW, "timeout", id="driver-frozen", marks=LONG),
    pytest.param("renderer", signal.SIGSTOP, SLOW, "timeout", id="renderer-frozen", marks=LONG),
    pytest.param("network", signal.SIGSTOP, SLOW, "timeout", id="network-service-frozen", marks=LONG),
    # Chromium keeps the cookies of a session in its network service: when that dies, the login page comes.
    pytest.param("network", signal.SIGKILL, set(), "session_expired", id="network-service-killed", marks=LONG),
]


@pytest.mark.parametrize(("victim", "number", "causes", "said"), BLOWS)
def test_a_blow_in_mid_run_loses_nothing(  # noqa: PLR0917 - four of them make a row of the table
    victim: str, number: signal.Signals, causes: set[str], said: str, begin: Begin, open_site: OpenSite
) -> None:
    """What was struck while it waited for a page costs that attempt, for its own cause, and nothing else."""
    site = open_site(8)
    run = begin(site.url, task_timeout=5, stuck_threshold=12, step_patience=0)
    site.order("hold")
    run.start()
    site.wait_until_held(2)
    struck = run.strike(victim, number)
    begun = time.monotonic()
    site.order("release")
    assert run.end() == 0, run.said + run.log
    print(f"{victim}: the night was over {time.monotonic() - begun:.1f} s after {number.name}")  # noqa: T201 - a figure
    entries = run.check(site.truth, recovered=60)
    assert not _living(struck)
    assert run.causes == dict.fromkeys(causes, 1), run.log
    assert said in run.log
    assert sum(entry.attempts - 1 for entry in entries.values()) == len(causes)


def _living(processes: list[linux.Stat]) -> list[linux.Stat]:
    return [process for process in processes if linux.is_running(process.pid, process.start_time)]


@pytest.mark.long
def test_a_child_killed_beside_its_frozen_browser_leaves_no_browser(begin: Begin, open_site: OpenSite) -> None:
    """The browser cannot notice the death; the supervisor kills it before the reference is queued again."""
    site = open_site(8)
    run = begin(site.url, task_timeout=60, stuck_threshold=90, step_patience=0)
    site.order("hold")
    run.start()
    site.wait_until_held(2)
    frozen = run.strike("browser", signal.SIGSTOP)
    run.strike("child", signal.SIGKILL)
    run.wait_for_log("tried again in")
    assert not _living(frozen), "the reference was queued again beside its browser"
    site.order("release")
    assert run.end() == 0, run.said + run.log
    run.check(site.truth)
    assert run.causes == {"worker_died": 1}, run.log


@pytest.mark.long
def test_a_supervisor_killed_beside_frozen_browsers_leaves_nothing(begin: Begin, open_site: OpenSite) -> None:
    """With child and driver killed as well the guardian alone can end them, within 40 seconds; the night goes on."""
    site = open_site(8)
    run = begin(site.url, task_timeout=60, stuck_threshold=90, step_patience=0)
    site.order("hold")
    run.start()
    site.wait_until_held(2)
    frozen = run.strike("browser", signal.SIGSTOP) + run.strike("browser", signal.SIGSTOP, slot=2)
    assert len(frozen) >= 2
    run.send(signal.SIGKILL)
    for victim in run.find("child") + run.find("driver"):
        linux.send_signal(victim.pid, victim.start_time, signal.SIGKILL)
    run.end()
    run.check_orphans(40)
    site.order("release")
    assert run.run() == 0, run.said + run.log
    run.check(site.truth)
    assert run.causes == {"supervisor_lost": 2}, run.log


@pytest.mark.long
def test_a_whole_tree_that_stood_still_blames_nobody(begin: Begin, open_site: OpenSite) -> None:
    """After a pause of everything (a suspended machine), deadlines are set afresh: no time-out, no kill."""
    site = open_site(10)
    run = begin(site.url, task_timeout=8, stuck_threshold=12, heartbeat_timeout=5)
    site.hold(6)
    run.start()
    run.wait_for_completed()
    members = run.family.members()
    for member in members:
        linux.send_signal(member.pid, member.start_time, signal.SIGSTOP)
    site.order("release")
    time.sleep(14)  # the length of the pause is what is tested
    for member in members:
        linux.send_signal(member.pid, member.start_time, signal.SIGCONT)
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}, "a time-out of the pause was charged"
    assert run.status is not None
    assert run.status.metrics.kills == 0, run.log
    assert "the supervisor stood still for 1" in run.log
    assert not run.causes
