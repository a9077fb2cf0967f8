"""How the program bears many references: ``python -m tests.benchmarks.size [--references 1000,…] [--out FOLDER]``.

For each number: seconds to import them into a ledger; to open it and be ready to hand out (in a process of its own,
with its peak memory); what the core takes to hand out one reference and to take its answer, with so many waiting; and
seconds to write tracking.json (which a process beside the run does). Then how each grew with each step of the numbers.
With --out (dependency group `bench`) a plot as well.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import msgspec

from supervisor.core.commands import Publish, Send, Spawn
from supervisor.core.events import Event, Published, TimePassed, WorkerSpoke
from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.tracking import write_tracking
from tests.benchmarks.machine import describe
from worker.protocol import Assign, LoggedIn, LogIn, Ready, Succeeded

_HANDED_OUT = 900
"""References over which the cost of one is measured; fewer than the smallest run has."""


class Opened(msgspec.Struct, frozen=True):
    """What a supervisor is when it has just opened its ledger."""

    seconds: float
    memory: int
    """In bytes, at its peak."""
    dispatch: float
    """Processor seconds of the core for each reference."""


class Point(msgspec.Struct, frozen=True):
    """One number of references. Times in seconds, memory in bytes."""

    references: int
    imported: float
    opened: float
    memory: int
    dispatch: float
    tracked: float


def prepare(folder: Path, references: int) -> float:
    """Make a run directory with so many references; return the seconds of the import."""
    directory = RunDirectory(folder)
    directory.create()
    with Ledger.create(directory.ledger, site="none", wall=time.time()) as ledger:
        begun = time.monotonic()
        ledger.import_references(f"STOCK-{number:07d}" for number in range(references))
        return time.monotonic() - begun


def open_it(folder: Path) -> Opened:
    """Open the ledger until the first reference could be handed out, then hand out some."""
    begun = time.monotonic()
    with Ledger.open(RunDirectory(folder).ledger) as ledger:
        machine = Machine(Policy(worker_delay=0.0, recycle_after=0), 5, ledger.backlog(time.time()), time.monotonic())
        machine.check_invariants()
        seconds = time.monotonic() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Opened(seconds, memory, hand_out(machine))


def hand_out(machine: Machine) -> float:
    """Let five workers that answer at once take references; return the processor seconds of the core for each."""
    events: deque[Event] = deque([TimePassed()])
    begun, now, done = time.process_time(), time.monotonic(), 0
    while done < _HANDED_OUT:
        event = events.popleft() if events else TimePassed()
        done += isinstance(event, Published)
        now += 0.001
        for command in machine.handle(event, now):
            match command:
                case Spawn(slot=slot, incarnation=incarnation):
                    events.append(WorkerSpoke(slot, incarnation, Ready()))
                case Send(slot=slot, incarnation=incarnation, message=LogIn(errand=errand)):
                    events.append(WorkerSpoke(slot, incarnation, LoggedIn(errand, b"-")))
                case Send(slot=slot, incarnation=incarnation, message=Assign(attempt=attempt)):
                    events.append(WorkerSpoke(slot, incarnation, Succeeded(attempt, ())))
                case Publish(attempt=attempt, documents=documents):
                    events.append(Published(attempt, documents))
                case _:
                    pass
    return (time.process_time() - begun) / done


def track(folder: Path) -> float:
    """Return the seconds that tracking.json takes."""
    begun = time.monotonic()
    write_tracking(folder)
    return time.monotonic() - begun


def measure(references: int) -> Point:
    """Measure one number of references."""
    with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as name:
        folder = Path(name) / "run"
        imported = prepare(folder, references)
        command = [sys.executable, "-m", "tests.benchmarks.size", "--open", str(folder)]
        said = subprocess.run(command, check=True, capture_output=True).stdout
        opened = msgspec.json.decode(said, type=Opened)
        return Point(references, imported, opened.seconds, opened.memory, opened.dispatch, track(folder))


def plot(path: Path, machine: str, points: list[Point]) -> None:
    """Draw each measure over the number of references, both on logarithmic axes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 - of the group `bench`, slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(8, 3), layout="constrained")
    FigureCanvasSVG(figure)
    counts = [point.references for point in points]
    panels = (
        ("seconds", {"import": "imported", "open": "opened", "tracking.json": "tracked"}, 1.0),
        ("MB at the peak", {"memory": "memory"}, 1e-6),
        ("µs of the core a reference", {"dispatch": "dispatch"}, 1e6),
    )
    for number, (label, curves, unit) in enumerate(panels, 1):
        axes = figure.add_subplot(1, 3, number)
        for name, field in curves.items():
            axes.loglog(counts, [getattr(point, field) * unit for point in points], "o-", label=name, markersize=3)
        axes.set_xlabel("references", fontsize=7)
        axes.set_ylabel(label, fontsize=7)
        axes.legend(fontsize=6, frameon=False)
    figure.suptitle(machine, fontsize=8)
    figure.savefig(path)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--references", default="1000,10000,100000,1000000")
    parser.add_argument("--out", type=Path, help="A folder for the plot.")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.open is not None:
        print(msgspec.json.encode(open_it(asked.open)).decode())
        return
    machine = describe()
    print(machine)
    points: list[Point] = []
    for references in map(int, asked.references.split(",")):
        point = measure(references)
        print(
            f"{references:>9,} references: imported in {point.imported:.2f} s, opened in {point.opened:.2f} s,", end=" "
        )
        print(f"{point.memory / 1e6:.0f} MB, dispatch {point.dispatch * 1e6:.0f} µs,", end=" ")
        print(f"tracking.json written in {point.tracked:.2f} s", flush=True)
        if points:
            before = points[-1]
            print(f"{f'x {references / before.references:g}':>9}            : import x", end=" ")
            print(f"{point.imported / before.imported:.1f}, open x {point.opened / before.opened:.1f},", end=" ")
            print(f"memory x {point.memory / before.memory:.1f}, dispatch x", end=" ")
            print(f"{point.dispatch / before.dispatch:.1f}, tracking.json x {point.tracked / before.tracked:.1f}")
        points.append(point)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        plot(asked.out / "size.svg", machine, points)


if __name__ == "__main__":
    main()
