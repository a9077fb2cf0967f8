"""The clerk as the process it is: at a real terminal, with pipes, deaf to signals, and gone with its supervisor."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.views.clerk import PlainReporter
from supervisor.views.status import Notice, Totals, write_status
from tests.views.snapshots import busy, run_view

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30.0
CLERK = """
import sys
from pathlib import Path
from supervisor.views import clerk
def write(run_dir):
    (run_dir / "tracking.json").write_text("written")
def report(run_dir):
    (run_dir / "report.html").touch()
sys.exit(clerk.run(Path(sys.argv[1]), sys.argv[2], clerk.Papers(write, report, list)))
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal of 80 columns and 24 lines: what is drawn is read from the first, the clerk has the second."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    yield outer, inner
    os.close(outer)
    os.close(inner)


def start(run_dir: Path, show: str, output: int, **environ: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", CLERK, str(run_dir), show],
        stdin=subprocess.PIPE,
        stdout=output,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color", **environ},
    )


def end(clerk: "subprocess.Popen[bytes]") -> None:
    assert clerk.stdin is not None
    clerk.stdin.close()
    assert clerk.wait(DEADLINE) == 0


def read_until(fd: int, wanted: str) -> str:
    found, last = "", time.monotonic() + DEADLINE
    while wanted not in found:
        assert select.select([fd], [], [], max(last - time.monotonic(), 0))[0], f"{wanted!r} did not come in {found!r}"
        found += os.read(fd, 65_536).decode()
    return found


def test_a_terminal_gets_a_picture_that_is_redrawn(tmp_path: Path, terminal: tuple[int, int]) -> None:
    """At 80 columns no line wraps; a new snapshot changes the picture; at the end the last state stands there."""
    outer, inner = terminal
    write_status(tmp_path / "status.json", busy())
    clerk = start(tmp_path, "live", inner)
    assert "A-1005" in read_until(outer, "was killed")
    write_status(tmp_path / "status.json", busy(totals=Totals(total=2000, pending=753, completed=1247)))
    read_until(outer, "pending 753")
    write_status(tmp_path / "status.json", busy(run=run_view(state="finished", exit_code=0, reason="all is done")))
    end(clerk)
    read_until(outer, "finished (all is done)")
    assert (tmp_path / "tracking.json").read_text() == "written"


def test_without_colour_there_is_none(tmp_path: Path, terminal: tuple[int, int]) -> None:
    """With NO_COLOR no colour is set, and the state is still in words."""
    outer, inner = terminal
    write_status(tmp_path / "status.json", busy())
    clerk = start(tmp_path, "live", inner, NO_COLOR="1")
    picture = read_until(outer, "was killed")
    end(clerk)
    assert "running" in picture
    assert not [code for code in range(30, 48) if f"\x1b[{code}m" in picture or f";{code}m" in picture]


def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    """Not one control character reaches a file or a pipe."""
    write_status(tmp_path / "status.json", busy())
    clerk = start(tmp_path, "plain", subprocess.PIPE)
    assert clerk.stdout is not None
    text = read_until(clerk.stdout.fileno(), "finished (62 %)")
    write_status(tmp_path / "status.json", busy(run=run_view(state="draining", reason="stopped by SIGTERM")))
    text += read_until(clerk.stdout.fileno(), "draining (stopped by SIGTERM)")
    end(clerk)
    clerk.stdout.close()
    assert all(line.isprintable() for line in text.splitlines())
    assert text.count("worker 3 was killed") == 1


def test_signals_for_the_supervisor_leave_the_clerk_at_work(tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM reach the whole group of a terminal; the clerk goes on until its supervisor has ended."""
    write_status(tmp_path / "status.json", busy())
    clerk = start(tmp_path, "plain", subprocess.PIPE)
    assert clerk.stdout is not None
    read_until(clerk.stdout.fileno(), "62 %")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        clerk.send_signal(number)
    write_status(tmp_path / "status.json", busy(run=run_view(state="draining")))
    read_until(clerk.stdout.fileno(), "draining")
    end(clerk)
    clerk.stdout.close()


def test_a_blocked_terminal_does_not_hold_up_the_books(tmp_path: Path) -> None:
    """Nobody reads the output, so drawing blocks; tracking.json is written all the same when the run ends."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    write_status(tmp_path / "status.json", busy())
    clerk = start(tmp_path, "plain", writing)
    assert clerk.stdin is not None
    clerk.stdin.close()
    last = time.monotonic() + DEADLINE
    while not (tmp_path / "tracking.json").exists():
        assert time.monotonic() < last
        select.select([], [], [], 0.05)
    assert clerk.poll() is None
    os.close(writing)
    os.close(reading)
    assert clerk.wait(DEADLINE) == 0


def test_books_that_cannot_be_written_are_mentioned_once(tmp_path: Path) -> None:
    """A ledger that cannot be read now is a line in the clerk's log, not the clerk's end."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "tracking.json").mkdir()
    clerk = start(tmp_path, "quiet", subprocess.DEVNULL)
    end(clerk)
    lines = (tmp_path / "logs" / "clerk.log").read_text().splitlines()
    assert len(lines) == 1
    assert "WARNING supervisor tracking.json could not be written" in lines[0]


def test_plain_lines_come_at_changes_and_every_ten_seconds() -> None:
    """A warning is said once, a state at its change, and a line that says nothing new is left out."""
    reporter = PlainReporter()
    assert len(reporter.lines(busy(), 0.0)) == 2  # the warning and the state
    assert reporter.lines(busy(), 1.0) == []
    assert reporter.lines(busy(), 11.0) == []  # nothing has changed
    moved = busy(totals=Totals(total=2000, completed=1300, pending=700))
    assert reporter.lines(moved, 12.0) == []
    assert len(reporter.lines(moved, 22.0)) == 1
    paused = busy(run=run_view(state="paused", reason="the disk is full"))
    assert ["paused (the disk is full)" in line for line in reporter.lines(paused, 23.0)] == [True]
    notices = (
        *busy().recent,
        Notice("2026-11-24T23:21:01Z", "INFO", "quiet"),
        Notice("2026-11-24T23:21:01Z", "ERROR", "loud"),
    )
    said = reporter.lines(busy(run=paused.run, recent=notices), 24.0)
    assert [line.rpartition(" ")[2] for line in said] == ["loud"]


def test_the_report_is_the_last_that_is_written(tmp_path: Path) -> None:
    """It comes once the run is over, not before."""
    clerk = start(tmp_path, "quiet", subprocess.DEVNULL)
    assert not (tmp_path / "report.html").exists()
    end(clerk)
    assert (tmp_path / "report.html").exists()
