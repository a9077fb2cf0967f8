import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.shell import linux, sweep
from supervisor.shell.trees import Tree
from tests.shell import fake_children as fake
from tests.shell.fake_supervisor import FakeSupervisor


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def dead_supervisor() -> list[int]:
    """Return the identity of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    started = linux.start_time(ended.pid)
    assert started is not None
    ended.kill()
    ended.communicate()
    return [ended.pid, started]


def test_a_double_kill_is_swept(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """What is left when supervisor and guardian were killed together is killed and removed at the next start."""
    killed = FakeSupervisor("family", tmp_path)
    request.addfinalizer(killed.clean_up)
    os.kill(killed.child, signal.SIGSTOP)
    linux.send_signal(*killed.guardian, signal.SIGKILL)
    killed.kill()
    assert len(killed.alive()) == 7
    path = tmp_path / "processes.json"
    said = sweep.sweep(path, tmp_path / "nightfleet-test")
    assert killed.alive() == []
    assert not (tmp_path / "nightfleet-test").exists()
    assert not path.exists()
    assert any(f"killed what the last run left of {fake.MARK}" in sentence for sentence in said)
    assert sweep.sweep(path, tmp_path / "nightfleet-test") == []


def test_the_last_guardian_is_ended_before_the_sweep(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """An old guardian that still works, or is stopped, cannot wake up later and kill or remove what is new."""
    killed = FakeSupervisor("sleeper", tmp_path)
    request.addfinalizer(killed.clean_up)
    os.kill(killed.guardian[0], signal.SIGSTOP)
    killed.kill()
    sweep.sweep(tmp_path / "processes.json", tmp_path / "nightfleet-test")
    assert not linux.is_running(*killed.guardian)
    assert killed.alive() == []


def test_a_running_supervisor_of_a_copy_is_left_alone(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """When the run directory was copied while its run goes on, the copy's start touches nothing of that run."""
    running = FakeSupervisor("sleeper", tmp_path)
    request.addfinalizer(running.clean_up)
    said = sweep.sweep(tmp_path / "processes.json", tmp_path / "nightfleet-test")
    assert len(said) == 1
    assert "still runs" in said[0]
    assert len(running.alive()) == 1
    assert linux.is_running(*running.guardian)
    assert running.temp_dir.exists()


def test_pids_of_another_boot_mean_nothing(tmp_path: Path, stranger: linux.Stat) -> None:
    """After a reboot, or in another container, no process is killed by a recorded pid; folders are removed."""
    temp_dir = tmp_path / "nightfleet-test" / "w1-1"
    temp_dir.mkdir(parents=True)
    path = tmp_path / "processes.json"
    identity = (stranger.pid, stranger.start_time)
    sweep.record(path, [Tree("m", *identity, str(temp_dir))], identity)
    change(path, world="another boot 1", supervisor=list(identity))
    assert sweep.sweep(path, tmp_path / "nightfleet-test")
    assert not temp_dir.parent.exists()


def test_pids_used_again_are_not_killed(tmp_path: Path, stranger: linux.Stat) -> None:
    """A recorded pid that belongs to another process by now, the guardian's too, is left alone."""
    path = tmp_path / "processes.json"
    before = (stranger.pid, stranger.start_time - 1)
    sweep.record(path, [Tree("m", *before)], before)
    change(path, supervisor=dead_supervisor())
    assert sweep.sweep(path, tmp_path / "nightfleet-test") == []


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"{", b"[]", b"5", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_record_is_said_and_survived(tmp_path: Path, content: bytes) -> None:
    """A record that a power cut has damaged is reported, and the run's temporary folder is removed all the same."""
    path = tmp_path / "processes.json"
    path.write_bytes(content)
    root = tmp_path / "nightfleet-test"
    (root / "w1-1").mkdir(parents=True)
    said = sweep.sweep(path, root)
    assert len(said) == 2
    assert "the last run's processes" in said[0]
    assert not root.exists()
    assert not path.exists()


def test_damaged_parts_of_a_record_are_skipped(tmp_path: Path) -> None:
    """A record with one damaged tree is used for the others."""
    path = tmp_path / "processes.json"
    good = tmp_path / "nightfleet-test" / "w2-1"
    good.mkdir(parents=True)
    sweep.record(path, [Tree("m", 2**22, 5, str(good))], None)
    change(path, supervisor=None, guardian="x", trees=[{"pid": 1}, *json.loads(path.read_text())["trees"]])
    said = sweep.sweep(path, tmp_path / "nightfleet-test")
    assert "not the record of a process tree" in said[0]
    assert not good.exists()


def test_only_temporary_folders_of_this_run_are_removed(tmp_path: Path) -> None:
    """A record cannot make the sweep remove anything else, nor follow a link."""
    path = tmp_path / "processes.json"
    precious = tmp_path / "precious"
    other_run = tmp_path / "nightfleet-other" / "w1-1"
    for folder in (precious, other_run):
        folder.mkdir(parents=True)
    root = tmp_path / "nightfleet-test"
    root.mkdir()
    (root / "w1-1").symlink_to(precious)
    folders = [precious, other_run, root / "w1-1", Path("nightfleet-test/w1-1"), root / ".." / "precious"]
    sweep.record(path, [Tree(f"m{n}", 2**22, 5, str(folder)) for n, folder in enumerate(folders)], None)
    change(path, supervisor=None)
    said = sweep.sweep(path, root)
    assert precious.is_dir()
    assert other_run.is_dir()
    assert not root.exists()
    assert len([sentence for sentence in said if "left alone" in sentence]) >= 2


@pytest.mark.parametrize("name", ["nightfleet-", "nightfleet", "w1-1", "nightfleet-a b"])
def test_other_folders_are_no_temporary_folders(tmp_path: Path, name: str) -> None:
    """What does not have the name of a run's temporary folder is never removed."""
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(ValueError, match="is no temporary folder of a worker"):
        sweep.remove_temp_dir(folder)
    assert folder.is_dir()


def test_a_link_in_place_of_the_root_is_not_followed(tmp_path: Path) -> None:
    """A link with the right name leads nowhere: what it points at stays."""
    precious = tmp_path / "precious"
    (precious / "w1-1").mkdir(parents=True)
    (tmp_path / "nightfleet-test").symlink_to(precious)
    for folder in (tmp_path / "nightfleet-test", tmp_path / "nightfleet-test" / "w1-1"):
        with pytest.raises(ValueError, match="is not a folder of ours"):
            sweep.remove_temp_dir(folder)
    assert (precious / "w1-1").is_dir()
    assert not sweep.remove_temp_dir(tmp_path / "nightfleet-gone")


def test_the_record_is_replaced_whole(tmp_path: Path) -> None:
    """The record names this boot, this supervisor and every tree, and nothing else stays beside it."""
    path = tmp_path / "processes.json"
    sweep.record(path, [], None)
    tree = Tree("m", 12, 34, "/t")
    sweep.record(path, [tree], (5, 6))
    content = json.loads(path.read_text())
    assert content["world"] == linux.world()
    assert content["supervisor"] == [os.getpid(), linux.start_time(os.getpid())]
    assert content["guardian"] == [5, 6]
    assert content["trees"] == [tree.as_record()]
    assert [entry.name for entry in tmp_path.iterdir()] == ["processes.json"]
