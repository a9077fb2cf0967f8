import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.errors import Exit
from supervisor.shell import linux
from supervisor.shell.run_directory import (
    InUse,
    RunDirectory,
    RunDirectoryError,
    RunDirectoryUnwritableError,
    atomic_write,
    replacing,
)
from tests.fuzz.commands import as_anybody


def test_a_new_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    """A path that does not exist becomes a run directory, and opening it again changes nothing."""
    run = RunDirectory(tmp_path / "runs" / "tonight")
    run.create()
    run.create()
    assert sorted(path.name for path in run.path.iterdir()) == [".nightfleet", "documents", "failures", "logs"]
    assert run.staging(7) == run.path / ".nightfleet/staging/7"
    assert run.evidence(7) == run.staging(7) / "evidence"
    assert run.errand_staging(2) == run.path / ".nightfleet/staging/errand-2"
    assert run.free_bytes() > 0


def test_an_interrupted_making_is_taken_up(tmp_path: Path) -> None:
    """A directory in which only the private folder was made is known as ours."""
    (tmp_path / ".nightfleet").mkdir()
    RunDirectory(tmp_path).create()
    assert (tmp_path / "documents").is_dir()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_is_refused(tmp_path: Path, below: str) -> None:
    """A file, or a place below one, is no run directory; the sentence says so, and the file is untouched."""
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(RunDirectoryError, match="is a file, and a directory is needed") as caught:
        RunDirectory(file / below).create()
    assert caught.value.exit_code == Exit.USAGE
    assert file.read_text() == "precious"


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """Nothing is mixed into a folder that holds other things."""
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunDirectoryError, match=r"not empty \(there is 'thesis.tex' in it\)"):
        RunDirectory(tmp_path).create()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_place_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A read-only place is the machine's trouble, with its cause in the sentence."""
    run = RunDirectory(tmp_path / "x")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", refuse)
        with pytest.raises(RunDirectoryUnwritableError, match="it is on a read-only file system") as caught:
            run.create()
    assert caught.value.exit_code == Exit.MACHINE
    run.create()
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunDirectoryUnwritableError, match="read-only"):
        run.lock()


def test_readers_are_told_what_is_no_run_directory(tmp_path: Path) -> None:
    """Each kind of wrong path has its own sentence."""
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name, sentence in (("none", "does not exist"), ("file", "is a file"), ("empty", "no ledger.db in it")):
        with pytest.raises(RunDirectoryError, match=sentence):
            RunDirectory(tmp_path / name).check()


def test_readers_are_told_what_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A name that is too long for any file system, and a folder that is closed to us: the machine's trouble."""
    with pytest.raises(RunDirectoryUnwritableError, match="cannot be read: File name too long"):
        RunDirectory(tmp_path / ("x" * 300)).check()
    with as_anybody():
        tmp_path.chmod(0)
        with pytest.raises(RunDirectoryUnwritableError, match="cannot be read: no permission"):
            RunDirectory(tmp_path).check()
    tmp_path.chmod(0o700)


def test_the_second_supervisor_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    """While a process holds the lock nobody else gets it; when the process is killed, it is free."""
    run = RunDirectory(tmp_path)
    run.create()
    script = (
        "import sys; from pathlib import Path; from supervisor.shell.run_directory import RunDirectory\n"
        "lock = RunDirectory(Path(sys.argv[1])).lock(); print('held', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InUse, match=f"pid {holder.pid}") as caught:
            run.lock()
        assert (caught.value.pid, caught.value.exit_code) == (holder.pid, Exit.MACHINE)
        owner, seen = run.owner(), linux.stat(holder.pid)
        assert owner is not None
        assert seen is not None
        assert (owner.pid, owner.start_time) == (holder.pid, seen.start_time)
        holder.kill()
    assert run.owner() is None
    with run.lock():
        assert json.loads(run.lock_file.read_text())["pid"] == os.getpid()
        assert run.owner() is not None
    assert run.owner() is None


def test_a_lock_with_unreadable_content_still_locks(tmp_path: Path) -> None:
    """What is written in the lock is only told; the lock itself is the kernel's."""
    run = RunDirectory(tmp_path)
    run.create()
    with run.lock():
        run.lock_file.write_bytes(b"\xff")
        with pytest.raises(InUse, match="pid unknown"):
            run.lock()


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """An exception while the new content is written leaves the former one, and nothing beside it."""
    path = tmp_path / "tracking.json"
    atomic_write(path, b"one")

    def interrupted() -> None:
        with replacing(path) as file:
            file.write(b"tw")
            raise RuntimeError("half")

    with pytest.raises(RuntimeError, match="half"):
        interrupted()
    assert path.read_bytes() == b"one"
    atomic_write(path, b"three")
    assert path.read_bytes() == b"three"
    assert [found.name for found in tmp_path.iterdir()] == ["tracking.json"]


def test_what_is_set_aside_is_never_overwritten(tmp_path: Path) -> None:
    """Two things of one name on one occasion are both kept."""
    run = RunDirectory(tmp_path)
    run.create()
    kept = []
    for content in ("first", "second"):
        (run.documents / "A").write_text(content)
        kept.append(run.set_aside(run.documents / "A", "2026-11-24T221059Z"))
    assert [path.read_text() for path in kept] == ["first", "second"]
    assert {path.parent for path in kept} == {run.quarantine / "2026-11-24T221059Z"}
