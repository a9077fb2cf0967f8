"""The guardian: a small process that outlives the supervisor just long enough to kill what it left.

Run as ``python -I -S guardian_main.py <supervisor's pid> <its start time>`` with the reading end of a pipe as standard
input, one JSON object a line: ``{"watch": <record of a tree>}`` (again when it changes) and ``{"forget": <marker>}``.
When the supervisor is gone, every tree that is still watched is killed and its temporary folder removed. After an
orderly end nothing is watched, so it ends at once. It says what it did on standard error, one line each.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    # Isolated mode knows nothing of the checkout that this file lies in.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from supervisor.shell import linux
from supervisor.shell.sweep import TEMP_PREFIX, remove_temp_dir
from supervisor.shell.trees import RecordError, Tree

GIVE_UP_SECONDS = 40.0
"""After the supervisor's end: processes that survive SIGKILL for so long wait in the kernel for a device."""

_ROUND_SECONDS = 0.5  # spent on one tree before the next one has its turn


class Watch:
    """The trees to be killed, as the lines from the supervisor tell."""

    def __init__(self) -> None:
        self.trees: dict[str, Tree] = {}
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take bytes from the pipe; half a line waits for its end. A line that makes no sense is reported."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                match json.loads(line):
                    case {"watch": entry}:
                        tree = Tree.from_record(entry)
                        self.trees[tree.marker] = tree
                    case {"forget": str(marker)}:
                        self.trees.pop(marker, None)
                    case other:
                        say(f"not a message: {str(other)[:200]}")
            except (ValueError, RecordError) as error:
                say(f"not a message: {error}")


def wait_for_the_end(watch: Watch, supervisor: int, started: int) -> None:
    """Feed `watch` until the supervisor is gone: the pipe ends, or the process does while a stray holds the pipe."""
    os.set_blocking(sys.stdin.fileno(), False)
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN)
    pidfd = -1
    with contextlib.suppress(OSError):  # it is gone already, or there are no pidfds: the pipe tells as well
        pidfd = os.pidfd_open(supervisor)
        poll.register(pidfd, select.POLLIN)
    if linux.start_time(supervisor) != started:
        drain(watch)
        return
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if drain(watch) or pidfd in ready:
            return


def drain(watch: Watch) -> bool:
    """Feed `watch` with all that the pipe holds now; True at its end."""
    try:
        while data := os.read(sys.stdin.fileno(), 65_536):
            watch.feed(data)
    except BlockingIOError:
        return False
    return True


def clean_up(trees: list[Tree]) -> None:
    """Kill the trees, each in turn until all are dead, and remove their temporary folders."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    left = trees
    while left and time.monotonic() < deadline:
        left = [tree for tree in left if not finish(tree)]
    for tree in left:
        say(f"gave {tree.marker} up: {', '.join(f'{process.name} ({process.pid})' for process in tree.members())}")
    for root in {Path(tree.temp_dir).parent for tree in trees if tree.temp_dir}:
        if root.name.startswith(TEMP_PREFIX):
            with contextlib.suppress(OSError):  # not empty, or gone: the next start looks after it
                root.rmdir()


def finish(tree: Tree) -> bool:
    """Spend a short while on one tree; True when nothing is left to do for it."""
    if not tree.kill(_ROUND_SECONDS):
        return False
    say(f"{tree.marker} is gone")
    if tree.temp_dir:
        try:
            remove_temp_dir(Path(tree.temp_dir))
        except (OSError, ValueError) as error:
            say(f"its temporary folder could not be removed: {error}")
    return True


def say(sentence: str) -> None:
    """Write one line for the log; a log that cannot be written keeps nobody from being killed."""
    with contextlib.suppress(OSError):
        os.write(sys.stderr.fileno(), f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {sentence}\n".encode())


def main() -> None:
    """Guard until the supervisor is gone, clean up, end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    watch = Watch()
    wait_for_the_end(watch, int(sys.argv[1]), int(sys.argv[2]))
    if watch.trees:
        say(f"the supervisor is gone, {len(watch.trees)} process trees are left")
    clean_up(list(watch.trees.values()))


if __name__ == "__main__":
    main()
