"""Room on the disks: pauses, their end, and the early word; the file systems are told, not filled."""

import subprocess
from pathlib import Path

import pytest

from supervisor.core.events import PauseRequested, ResumeRequested
from supervisor.shell import space
from supervisor.shell.machine_watch import Room
from supervisor.shell.space import Space
from supervisor.views.status import MetricsView, RunView, Snapshot, Totals

_GB = 1_000_000_000
_RUN = RunView("lot", "x", 1, 1, "", "", "running")


class Disks:
    """What each folder's file system says."""

    def __init__(self, run: Path, temp: Path) -> None:
        self.rooms = {run: Room(50 * _GB, 100 * _GB, 5_000_000, 6_000_000)}
        self.rooms[temp] = Room(900_000_000, _GB, 60_000, 65_000)

    def room(self, folder: Path) -> Room:
        return self.rooms[folder]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders on different file systems: /proc is none of ours."""
    return tmp_path, Path("/proc")


@pytest.fixture
def disks(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Disks:
    disks = Disks(*folders)
    monkeypatch.setattr(space, "room", disks.room)
    return disks


def test_it_pauses_before_a_disk_is_full_and_goes_on_when_there_is_a_quarter_more(
    disks: Disks, folders: tuple[Path, Path]
) -> None:
    """Between the two nothing is said, so that it does not flap."""
    run, _ = folders
    watched = Space(*folders, reserve=_GB)
    assert watched.look() == ResumeRequested("disk")
    said = []
    for free in (1.1, 0.9, 1.1, 1.3):
        disks.rooms[run] = disks.rooms[run]._replace(free=int(free * _GB))
        said.append(watched.look())
    pause = PauseRequested("disk", "900 MB are free on the disk, 1.0 GB are kept free")
    assert said == [None, pause, None, ResumeRequested("disk")]


def test_a_file_system_without_inodes_left_is_full(disks: Disks, folders: tuple[Path, Path]) -> None:
    """However many bytes are free; one that does not count them has enough."""
    run, _ = folders
    watched = Space(*folders, reserve=_GB)
    disks.rooms[run] = disks.rooms[run]._replace(inodes=1_999)
    assert watched.look() == PauseRequested("disk", "only 1999 more files fit on the disk, 2000 are kept free")
    disks.rooms[run] = disks.rooms[run]._replace(inodes=2_400)
    assert watched.look() is None, "so that it does not flap"
    disks.rooms[run] = disks.rooms[run]._replace(inodes=2_500)
    assert watched.look() == ResumeRequested("disk")
    disks.rooms[run] = disks.rooms[run]._replace(inodes=0, all_inodes=0)
    assert watched.look() == ResumeRequested("disk")


def test_a_real_file_system_whose_inodes_run_out_pauses_and_goes_on_when_files_are_gone(tmp_path: Path) -> None:
    """A thousand files fit on it, a tenth of them is kept free; bytes are never short."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=1000", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        watched = Space(disk, disk, reserve=1_000_000)
        assert watched.look() == ResumeRequested("disk")
        for number in range(940):
            (disk / str(number)).touch()
        event = watched.look()
        assert isinstance(event, PauseRequested)
        assert event.reason.endswith("more files fit on the disk, 100 are kept free")
        for number in range(200):
            (disk / str(number)).unlink()
        assert watched.look() == ResumeRequested("disk")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # noqa: S607 - wherever it is


def test_a_small_disk_of_temporary_files_is_kept_free_by_a_tenth(disks: Disks, folders: tuple[Path, Path]) -> None:
    """The reserve may be more than there is at all."""
    _, temp = folders
    watched = Space(*folders, reserve=2 * _GB)
    assert watched.look() == ResumeRequested("disk")
    disks.rooms[temp] = disks.rooms[temp]._replace(free=90_000_000)
    event = watched.look()
    assert isinstance(event, PauseRequested)
    assert event.reason == "90 MB are free on the disk of temporary files, 100 MB are kept free"


def test_without_a_reserve_nothing_pauses(disks: Disks, folders: tuple[Path, Path]) -> None:
    """0 switches it off."""
    disks.rooms = dict.fromkeys(folders, Room(0, _GB, 0, 100))
    assert Space(*folders, reserve=0).look() == ResumeRequested("disk")


def test_a_disk_that_cannot_be_asked_says_nothing(tmp_path: Path) -> None:
    """Whoever writes next says what is wrong with it."""
    assert Space(tmp_path / "gone", tmp_path, reserve=1).look() is None


def test_what_will_not_fit_is_said_early_and_once(disks: Disks, folders: tuple[Path, Path]) -> None:
    """Projected from the documents so far; taken back when there is room again."""
    run, _ = folders
    watched = Space(*folders, reserve=_GB)

    def told(completed: int, brought: int) -> list[str]:
        totals = Totals(total=2000, pending=2000 - completed, completed=completed)
        return list(watched.foresee(Snapshot(_RUN, totals, metrics=MetricsView(bytes=brought))))

    assert told(10, 10 * _GB) == [], "ten say nothing about the others"
    assert told(100, 2 * _GB) == [], "38 GB are to come, 49 fit"
    (sentence,) = told(100, 3 * _GB)
    assert sentence.startswith("about 57 GB of documents are still to come, and 49 GB fit on the disk")
    assert told(110, 3 * _GB + _GB // 3) == []
    disks.rooms[run] = disks.rooms[run]._replace(free=90 * _GB)
    assert told(110, 3 * _GB + _GB // 3) == [
        "the disk has room again for the 57 GB of documents that are still to come"
    ]
