"""Evidence is bounded over the whole run, and what tells most stays longest."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded, Record
from supervisor.shell.evidence_limits import EvidenceLimits
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from worker.protocol import Kind

MEGABYTE = 1_000_000
PLENTY = 1_000 * MEGABYTE


class Scene:
    """A run whose evidence the test writes, one second after the other."""

    def __init__(self, path: Path) -> None:
        self.directory = RunDirectory(path)
        self.directory.create()
        self.ledger = Ledger.create(self.directory.ledger, site="x", wall=0.0)
        self.ledger.import_references([f"A-{number}" for number in range(1, 101)])
        self.attempt = 0
        self.numbers: dict[int, int] = {}

    def fail(self, ref_id: int, kind: Kind, size: int = 100, *, final: bool = False) -> Path:
        """Let an attempt fail; return the folder of its evidence."""
        self.attempt += 1
        number = self.numbers[ref_id] = self.numbers.get(ref_id, 0) + 1
        records: list[Record] = [
            AttemptStarted(self.attempt, ref_id, number, 1, 1),
            AttemptFailed(
                self.attempt, ref_id, kind, "no", counted=True, crashed=False, retry_in=None if final else 0.0
            ),
        ]
        self.ledger.apply(records, float(self.attempt))
        folder = self.directory.failures / f"A-{ref_id}" / f"attempt-{number}"
        folder.mkdir(parents=True)
        head = f"attempt {self.attempt} (number {number}): {kind}: no\n"
        (folder / "error.txt").write_text(head + "x" * 10_000)
        (folder / "screenshot.png").write_bytes(bytes(size))
        for path in folder.iterdir():
            os.utime(path, (self.attempt, self.attempt))
        return folder

    def succeed(self, ref_id: int) -> None:
        self.attempt += 1
        started = AttemptStarted(self.attempt, ref_id, self.numbers[ref_id] + 1, 1, 1)
        self.ledger.apply([started, AttemptSucceeded(self.attempt, ref_id, (), ())], float(self.attempt))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A run with a hundred references."""
    one = Scene(tmp_path / "night")
    yield one
    one.ledger.close()


def is_whole(folder: Path) -> bool:
    return (folder / "screenshot.png").exists()


def test_within_its_limits_nothing_is_touched(scene: Scene) -> None:
    """The ordinary night."""
    limits = EvidenceLimits(scene.directory, attempts=10, size=PLENTY)
    folders = [scene.fail(ref_id, Kind.TIMEOUT, final=True) for ref_id in range(1, 11)]
    assert [limits.added(folder) for folder in folders[:1]] == [0]
    assert all(map(is_whole, folders))


def test_what_tells_least_goes_first(scene: Scene) -> None:
    """Completed references, then earlier attempts, then the commonest kind's oldest; a rare kind's last one stays."""
    limits = EvidenceLimits(scene.directory, attempts=10, size=PLENTY)
    first = scene.fail(1, Kind.TIMEOUT)
    limits.added(first)
    scene.succeed(1)
    earlier = scene.fail(2, Kind.RECIPE_ERROR)
    limits.added(earlier)
    rare = scene.fail(2, Kind.RECIPE_ERROR, final=True)
    limits.added(rare)
    common = []
    for ref_id in range(3, 10):
        common.append(scene.fail(ref_id, Kind.NOT_FOUND, final=True))
        assert limits.added(common[-1]) == 0
    common.append(scene.fail(10, Kind.NOT_FOUND, final=True))
    assert limits.added(common[-1]) == 2, "one more than allowed, and down to nine tenths"
    assert (is_whole(first), is_whole(earlier), is_whole(rare)) == (False, False, True)
    assert all(map(is_whole, common))
    common += [scene.fail(ref_id, Kind.NOT_FOUND, final=True) for ref_id in (11, 12)]
    assert [limits.added(folder) for folder in common[-2:]] == [0, 2]
    assert is_whole(rare)
    assert [is_whole(folder) for folder in common] == [False] * 2 + [True] * 8


def test_what_was_thinned_still_says_why(scene: Scene) -> None:
    """error.txt stays, cut to its beginning, and says that the rest is gone."""
    limits = EvidenceLimits(scene.directory, attempts=1, size=PLENTY)
    folder, other = scene.fail(1, Kind.TIMEOUT), scene.fail(2, Kind.TIMEOUT, final=True)
    limits.added(other)
    text = (folder / "error.txt").read_text()
    assert text.startswith("attempt 1 (number 1): timeout: no\n")
    assert text.endswith("evidence_bytes)\n")
    assert len(text) < 5_000
    assert [path.name for path in folder.iterdir()] == ["error.txt"]


def test_bytes_are_bounded_too(scene: Scene) -> None:
    """However few attempts they belong to; what an earlier start left is counted."""
    folders = [scene.fail(ref_id, Kind.TIMEOUT, 2 * MEGABYTE, final=True) for ref_id in range(1, 5)]
    limits = EvidenceLimits(scene.directory, attempts=1000, size=10 * MEGABYTE)
    assert limits.added(folders[-1]) == 0
    folders.append(scene.fail(5, Kind.TIMEOUT, 2 * MEGABYTE, final=True))
    assert limits.added(folders[-1]) == 1
    assert [is_whole(folder) for folder in folders] == [False, True, True, True, True]
    in_all = sum(path.stat().st_size for path in scene.directory.failures.rglob("*") if path.is_file())
    assert in_all < 10 * MEGABYTE


def test_what_is_no_evidence_of_ours_is_no_trouble(scene: Scene) -> None:
    """Files beside the folders, folders of no reference, evidence without a headline."""
    (scene.directory.failures / "notes.txt").write_text("mine")
    stray = scene.directory.failures / "stray" / "attempt-1"
    stray.mkdir(parents=True)
    (stray / "screenshot.png").write_bytes(b"png")
    limits = EvidenceLimits(scene.directory, attempts=1, size=PLENTY)
    folder = scene.fail(1, Kind.TIMEOUT, final=True)
    assert limits.added(folder) > 0
    assert (scene.directory.failures / "notes.txt").exists()


def test_what_is_removed_while_it_is_counted_is_no_trouble(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person tidies up, or another thread puts a text in its place, just when a folder is looked at."""
    folders = [scene.fail(ref_id, Kind.TIMEOUT, final=True) for ref_id in (1, 2)]
    look = Path.stat

    def vanish(path: Path, **how: bool) -> os.stat_result:
        if path.parent == folders[0]:
            path.unlink(missing_ok=True)
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", vanish)
    limits = EvidenceLimits(scene.directory, attempts=10, size=PLENTY)
    assert limits.added(folders[1]) == 0
    assert is_whole(folders[1])
