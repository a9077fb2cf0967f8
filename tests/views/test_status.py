"""status.json: written whole, read back alike, and never believed when its writer is gone."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from supervisor.views.status import encode, is_running, process_lives, read_status, write_status
from tests.views.snapshots import busy, run_view


def start_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_a_snapshot_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """What the loop writes is what the views read, and no other file is left beside it."""
    write_status(tmp_path / "status.json", busy())
    assert read_status(tmp_path / "status.json") == busy()
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_the_states_add_up_in_the_file() -> None:
    """A script that adds the states gets the total."""
    totals = msgspec.json.decode(encode(busy()))["totals"]
    assert totals.pop("total") == sum(totals.values())


def test_what_is_not_a_snapshot_is_none(tmp_path: Path) -> None:
    """A missing, empty, torn or foreign file is no snapshot and no exception."""
    path = tmp_path / "status.json"
    assert read_status(path) is None
    for content in (b"", encode(busy())[:100], b"[]", b'{"run": 3}', b"\xff\xfe\x00"):
        path.write_bytes(content)
        assert read_status(path) is None


def test_a_process_is_known_by_pid_and_start_time() -> None:
    """The same pid with another start time is somebody else, a pid that nobody has is nobody."""
    mine = start_of(os.getpid())
    assert process_lives(os.getpid(), mine)
    assert not process_lives(os.getpid(), mine + 1)
    assert not process_lives(2**22 + 1, mine)


def test_a_zombie_does_not_live() -> None:
    """A process that has ended and was not reaped yet is not running."""
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        start = start_of(child.pid)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not process_lives(child.pid, start)


def test_only_a_living_supervisor_runs() -> None:
    """A state in a file is believed as long as the process lives that wrote it."""
    mine = start_of(os.getpid())
    assert is_running(busy(run=run_view(pid=os.getpid(), pid_start=mine)))
    assert not is_running(busy(run=run_view(pid=os.getpid(), pid_start=mine - 1)))
    assert not is_running(busy(run=run_view(pid=os.getpid(), pid_start=mine, state="finished", exit_code=0)))
