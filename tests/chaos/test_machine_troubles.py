"""What the machine does wrong: a full disk, few descriptors, a lock that nobody holds, pids that come again."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import ROOT, Night, Site

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)],  # noqa: S607 - wherever mount is
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)  # noqa: S607 - as above


@pytest.mark.long
def test_a_full_disk_pauses_the_night_until_there_is_room(small_disk: Path, begin: Begin, open_site: OpenSite) -> None:
    """No attempt is charged to a full disk; when it is freed, the night goes on by itself."""
    site = open_site(8)
    run = begin(site.url, name="disk/night", disk_reserve=2_000_000)
    ballast = small_disk / "ballast"
    run.start()
    run.wait_for_log("the inventory has")
    with ballast.open("wb") as file:
        try:
            while file.write(b"\0" * 65_536):
                file.flush()
        except OSError:
            pass
    run.wait_for_log("disk")  # status.json lies on it, and cannot say so
    ballast.unlink()
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert run.excused.keys() <= {"disk_full", "publish_failed"}


@pytest.mark.long
def test_a_low_limit_on_descriptors_ends_with_a_sentence(begin: Begin, open_site: OpenSite) -> None:
    """With 40 descriptors no browser starts: that is said, with what is left, after a few tries; nobody pays."""
    site = open_site(3)
    run = begin(site.url, start_timeout=15)
    run.wrapper = ["prlimit", "--nofile=40"]
    assert run.run("--start-failures-limit", "3") == 5, run.said + run.log
    assert "no worker can be started on this machine, 3 times in a row" in run.said
    assert "descriptors to be kept free" in run.said
    assert "Traceback" not in run.said
    run.wrapper = []
    assert run.run() == 0, run.said + run.log
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}


@pytest.mark.long
def test_a_stale_lock_stops_nobody(begin: Begin, open_site: OpenSite) -> None:
    """A lock file that names a process that is gone is no lock."""
    site = open_site(2)
    run = begin(site.url)
    private = run.folder / ".nightfleet"
    private.mkdir(parents=True)
    (private / "lock").write_text(json.dumps({"pid": 1, "start_time": 1, "locked_at": 1.0}))
    assert run.run() == 0, run.said
    run.check(site.truth)


_REUSE = """
import os, signal, subprocess, time
from pathlib import Path
from supervisor.shell import linux
from supervisor.shell.trees import Tree

ended = subprocess.Popen(["sleep", "1000"])
started = linux.start_time(ended.pid)
ended.kill()
ended.wait()
stranger = None
while stranger is None or linux.start_time(stranger.pid) == started:  # within one tick they could not be told apart
    if stranger is not None:
        stranger.kill()
        stranger.wait()
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(ended.pid - 1))
    stranger = subprocess.Popen(["sleep", "1000"])
assert stranger.pid == ended.pid
tree = Tree("nobody", ended.pid, started)
assert tree.kill(10), "who is gone needs no killing"
assert not linux.send_signal(ended.pid, started, signal.SIGKILL)
assert not linux.is_running(ended.pid, started)
assert stranger.poll() is None, "a stranger was killed"
stranger.kill()
print("the stranger with the same pid lives")
"""


def test_a_stranger_with_the_pid_of_a_dead_worker_is_left_alone() -> None:
    """In a world of pids of its own, the kernel gives the same one out again; the start time tells the two apart."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", _REUSE]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    if "unshare failed" in ended.stderr or "ns_last_pid" in ended.stderr:
        pytest.skip(f"no world of pids can be made here: {ended.stderr.strip().splitlines()[-1]}")
    assert ended.stdout == "the stranger with the same pid lives\n", ended.stderr
