"""The live view as a person sees it: at a real terminal, of any size, with and without colour."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from supervisor.shell import linux
from supervisor.shell.run_directory import RunDirectory
from supervisor.views import progress
from supervisor.views.status import Notice, SiteView, Snapshot, Totals, write_status
from tests.views.snapshots import busy, run_view
from tests.views.terminal import Terminal

CLERK = """
import sys
from pathlib import Path
from supervisor.views import clerk
nothing = lambda run_dir: None
sys.exit(clerk.run(Path(sys.argv[1]), sys.argv[2], clerk.Papers(nothing, nothing, list)))
"""
FAILED = tuple(
    Notice("2026-11-24T23:20:01.000Z", "WARNING", f"worker 1: A-{n}: attempt 1: timeout: no end", failure=True)
    for n in range(6)
)
SNAPSHOT = busy(
    site=SiteView("slow", 740.0, "a reference takes 9.1 s, as a rule 4.2 s"), recent=(*FAILED, *busy().recent)
)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as one:
        yield one


def expected(snapshot: Snapshot, columns: int, lines: int, *, colour: bool = True) -> list[str]:
    """Return the picture as text, for a terminal of this size. Only in colour the bar's rest is drawn."""
    console = Console(
        file=io.StringIO(), width=columns, height=lines, force_terminal=True, color_system="256", no_color=not colour
    )
    with console.capture() as capture:
        console.print(progress.picture(snapshot, lines - 1))
    return [line.rstrip() for line in Text.from_ansi(capture.get()).plain.rstrip("\n").split("\n")]


def directory(tmp_path: Path, snapshot: Snapshot) -> RunDirectory:
    """Make the run directory of a run that is going on: we are its supervisor."""
    made = RunDirectory(tmp_path / "night")
    made.create()
    write(made, snapshot)
    return made


def write(made: RunDirectory, snapshot: Snapshot) -> None:
    pid = os.getpid()
    run = msgspec.structs.replace(snapshot.run, pid=pid, pid_start=linux.start_time(pid) or 0)
    write_status(made.status, msgspec.structs.replace(snapshot, run=run))


def test_the_picture_is_the_same_on_the_screen_after_every_change_of_the_window(
    tmp_path: Path, terminal: Terminal
) -> None:
    """Whatever size the window gets, exactly the picture for that size stands there: nothing wraps, nothing is left."""
    write_status(tmp_path / "status.json", SNAPSHOT)
    terminal.run("-c", CLERK, str(tmp_path), "live")
    for columns, lines in ((80, 24), (60, 18), (132, 43), (80, 30), (80, 24)):
        terminal.resize(columns, lines)
        wanted = expected(SNAPSHOT, columns, lines)
        terminal.until(wanted.__eq__, f"it is {columns} columns wide:\n" + "\n".join(wanted))
    moved = busy(site=SNAPSHOT.site, recent=SNAPSHOT.recent, totals=Totals(total=2000, pending=753, completed=1247))
    write_status(tmp_path / "status.json", moved)
    terminal.until(expected(moved, 80, 24).__eq__, "the figures have moved on")
    done = busy(run=run_view(state="finished", exit_code=0, reason="all is done"), recent=())
    write_status(tmp_path / "status.json", done)
    assert terminal.end() == 0
    assert terminal.lines == expected(done, 80, 24)


def test_the_run_is_watched_from_any_other_terminal(tmp_path: Path, terminal: Terminal) -> None:
    """Status --watch shows the same picture, follows it and the window, and Ctrl-C ends it with 0."""
    made = directory(tmp_path, SNAPSHOT)
    watching = terminal.run("run.py", "status", str(made.path), "--watch")
    pid = f"running, pid {os.getpid()}"
    # One line is taken by the sentence about the process.
    terminal.until(lambda seen: seen == [*expected(SNAPSHOT, 80, 23), pid], "the whole picture is there")
    terminal.resize(100, 40)
    terminal.until(lambda seen: seen == [*expected(SNAPSHOT, 100, 39), pid], "the window is larger")
    write(made, busy(totals=Totals(total=2000, pending=753, completed=1247), recent=()))
    terminal.shows("pending 753")
    watching.send_signal(signal.SIGINT)
    assert terminal.wait() == 0


def test_colour_is_only_an_addition(tmp_path: Path) -> None:
    """With NO_COLOR every letter has the terminal's own colours, and what stands there is the same."""
    seen: dict[str, set[str]] = {}
    write_status(tmp_path / "status.json", SNAPSHOT)
    for value in ("", "1"):
        wanted = expected(SNAPSHOT, 80, 24, colour=not value)
        with Terminal() as terminal:
            terminal.run("-c", CLERK, str(tmp_path), "live", NO_COLOR=value)
            terminal.until(wanted.__eq__, "the picture is there:\n" + "\n".join(wanted))
            seen[value] = terminal.coloured
    assert seen[""]
    assert not seen["1"]


def test_a_terminal_that_can_do_nothing_gets_lines(tmp_path: Path, terminal: Terminal) -> None:
    """With TERM=dumb not one control character is sent; every line is whole."""
    made = directory(tmp_path, SNAPSHOT)
    watching = terminal.run("run.py", "status", str(made.path), "--watch", TERM="dumb")
    terminal.shows("1,240 of 2,000 references finished (62 %)")
    write(made, busy(run=run_view(state="draining", reason="stopped by SIGTERM"), recent=()))
    terminal.shows("draining (stopped by SIGTERM)")
    watching.send_signal(signal.SIGINT)
    assert terminal.wait() == 0
    assert all(line.isprintable() for line in terminal.raw.decode().splitlines())


def test_the_site_is_told_of_in_one_line(tmp_path: Path) -> None:
    """Up, slow, down with the next look, coming back; and how old the session is."""
    for site, said in (
        (SiteView("up", 740.0), "site up, logged in 12 min ago"),
        (SiteView("unknown"), "site unknown, not logged in"),
        (SNAPSHOT.site, "site slow, logged in 12 min ago: a reference takes 9.1 s, as a rule 4.2 s"),
        (
            SiteView("down", 9.0, "no answer", 60.0, 33.0),
            "site down for 1 min 00 s, tried again in 33 s, logged in 9 s ago: no answer",
        ),
        (SiteView("coming back", None, "no answer"), "site coming back, not logged in: no answer"),
    ):
        assert said in expected(busy(site=site), 120, 30)
