"""The child of a command that is no run: whatever it does, and however the command ends, nothing of it is left."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.errors import MachineError
from supervisor.shell import helper, linux
from supervisor.shell.helper import Helper, SilentError

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 30.0

CHATTY = """
import os, sys, subprocess
order = sys.stdin.readline().strip()
print("order", order, flush=True)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("pid", os.getpid(), grandchild.pid, flush=True)
print("answer", sys.stdin.readline().strip(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that can be run as a helper."""
    (tmp_path / "chatty.py").write_text(CHATTY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "chatty"


def until_dead(pids: list[int]) -> None:
    end = time.monotonic() + LIMIT
    while alive := [pid for pid in pids if (found := linux.stat(pid)) is not None and not found.dead]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)  # the guardian works alone and notifies nobody


def greet(child: Helper) -> tuple[Iterator[bytes], list[int]]:
    lines = child.lines(LIMIT)
    assert next(lines).startswith(b"order ")
    return lines, [int(word) for word in next(lines).split()[1:]]


def test_it_is_spoken_to_and_leaves_nothing(module: str) -> None:
    """Its order, its answers; at the end its grandchild in a session of its own is dead, its folder gone."""
    folders: list[Path] = []

    def order(temp_dir: Path, marker: str) -> bytes:
        folders.append(temp_dir)
        return f"{temp_dir} {marker}".encode()

    with helper.started(module, order, os.environ) as child:
        lines, pids = greet(child)
        child.say(b"hello")
        assert next(lines) == b"answer hello"
        assert folders[0].is_dir()
    until_dead(pids)
    assert not folders[0].exists()


def test_silence_has_an_end(module: str) -> None:
    """A child that says nothing any more is given up, and killed."""
    with helper.started(module, lambda *_: b"", os.environ) as child:
        _, pids = greet(child)
        with pytest.raises(SilentError, match="said nothing for 0 s"):
            next(child.lines(0.2))
    until_dead(pids)


def test_the_end_of_the_child_ends_its_lines(module: str) -> None:
    """And how it ended is known, with its last words."""
    with helper.started("no_such_module", lambda *_: b"", {**os.environ, "PYTHONWARNINGS": "ignore"}) as child:
        assert list(child.lines(LIMIT)) == []
        assert "exit code 1" in child.epitaph()
        assert "No module named no_such_module" in child.epitaph()
        child.say(b"nobody reads this")


def test_a_machine_that_starts_nothing_is_told_in_a_sentence(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the temporary folder cannot be made."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    with (
        pytest.raises(MachineError, match="could not be started"),
        helper.started(module, lambda *_: b"", os.environ),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_command_ends_nothing_is_left(module: str, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM, and SIGKILL, after which only the guardian can do it."""
    program = f"""
import os, sys
from supervisor.shell import helper
with helper.started({module!r}, lambda temp_dir, marker: str(temp_dir).encode(), os.environ) as child:
    for line in child.lines(60):
        print(line.decode(), flush=True)
"""
    command = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert command.stdout is not None
    folder = Path(command.stdout.readline().split()[1].decode())
    pids = [int(word) for word in command.stdout.readline().split()[1:]]
    assert folder.is_dir()
    command.send_signal(number)
    command.wait(LIMIT)
    until_dead(pids)
    end = time.monotonic() + LIMIT
    while folder.exists():
        assert time.monotonic() < end, folder
        time.sleep(0.05)  # as above
    command.stdout.close()
