"""Trouble outside with real browsers: nobody pays for it, and the night completes by itself."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.end_to_end.harness import Night, Site, until

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]
_MEMORY = Path("/sys/fs/cgroup/memory")
_MB = 1_000_000


def _starts(run: Night) -> list[float]:
    """Return when each attempt was started, in seconds since the epoch."""
    with sqlite3.connect(f"file:{run.folder / 'ledger.db'}?mode=ro", uri=True) as ledger:
        rows = ledger.execute("SELECT started_at FROM attempt ORDER BY id").fetchall()
    return [datetime.fromisoformat(row[0]).timestamp() for row in rows]


@pytest.mark.long
def test_a_site_that_crashes_and_comes_back_costs_nobody_an_attempt(begin: Begin, open_site: OpenSite) -> None:
    """Connections are refused, then the site is back and has forgotten every session: one attempt each.

    Meanwhile each look at it comes after a pause twice as long.
    """
    site = open_site(20)
    run = begin(site.url, workers=3, breaker_pause=1, task_timeout=30, stuck_threshold=45)
    site.hold(2)
    run.start()
    site.wait_until_held(3)
    site.crash()
    said = "nothing is handed out for "
    run.wait_for_log(said, 4)
    assert run.status is not None
    assert run.status.site.state not in {"up", "unknown"}
    site.start_again()
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    # A click in that moment brings no download, which is all that its worker can tell.
    assert run.excused.keys() <= {"network", "session_expired", "document_stalled"}, run.excused
    pauses = [line.rpartition(said)[2] for line in run.log.splitlines() if said in line]
    assert pauses[:4] == ["1 s", "2 s", "4 s", "8 s"], run.log


def test_the_last_reference_pays_nothing_for_an_outage(begin: Begin, open_site: OpenSite) -> None:
    """A single one is left when the site breaks down: a login tells, and the run waits for it."""
    site = open_site(1)
    run = begin(site.url, workers=1, max_retries=0)
    site.hold(0)
    run.start()
    site.wait_until_held(1)
    site.order("down?mode=503")
    site.order("release")
    until(lambda: run.status and run.status.site.state not in {"up", "unknown"}, "the breaker opens")
    site.order("up")
    assert run.end() == 0, run.said + run.log
    (entry,) = run.check(site.truth).values()
    assert entry.attempts == 1


@pytest.mark.long
def test_limits_on_references_and_requests_hold(begin: Begin, open_site: OpenSite) -> None:
    """No two references closer than half their distance; requests, as the browsers report them, hold all back."""
    site = open_site(4)
    run = begin(site.url, references_per_minute=40)
    assert run.run() == 0, run.said + run.log
    run.check(site.truth)
    starts = _starts(run)
    assert min(later - earlier for earlier, later in pairwise(starts)) > 0.6
    run = begin(site.url, name="requests", requests_per_minute=60)
    assert run.run() == 0, run.said + run.log
    run.check(site.truth)
    starts = _starts(run)
    # A vehicle takes five or six; login, export and the first one use up the 15 that may be saved, then one a second.
    assert starts[-1] - starts[0] > 6.0


def test_nothing_is_handed_out_in_quiet_hours(begin: Begin, open_site: OpenSite) -> None:
    """A run that begins in them logs nobody in and says why it waits."""
    site = open_site(3)
    now = datetime.now().astimezone()
    quiet = f"{now - timedelta(minutes=2):%H:%M}-{now + timedelta(minutes=30):%H:%M}"
    run = begin(site.url, quiet_hours=quiet)
    run.start()
    until(lambda: run.status and run.status.run.state == "paused" and run.status, "it pauses")
    until(lambda: run.status and all(w.state == "idle" for w in run.status.workers), "the workers are ready")
    assert run.status is not None
    assert run.status.run.reason.startswith("quiet hours until ")
    assert site.log()["logins"] == 0
    for process in run.family.members():
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert "Max core file size        0 " in limits, "no browser leaves a core dump on the disk"
    run.send(signal.SIGTERM)
    assert run.end() == 3, run.said + run.log


@pytest.mark.long
def test_a_machine_without_memory_to_spare_lets_workers_go_and_completes(begin: Begin, open_site: OpenSite) -> None:
    """More is to be kept free than the machine has: worker after worker is let go, and what they held pays nothing."""
    site = open_site(12)
    run = begin(site.url, workers=3, memory_reserve=900_000_000_000, worker_delay=1)
    assert run.run() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert "the machine is short of memory" in run.log
    assert "is let go" in run.log
    assert run.log.count("starts") == 3, "nobody took the place of who was let go"


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A memory control group of version 1 of our own."""
    group = _MEMORY / f"nightfleet-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error}")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text().strip(), "the group is empty", 30)
    group.rmdir()


