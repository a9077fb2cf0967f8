import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.shell import linux
from supervisor.shell.trees import MARKER, RecordError, Tree
from tests.shell import fake_children as fake
from tests.shell.conftest import Spawn


def pids(tree: Tree) -> set[int]:
    return {process.pid for process in tree.members()}


def test_every_kind_of_relative_is_found_and_killed(spawn: Spawn) -> None:
    """Own sessions, ignored signals, a spinning and a stopped process, an odd name, a marked orphan: all die."""
    child = spawn(fake.family)
    told = fake.hear_json(child)
    tree = fake.tree_of(child)
    fake.eventually(lambda: pids(tree) == set(told["pids"]), "the whole family")
    assert ") Z 1 (" in {process.name for process in tree.members()}
    assert tree.memory() > 5_000_000
    assert tree.kill(fake.PATIENCE)
    assert all(fake.gone(pid) for pid in told["pids"])
    assert tree.members() == ()


def test_memory_is_added_up_again_only_when_it_has_changed(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes milliseconds for each process; the resident size tells whether there is anything new."""
    child = spawn(fake.family)
    told = fake.hear_json(child)
    tree = fake.tree_of(child)
    fake.eventually(lambda: pids(tree) == set(told["pids"]), "the whole family")
    running = tree.members()
    asked: list[int] = []

    def seven(process: linux.Stat) -> int:
        asked.append(process.pid)
        return 7

    monkeypatch.setattr(linux, "memory", seven)
    once = tree.memory(running)
    assert once == 7 * len(running)
    asked.clear()
    assert [tree.memory(running) for _ in range(9)] == [once] * 9
    assert not asked
    tree.memory(running)
    assert len(asked) == len(running), "now and then it is added up all the same"
    asked.clear()
    grown = [running[0]._replace(rss=running[0].rss + sum(process.rss for process in running)), *running[1:]]
    tree.memory(grown)
    assert len(asked) == len(running)


def test_descendants_are_known_again_when_their_parents_are_dead(spawn: Spawn) -> None:
    """A process in a session of its own, without the marker, is still found when the child has died before it."""
    child = spawn(fake.family)
    told = fake.hear_json(child)
    tree = fake.tree_of(child)
    assert set(told["pids"]) <= pids(tree)
    os.kill(child.pid, signal.SIGKILL)
    assert fake.exit_code(child) == -signal.SIGKILL
    assert told["own_session"] in pids(tree)
    assert tree.kill(fake.PATIENCE)
    assert all(fake.gone(pid) for pid in told["pids"])


def test_a_reported_browser_session_is_found_without_its_leader(spawn: Spawn) -> None:
    """Members of a browser's session die with the tree, though browser and child died before anything was seen."""
    child = spawn(fake.browser_like)
    told = fake.hear_json(child)
    tree = fake.tree_of(child)
    assert tree.add_session(told["leader"])
    assert not tree.add_session(told["leader"]), "said again, it is nothing new"
    child.send(b"x")
    fake.hear_json(child)
    os.kill(child.pid, signal.SIGKILL)
    fake.exit_code(child)
    fake.eventually(lambda: not linux.environment_has(told["member"], MARKER, fake.MARK), "nothing but its session")
    assert pids(tree) == {told["member"]}
    assert tree.kill(fake.PATIENCE)
    assert fake.gone(told["member"])


def test_a_worker_cannot_point_at_a_stranger(spawn: Spawn, stranger: linux.Stat) -> None:
    """A session that a worker reports is believed only of its own descendants that lead one."""
    child = spawn(fake.family)
    told = fake.hear_json(child)
    tree = fake.tree_of(child)
    own_session = os.getsid(0)
    assert not any(tree.add_session(pid) for pid in (0, 1, os.getpid(), own_session, stranger.pid, told["deaf"], 2**22))
    assert tree.add_session(told["own_session"])
    assert stranger.pid not in pids(tree)


def test_pids_used_again_are_strangers(stranger: linux.Stat) -> None:
    """A pid whose start time is another, alone or as the leader of a recorded session, is nobody of ours."""
    before = stranger.start_time - 1
    tree = Tree("nobody", stranger.pid, before)
    assert pids(tree) == set()
    assert tree.kill(fake.PATIENCE)
    record = {**Tree("nobody", 2**22, before).as_record(), "sessions": [[stranger.pid, before]]}
    record["seen"] = [[stranger.pid, before]]
    assert Tree.from_record(record).kill(fake.PATIENCE)
    assert not linux.send_signal(stranger.pid, before, signal.SIGKILL)


def test_an_emptied_session_is_let_go(spawn: Spawn) -> None:
    """The number of a session that has been empty for good may be given to strangers, so it is forgotten."""
    child = spawn(fake.sleeper)
    fake.hear_json(child)
    tree = fake.tree_of(child)
    assert [child.pid, child.start_time] in tree.as_record()["sessions"]
    assert tree.kill(fake.PATIENCE)
    fake.exit_code(child)
    tree.scan()
    tree.scan()
    assert tree.as_record()["sessions"] == []


def test_a_zombie_leader_with_a_running_thread_is_alive(spawn: Spawn) -> None:
    """A process whose main thread has ended is shown as a zombie, but it runs until its last thread does not."""
    child = spawn(fake.headless_leader)
    fake.hear_json(child)
    fake.eventually(lambda: fake.state(child.pid) == "Z", "the end of the main thread")
    tree = fake.tree_of(child)
    assert pids(tree) == {child.pid}
    assert child.exit_code() is None
    assert tree.kill(fake.PATIENCE)
    assert fake.exit_code(child) == -signal.SIGKILL


def test_a_kill_that_takes_too_long_says_so(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree that does not die in time is reported as not dead, and the kill can be repeated."""
    child = spawn(fake.sleeper)
    tree = fake.tree_of(child)
    with monkeypatch.context() as patch:
        patch.setattr("supervisor.shell.linux.send_signal", lambda *_: False)
        assert not tree.kill(0.05)
    assert tree.kill(fake.PATIENCE)


def test_a_shortage_of_descriptors_verifies_nothing(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """While /proc cannot be read for want of descriptors a tree is not called dead; later the kill succeeds."""

    def refuse() -> Iterator[linux.Stat]:
        raise OSError(errno.EMFILE, "Too many open files")

    child = spawn(fake.sleeper)
    tree = fake.tree_of(child)
    with monkeypatch.context() as patch:
        patch.setattr(linux, "processes", refuse)
        assert not tree.kill(0.05)
    assert pids(tree) == {child.pid}
    assert tree.kill(fake.PATIENCE)


def test_without_pidfds_a_process_is_still_killed(spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel or a filter refuses pidfds, pid and start time have to do."""

    def refuse(_: int) -> int:
        raise OSError(38, "Function not implemented")

    child = spawn(fake.sleeper)
    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert fake.tree_of(child).kill(fake.PATIENCE)


def test_a_record_brings_the_tree_back(spawn: Spawn) -> None:
    """Another process finds the same tree by its record, without the child being there any more."""
    child = spawn(fake.family)
    told = fake.hear_json(child)
    tree = fake.tree_of(child, temp_dir="/somewhere")
    tree.scan()
    os.kill(child.pid, signal.SIGKILL)
    fake.exit_code(child)
    again = Tree.from_record(tree.as_record())
    assert again.temp_dir == "/somewhere"
    assert pids(again) == pids(tree)
    assert told["own_session"] in pids(again)
    assert again.kill(fake.PATIENCE)
    assert all(fake.gone(pid) for pid in told["pids"])


@pytest.mark.parametrize(
    "damage",
    [
        {"pid": 1},
        {"pid": 0},
        {"pid": -1},
        {"pid": "12"},
        {"start_time": 0},
        {"marker": ""},
        {"marker": None},
        {"sessions": [[1, 5]]},
        {"sessions": [[0, 0]]},
        {"sessions": ["ab"]},
        {"sessions": {}},
        {"seen": [[5]]},
        {"seen": [[5, "6"]]},
        {"temp_dir": 5},
    ],
)
def test_a_damaged_record_is_refused(damage: dict[str, object]) -> None:
    """A record that could make a tree of strangers, or of nothing, is refused."""
    good = Tree("m", 12, 34).as_record()
    assert Tree.from_record(good).pid == 12
    with pytest.raises(RecordError):
        Tree.from_record({**good, **damage})


@pytest.mark.parametrize("record", [None, [], "x", 5, {}])
def test_what_is_no_record_is_refused(record: object) -> None:
    """Anything but a record is refused with a sentence."""
    with pytest.raises(RecordError, match="not the record of a process tree"):
        Tree.from_record(record)


def test_the_marker_is_matched_exactly(spawn: Spawn) -> None:
    """A marker that merely begins like ours belongs to another tree."""
    other = subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        env={**os.environ, MARKER: fake.MARK + "2"},
        start_new_session=True,
    )
    child = spawn(fake.sleeper)
    fake.hear_json(child)
    assert other.pid not in pids(fake.tree_of(child))
    found = linux.stat(other.pid)
    assert found is not None
    assert pids(Tree(fake.MARK + "2", 2**22, found.start_time)) == {other.pid}
    other.kill()
    other.communicate()


@pytest.mark.browser
def test_a_frozen_browser_dies_with_its_tree(spawn: Spawn) -> None:
    """With the browser frozen and child and driver killed, every process of the browser is found and dies."""
    child = spawn(fake.with_browser)
    told = fake.hear_json(child)
    tree = fake.tree_of(child)
    assert tree.add_session(told["browser"])
    whole = pids(tree)
    assert set(told["pids"]) <= whole
    assert len(whole) >= 6
    for pid, number in (
        (told["browser"], signal.SIGSTOP),
        (child.pid, signal.SIGKILL),
        (told["driver"], signal.SIGKILL),
    ):
        os.kill(pid, number)
    fake.exit_code(child)
    fake.eventually(lambda: fake.gone(told["driver"]), "the driver's end")
    assert told["browser"] in pids(tree)
    assert tree.kill(fake.PATIENCE)
    assert all(fake.gone(pid) for pid in whole)
