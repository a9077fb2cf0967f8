"""The process beside a run that writes tracking.json, draws the progress and at the end writes the report.

None of it can slow the run down.

It is started by the supervisor and ends at the end of its standard input: with the supervisor, however that ends. A
terminal that takes no more (Ctrl-S) blocks the drawing thread only; tracking.json has a thread of its own.
"""

import contextlib
import functools
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TextIO

from rich.console import Console

from supervisor.views import progress
from supervisor.views.screen import Screen
from supervisor.views.status import Snapshot, read_status
from supervisor.views.text import clean

_TRACKING_INTERVAL = 10.0
_FIRST_TRACKING = 4.0
"""Seconds until the first one: the workers are at work by then, and a short run too finds its report prepared."""
_TRACKING_SHARE = 50
"""A write that took so many seconds is followed by that many times as many without one."""
_METRICS_INTERVAL = 10.0
_DRAW_INTERVAL = 0.5
_LINE_INTERVAL = 10.0
_LOUD = ("WARNING", "ERROR")


class Papers(NamedTuple):
    """What the clerk writes, each from the ledger of a run directory."""

    tracking: Callable[[Path], object]
    """tracking.json, again and again."""
    report: Callable[[Path], object]
    """The morning report, the last thing to be done."""
    prepare: Callable[[], object]
    """Loads what the report takes, so that the end of a run need not wait for it."""


def run(
    run_dir: Path,
    show: str,
    papers: Papers,
    *,
    metrics_file: Path | None = None,
    stdin_fd: int = 0,
    output: TextIO | None = None,
) -> int:
    """Keep the books until standard input ends; return the exit code 0.

    Args:
        run_dir: the run directory.
        show: ``live``, ``plain`` or ``quiet``.
        papers: what is to be written.
        metrics_file: where to keep the metrics for node_exporter; None for nowhere.
        stdin_fd: what tells of the supervisor's end.
        output: where to draw; standard output when None.
    """
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the supervisor's end is ours, and a signal to the group is for it
    over = threading.Event()
    books = threading.Thread(target=_keep_books, args=(run_dir, papers, stdin_fd, over), name="tracking", daemon=True)
    books.start()
    threads = [books]
    if metrics_file is not None:
        metrics = threading.Thread(
            target=_keep_metrics, args=(run_dir, metrics_file, over), name="metrics", daemon=True
        )
        metrics.start()
        threads.append(metrics)
    try:
        _show(run_dir / "status.json", show, over, output or sys.stdout)
    except OSError:
        over.wait()  # the terminal is gone: the books are kept all the same
    for thread in threads:
        thread.join()
    return 0


def _keep_books(run_dir: Path, papers: Papers, stdin_fd: int, over: threading.Event) -> None:
    pause, trouble = _FIRST_TRACKING, ""
    done = False
    while not done:
        done = _ended(stdin_fd, pause)
        begun = time.monotonic()
        try:
            papers.tracking(run_dir)
        except Exception as error:  # noqa: BLE001 - a full disk or a busy ledger must not end the books: the next may do
            if str(error) != trouble:
                trouble = str(error)
                _complain(run_dir, "tracking.json", trouble)
        pause = max(_TRACKING_INTERVAL, (time.monotonic() - begun) * _TRACKING_SHARE)
        if not done:
            _report(run_dir, papers.prepare)
    over.set()
    _report(run_dir, lambda: papers.report(run_dir))


def _report(run_dir: Path, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the exit code of a run stands without it; `report` writes it again
        _complain(run_dir, "the report", str(error))


def _keep_metrics(run_dir: Path, path: Path, over: threading.Event) -> None:
    """Write the metrics every 10 s and once more at the end."""
    from supervisor.views.prometheus import write_metrics  # noqa: PLC0415 - only where somebody wants the file

    done, trouble = False, ""
    while not done:
        done = over.wait(_METRICS_INTERVAL)
        snapshot = read_status(run_dir / "status.json")
        try:
            if snapshot is not None:
                write_metrics(path, snapshot)
        except OSError as error:  # the next may be possible; the run goes on
            if str(error) != trouble:
                trouble = str(error)
                _complain(run_dir, str(path), trouble)


def _complain(run_dir: Path, what: str, trouble: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with contextlib.suppress(OSError), (run_dir / "logs" / "clerk.log").open("a") as log:  # the disk may be full
        log.write(f"{now} WARNING supervisor {what} could not be written: {clean(trouble)}\n")


def _ended(fd: int, seconds: float) -> bool:
    """Wait for the end of `fd`, at most `seconds`; anything that is written to it is ignored."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0] and not os.read(fd, 65_536):
            return True
    return False


def _show(status: Path, show: str, over: threading.Event, output: TextIO) -> None:
    if show == "live":
        _show_live(status, over, Console(file=output))
    elif show == "plain":
        _show_plain(status, over, output)
    else:
        over.wait()


def _show_live(status: Path, over: threading.Event, console: Console) -> None:
    last: Snapshot | None = None
    with Screen(console) as screen:
        while True:
            done = over.wait(_DRAW_INTERVAL)
            snapshot = read_status(status)
            if snapshot is not None and (snapshot != last or done or screen.was_resized):
                last = snapshot
                screen.draw(functools.partial(progress.picture, snapshot))
            if done:
                return


def _show_plain(status: Path, over: threading.Event, output: TextIO) -> None:
    reporter = PlainReporter()
    while True:
        done = over.wait(_DRAW_INTERVAL)
        snapshot = read_status(status)
        if snapshot is not None:
            for line in reporter.lines(snapshot, time.monotonic(), last=done):
                print(line, file=output, flush=True)
        if done:
            return


class PlainReporter:
    """Chooses what a log of the progress says: every warning once, a line at each change of state and every 10 s."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()
        self._state = ""
        self._next = 0.0
        self._line = ""

    def lines(self, snapshot: Snapshot, now: float, *, last: bool = False) -> list[str]:
        """Return the lines to print at the monotonic time `now`."""
        notices = [notice for notice in snapshot.recent if notice.level in _LOUD]
        fresh = [notice for notice in notices if (notice.at, notice.text) not in self._said]
        self._said = {(notice.at, notice.text) for notice in notices}
        lines = [f"{notice.at[11:19]} {clean(notice.text)}" for notice in fresh]
        state = progress.state_sentence(snapshot)
        if last or state != self._state or now >= self._next:
            line = progress.plain(snapshot)
            if line != self._line:
                lines.append(line)
            self._line, self._state, self._next = line, state, now + _LINE_INTERVAL
        return lines
