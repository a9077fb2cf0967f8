"""How the program bears many references: ``python -m tests.benchmarks.size [--references 1000,100000,1000000]``.

For each number: seconds to import them into a ledger, to open it and be ready to hand out (in a process of its own,
with its peak memory), and seconds to write tracking.json (which a process beside the run does).
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from supervisor.core.machine import Machine
from supervisor.core.policy import Policy
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.tracking import write_tracking
from tests.benchmarks.machine import describe


def prepare(folder: Path, references: int) -> float:
    """Make a run directory with so many references; return the seconds of the import."""
    directory = RunDirectory(folder)
    directory.create()
    with Ledger.create(directory.ledger, site="none", wall=time.time()) as ledger:
        begun = time.monotonic()
        ledger.import_references(f"STOCK-{number:07d}" for number in range(references))
        return time.monotonic() - begun


def open_it(folder: Path) -> tuple[float, int]:
    """Return the seconds until the first reference could be handed out, and the peak memory in bytes."""
    begun = time.monotonic()
    with Ledger.open(RunDirectory(folder).ledger) as ledger:
        machine = Machine(Policy(), 5, ledger.backlog(time.time()), time.monotonic())
        machine.check_invariants()
        return time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def track(folder: Path) -> float:
    """Return the seconds that tracking.json takes."""
    begun = time.monotonic()
    write_tracking(folder)
    return time.monotonic() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--references", default="1000,100000,1000000")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.open is not None:
        seconds, memory = open_it(asked.open)
        print(f"opened in {seconds:.2f} s, {memory / 1e6:.0f} MB")
        return
    print(describe())
    for references in map(int, asked.references.split(",")):
        with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as name:
            folder = Path(name) / "run"
            imported = prepare(folder, references)
            command = [sys.executable, "-m", "tests.benchmarks.size", "--open", str(folder)]
            opened = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"{references:>9,} references: imported in {imported:.2f} s, {opened},", end=" ")
            print(f"tracking.json written in {track(folder):.2f} s", flush=True)


if __name__ == "__main__":
    main()
