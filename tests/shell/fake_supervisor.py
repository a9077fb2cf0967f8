"""A supervisor in a process of its own, to be killed: ``python fake_supervisor.py <target> <run directory>``.

Starts a guardian and one child, writes ``processes.json``, says in one line of JSON what runs, and waits.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from supervisor.shell import linux, sweep
from supervisor.shell.guardian import Guardian
from supervisor.shell.processes import Processes
from tests.shell import fake_children as fake


class FakeSupervisor:
    """Such a supervisor, as a test holds it: started, and everything it has told.

    Args:
        target: name of a target in `fake_children`.
        directory: in which it writes.
    """

    def __init__(self, target: str, directory: Path) -> None:
        root = Path(__file__).resolve().parents[2]
        self.process = subprocess.Popen(
            [sys.executable, __file__, target, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.child: int = told["child"]
        self.told: dict[str, Any] = told["told"]
        self.members: list[tuple[int, int]] = [(pid, started) for pid, started in told["members"]]
        self.guardian: tuple[int, int] = (told["guardian"][0], told["guardian"][1])
        self.temp_dir = directory / "nightfleet-test" / "w1-1"

    def kill(self) -> None:
        """End it as a crash would: at once, with nothing done."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def end(self) -> dict[str, Any]:
        """Let it end in an orderly way and return what it says at last."""
        said, _ = self.process.communicate()
        last = json.loads(said)
        assert isinstance(last, dict)
        return last

    def alive(self) -> list[tuple[int, int]]:
        """Return the processes of the tree that still run."""
        return [member for member in self.members if linux.is_running(*member)]

    def clean_up(self) -> None:
        """Leave nothing of it, whatever the test has come to."""
        self.kill()
        for member in [self.guardian, *self.members]:
            linux.send_signal(*member, signal.SIGKILL)


def say(**values: object) -> None:
    """Write one line of JSON to standard output."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main(target: str, directory: Path) -> None:
    """Run until killed, or end in an orderly way when standard input does."""
    linux.become_subreaper()
    guardian = Guardian(directory / "guardian.log")
    guardian.start()
    temp_dir = directory / "nightfleet-test" / "w1-1"
    temp_dir.mkdir(parents=True)
    (temp_dir / "left").write_text("a file")
    child = Processes(getattr(fake, target)).spawn(1, 1, fake.settings(temp_dir))
    tree = fake.tree_of(child, temp_dir=str(temp_dir))
    guardian.watch(tree)
    told = fake.hear_json(child)
    if "browser" in told:
        tree.add_session(told["browser"])
    guardian.watch(tree)
    sweep.record(directory / "processes.json", [tree], guardian.identity)
    identity = guardian.identity
    members = [[process.pid, process.start_time] for process in tree.members()]
    say(child=child.pid, guardian=identity, members=members, told=told)
    sys.stdin.read()
    tree.kill(fake.PATIENCE)
    fake.exit_code(child)
    child.close()
    guardian.forget(tree)
    guardian.close()
    say(guardian_ended=identity is not None and not linux.is_running(*identity))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")
    main(sys.argv[1], Path(sys.argv[2]))
