import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.shell import linux
from tests.shell import fake_children as fake

SCRIPT = """
import os, signal, subprocess, sys
from supervisor.shell import linux
from supervisor.shell.reaper import Reaper
from tests.shell import fake_children as fake

def end(code): os._exit(code)

linux.become_subreaper()
known = set()
reaper = Reaper(lambda: known)

# A child of ours in a session of its own, one in our session, and one that leaves an orphan which ends in its own.
own_session = subprocess.Popen([sys.executable, "-I", "-S", "-c", "raise SystemExit(4)"], start_new_session=True)
known.add(own_session.pid)
our_session = subprocess.Popen([sys.executable, "-I", "-S", "-c", "raise SystemExit(5)"])
orphan = "import os; os.setsid(); os.fork() or os._exit(0)"
parent = subprocess.Popen([sys.executable, "-I", "-S", "-c", orphan.replace("or os._exit(0)", "")])
parent.wait()
def mine(): return {p.pid for p in linux.processes() if p.parent == os.getpid()}
def zombies(): return {p.pid for p in linux.processes() if p.parent == os.getpid() and p.dead}
fake.eventually(lambda: zombies() == mine() and len(mine()) == 3, "three zombies")
assert reaper.reap() == 0
assert reaper.reap() == 1
assert reaper.reap() == 0
assert mine() == {own_session.pid, our_session.pid}
assert (own_session.wait(), our_session.wait()) == (4, 5)

# Killing a tree reaps what was adopted of it.
from supervisor.shell.processes import Processes
child = Processes(fake.family).spawn(1, 1, fake.settings(sys.argv[1]))
told = fake.hear_json(child)
tree = fake.tree_of(child)
tree.scan()
os.kill(child.pid, signal.SIGKILL)
assert fake.exit_code(child) == -9
assert set(told["pids"][1:]) <= mine()
assert tree.kill(fake.PATIENCE)
fake.eventually(lambda: (reaper.reap(), not zombies())[1], "no zombie left")
child.close()
print("fine")
"""


def test_adopted_orphans_are_reaped_and_nobody_else(tmp_path: Path) -> None:
    """Zombies that were adopted are reaped, by the reaper and by a kill; exit codes of our own children stay ours."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=fake.PATIENCE,
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_what_is_no_child_of_ours_is_not_reaped() -> None:
    """Asking for the status of a process that is not ours, or of one that still runs, changes nothing."""
    assert not linux.reap(1)
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert not linux.reap(running.pid)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL


def test_a_kernel_that_refuses_adoption_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that cannot hand orphans over is reported with its own words."""
    monkeypatch.setattr(linux, "_PR_SET_CHILD_SUBREAPER", -1)
    with pytest.raises(OSError, match="cannot adopt orphaned processes: Invalid argument"):
        linux.become_subreaper()
    assert os.getpid() > 1
