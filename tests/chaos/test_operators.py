"""What people and the machine do to a night from outside: keys, signals, clocks, and terminals that nobody reads."""

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.harness import LONGEST, ROOT, Night, Site, until

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]

_SMALLEST_PIPE = 4096


def test_ctrl_c_in_a_terminal_ends_the_night_in_good_order(begin: Begin, open_site: OpenSite) -> None:
    """The key signals the whole foreground group; the workers finish what they hold all the same, uncharged."""
    site = open_site(16)
    site.hold(2)
    run = begin(site.url)
    terminal, theirs = pty.openpty()
    command = [sys.executable, str(ROOT / "run.py"), "start", run.site, "--run-dir", str(run.folder)]
    run.process = subprocess.Popen(
        [*command, "--workers", "2", "--worker-delay", "0"],
        env={**run.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, _TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs here
        text=True,
    )
    os.close(theirs)
    try:
        site.wait_until_held(2)
        os.write(terminal, b"\x03")
        until(lambda: run.status and run.status.run.state == "draining", "it drains")
        site.order("release")
        _read_to_the_end(terminal)
        assert run.process.wait(60) == 3
    finally:
        os.close(terminal)
    run.check_nothing_left()
    assert run.tracking.totals.in_progress == 0
    assert run.tracking.totals.completed == 4
    assert run.run() == 0, run.said
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_during_the_start_ends_it_without_a_trace(
    number: signal.Signals, begin: Begin, open_site: OpenSite
) -> None:
    """Before any browser runs; nothing was handed out, nothing is charged, nothing is left, and it can be resumed."""
    site = open_site(4)
    run = begin(site.url)
    run.start()
    run.wait_for_log("incarnation 1 starts")
    run.send(number)
    assert run.end() == 3, run.said
    assert "Traceback" not in run.said
    run.check_no_process(10)
    assert run.run() == 0, run.said
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_second_signal_while_it_drains_ends_at_once(
    number: signal.Signals, begin: Begin, open_site: OpenSite
) -> None:
    """The first waits for an attempt that takes its time; the second does not, and the attempt is not charged."""
    site = open_site(6, "never-answers=1.0")
    run = begin(site.url, task_timeout=100, stuck_threshold=200)
    run.start()
    until(lambda: run.status and run.status.totals.in_progress == 2, "both workers wait")
    run.send(signal.SIGTERM)
    until(lambda: run.status and run.status.run.state == "draining", "it drains")
    run.send(number)
    assert run.end() == 3, run.said
    run.check_nothing_left()
    assert run.status is not None
    assert run.status.metrics.failures.keys() <= {"interrupted"}
    assert {entry.attempts for entry in run.tracking.references} == {0}


@pytest.mark.long
def test_a_terminal_that_nobody_reads_stops_no_work(begin: Begin, open_site: OpenSite) -> None:
    """Every reference is completed while the pipe of standard output is full; the end comes when it is read."""
    site = open_site(10)
    run = begin(site.url)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _SMALLEST_PIPE)
    command = [sys.executable, str(ROOT / "run.py"), "start", run.site, "--run-dir", str(run.folder)]
    run.process = subprocess.Popen(
        [*command, "--workers", "2", "--worker-delay", "0", "--show", "plain"],
        env=run.environ,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
        text=True,
    )
    run.wait_for_completed(1)
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b".")
    os.set_blocking(writer, True)
    os.close(writer)
    run.wait_for_completed(10)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    assert run.process.wait(60) == 0
    assert "10 of 10" in said
    run.check(site.truth)


@pytest.fixture
def clock(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A file with the seconds by which the wall clock of every Python process is wrong, and the environment for it."""
    file, folder = tmp_path / "clock", tmp_path / "site"
    file.write_text("0")
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        textwrap.dedent(
            f"""
            import time
            _time, _time_ns = time.time, time.time_ns
            def _wrong():
                with open({str(file)!r}) as file:
                    return float(file.read() or 0)
            time.time = lambda: _time() + _wrong()
            time.time_ns = lambda: _time_ns() + int(_wrong() * 1e9)
            """
        )
    )
    return file, {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def test_a_wall_clock_that_jumps_is_no_time_out(
    clock: tuple[Path, dict[str, str]], begin: Begin, open_site: OpenSite
) -> None:
    """Deadlines are on the monotonic clock: no kill, no failure, and nothing waits an hour for its turn.

    It jumps back by an hour, on by an hour, and on by a day, each time in the midst of the work.
    """
    file, environ = clock
    site = open_site(18)
    run = begin(site.url)
    run.environ.update(environ)
    site.hold(6)
    run.start()
    for jumps, hours in enumerate((-1, 0, 24), 1):
        run.wait_for_completed(4 * jumps)
        site.hold(4)
        other = file.with_name("other")
        other.write_text(str(hours * 3600))
        other.replace(file)
    site.order("release")
    assert run.end() == 0, run.said + run.log
    assert run.status is not None
    assert run.status.metrics.kills == 0
    assert run.status.metrics.failures == {}
    entries = run.check(site.truth, recovered=LONGEST + 25 * 3600)  # by the clock that jumped
    assert {entry.attempts for entry in entries.values()} == {1}


_TIOCSCTTY = 0x540E


def _read_to_the_end(terminal: int) -> None:
    """Be the terminal's screen until the last process has closed it."""
    while True:
        try:
            if not os.read(terminal, 65_536):
                return
        except OSError:  # EIO: nobody has it open any more
            return