def _in_group(group: Path) -> list[str]:
    return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)]


@pytest.mark.long
def test_a_page_that_the_kernel_kills_for_want_of_memory_costs_one_attempt(
    memory_group: Path, begin: Begin, open_site: OpenSite
) -> None:
    """The limit of the control group is met in the midst of a page; nobody but that page's browser suffers."""
    site = open_site(6, "renderer-crash")
    run = begin(site.url, workers=1, memory_reserve=0)
    run.wrapper = _in_group(memory_group)
    site.order("hold")
    run.start("--no-spare-worker")
    site.wait_until_held(1)
    used = int((memory_group / "memory.usage_in_bytes").read_text())
    (memory_group / "memory.limit_in_bytes").write_text(str(used + 250 * _MB))
    site.order("release")
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1, 2}
    assert run.causes.keys() <= {"page_crashed", "browser_lost"}, run.log
    control = dict(line.split() for line in (memory_group / "memory.oom_control").read_text().splitlines())
    assert int(control["oom_kill"]) > 0, "the kernel had no reason to kill"


@pytest.mark.long
def test_a_tight_control_group_sheds_workers_until_there_is_room(
    memory_group: Path, begin: Begin, open_site: OpenSite
) -> None:
    """With the limit drawn close workers are let go before the kernel kills; with room they come back."""
    site = open_site(40)
    run = begin(site.url, workers=3, worker_delay=2, memory_reserve=400 * _MB)
    run.wrapper = _in_group(memory_group)
    run.start()
    run.wait_for_completed(2)
    used = int((memory_group / "memory.usage_in_bytes").read_text())
    (memory_group / "memory.limit_in_bytes").write_text(str(used + 300 * _MB))
    run.wait_for_log("is let go")
    until(
        lambda: run.status and sum(worker.state == "vacant" for worker in run.status.workers) >= 1, "a worker is gone"
    )
    (memory_group / "memory.limit_in_bytes").write_text("-1")
    run.wait_for_log("has enough memory again")
    assert run.end(240) == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert int((memory_group / "memory.failcnt").read_text()) == 0, "the limit was met"


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A hosts(5) file, which is the only one who knows names in a mount namespace of its own."""
    hosts, resolver = tmp_path / "hosts", tmp_path / "resolv.conf"
    hosts.write_text(_KNOWN)
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")  # nobody listens there
    tried = subprocess.run([*_own_names(tmp_path), "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no mount namespace can be made here: {tried.stderr.strip()}")
    return hosts


_KNOWN = "127.0.0.1 localhost\n127.0.0.1 harbour-lane.test\n"


def _own_names(folder: Path) -> list[str]:
    mount = 'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, str(folder)]


@pytest.mark.long
def test_without_names_nobody_pays(names: Path, begin: Begin, open_site: OpenSite) -> None:
    """The site's name cannot be resolved for a while: the breaker opens, and one attempt each when it can again."""
    site = open_site(12)
    url = site.url.replace("127.0.0.1", "harbour-lane.test")
    run = begin(url, breaker_pause=1, recycle_after=2)  # a browser remembers a name for a minute, a new one none
    run.wrapper = _own_names(names.parent)
    site.order("hold")
    run.start()
    site.wait_until_held(2)
    names.write_text("127.0.0.1 localhost\n")
    site.order("release")
    run.wait_for_log("ERR_NAME_NOT_RESOLVED")
    until(lambda: run.status and run.status.site.state == "down", "the breaker opens")
    names.write_text(_KNOWN)
    assert run.end() == 0, run.said + run.log
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}
