"""What the machine does wrong: a full disk, few descriptors, a lock that nobody holds."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import Night, Site

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
    run.wait_for_log("disk")
    ballast.unlink()
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}


@pytest.mark.long
def test_a_low_limit_on_descriptors_is_no_traceback(begin: Begin, open_site: OpenSite) -> None:
    """With 40 descriptors it either works or says in one sentence that it does not."""
    site = open_site(3)
    run = begin(site.url, start_timeout=15)
    run.limit_descriptors = 40
    assert run.run() in {0, 5}, run.said + run.log
    assert "Traceback" not in run.said


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
