"""What supervision costs, on the demo website: ``python -m tests.benchmarks.costs [--vehicles N] [--workers N]``.

Prints how soon the help and the demo's first document are there, the supervisor's processor time a reference and when
nothing moves, and how soon after the SIGKILL of a worker its slot has the page of the next reference open.
"""

import argparse
import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from supervisor.demo_site import Wishes, started
from supervisor.views.status import Snapshot, read_status
from tests.benchmarks.machine import describe

ROOT = Path(__file__).resolve().parents[2]
_OPENED = re.compile(r"^(\S+) DEBUG worker=\d+ .* step: fetch the documents")
_KILLS = 5
_CALM = 25
"""References that the worker completes before it is killed again: a slot whose workers die at once waits longer."""


@contextlib.contextmanager
def night(folder: Path, wishes: Wishes, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the program on the demo website, quietly; ended when the block ends."""
    with started(wishes, os.environ) as website:
        command = [sys.executable, str(ROOT / "run.py"), "start", "demo", "--run-dir", str(folder), "--show", "quiet"]
        process = subprocess.Popen(
            [*command, "--worker-delay", "0", *options], env={**os.environ, **website.environment}, cwd=ROOT
        )
        try:
            yield process
        finally:
            for number in (signal.SIGTERM, signal.SIGTERM):
                if process.poll() is None:
                    process.send_signal(number)
            process.wait(60)


def until(process: "subprocess.Popen[bytes]", status: Path, reached: Callable[[Snapshot], bool]) -> Snapshot:
    """Wait until status.json shows it or the process has ended; return what it shows then."""
    descriptor = os.pidfd_open(process.pid)
    try:
        while True:
            snapshot = read_status(status)
            if snapshot is not None and reached(snapshot):
                return snapshot
            if select.select([descriptor], [], [], 0.1)[0]:
                if snapshot is None:
                    raise SystemExit("the run ended before it began")
                return snapshot
    finally:
        os.close(descriptor)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of one process, without its children."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def a_reference(folder: Path, vehicles: int, workers: int) -> str:
    """Measure the supervisor's processor time for each reference of a fault-free run, from its first to its last."""
    with night(folder, Wishes(vehicles=vehicles), "--workers", str(workers)) as process:
        status = folder / "status.json"
        first = until(process, status, lambda seen: seen.totals.completed > 0)
        begun, before = time.monotonic(), cpu_seconds(process.pid)
        last = until(process, status, lambda seen: seen.totals.completed >= vehicles * 0.9)
        spent, elapsed = cpu_seconds(process.pid) - before, time.monotonic() - begun
    count = last.totals.completed - first.totals.completed
    each, rate = spent / count * 1000, count / elapsed
    return f"supervisor: {each:.2f} ms CPU a reference over {count} references, {rate:.1f} a second"


def at_rest(folder: Path, workers: int, seconds: float) -> str:
    """Measure the supervisor's share of a core while every worker waits for a site that never answers."""
    wishes = Wishes(vehicles=workers * 2, faults="never-answers=1.0")
    with night(folder, wishes, "--workers", str(workers), "--task-timeout", "180") as process:
        until(process, folder / "status.json", lambda seen: seen.totals.in_progress == workers)
        before, begun = cpu_seconds(process.pid), time.monotonic()
        over = begun + seconds
        until(process, folder / "status.json", lambda _: time.monotonic() >= over)
        share = (cpu_seconds(process.pid) - before) / (time.monotonic() - begun)
    return f"supervisor: {share:.2%} of a core with {workers} workers that wait, over {seconds:.0f} s"


def after_a_kill(folder: Path, vehicles: int) -> str:
    """Measure the time from the SIGKILL of a worker to the next vehicle's page in the same slot."""
    waits = []
    with night(folder, Wishes(vehicles=vehicles), "--workers", "2") as process:
        status, log = folder / "status.json", folder / "logs" / "worker-1.log"
        until(process, status, lambda seen: seen.totals.completed > 0)
        for kill in range(_KILLS):
            victim = until(process, status, worked((kill + 1) * _CALM)).workers[0]
            before = len(opened(log))
            killed = datetime.now(UTC)
            os.kill(victim.pid, signal.SIGKILL)
            until(process, status, opened_more(log, before))
            waits.append((opened(log)[before] - killed).total_seconds())
    waits.sort()
    return f"killed worker: the next page is open in its slot {waits[len(waits) // 2]:.2f} s later (all: {waits})"


def worked(done: int) -> Callable[[Snapshot], bool]:
    """Ask whether the first worker has completed so many references and holds one."""
    return lambda seen: seen.workers[0].done >= done and seen.workers[0].state == "busy"


def opened_more(log: Path, before: int) -> Callable[[Snapshot], bool]:
    """Ask whether a worker has opened more vehicles' pages than before."""
    return lambda _: len(opened(log)) > before


def opened(log: Path) -> list[datetime]:
    """Return the times at which the worker had a vehicle's page open."""
    found = (_OPENED.match(line) for line in log.read_text(encoding="utf-8").splitlines())
    return [datetime.fromisoformat(line.group(1)) for line in found if line]


def at_the_start(folder: Path) -> str:
    """Measure the time from the command to its help, and from the command to the first published document."""
    helps = []
    for _ in range(5):
        begun = time.monotonic()
        subprocess.run(
            [sys.executable, str(ROOT / "run.py"), "--help"], stdout=subprocess.DEVNULL, check=True, cwd=ROOT
        )
        helps.append(time.monotonic() - begun)
    begun = time.monotonic()
    command = [sys.executable, str(ROOT / "run.py"), "demo", "--run-dir", str(folder), "--show", "quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not any(folder.glob("documents/*/*.pdf")):
            if process.poll() is not None:
                raise SystemExit("the demo ended without a document")
            time.sleep(0.02)  # another process publishes it, and tells nobody
        first = time.monotonic() - begun
        process.wait()
    return f"--help after {sorted(helps)[2]:.2f} s, the demo's first document after {first:.1f} s"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--vehicles", type=int, default=500)
    parser.add_argument("--workers", type=int, default=4)
    asked = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as name:
        folder = Path(name)
        print(at_the_start(folder / "demo"), flush=True)
        print(a_reference(folder / "busy", asked.vehicles, asked.workers), flush=True)
        print(at_rest(folder / "rest", asked.workers, 90.0), flush=True)
        print(after_a_kill(folder / "kill", 400), flush=True)


if __name__ == "__main__":
    main()
