"""A long run and what it holds: ``python -m tests.benchmarks.soak [--vehicles N] [--workers N] [--out FOLDER]``.

Workers are not recycled, so that whatever piles up is seen. Every few seconds: memory (proportional set size) and open
descriptors of each worker's whole tree, bytes in the temporary folders, and the supervisor's memory. Prints a line for
each tenth of the run, and how the last tenth compares with the second. With --out (dependency group `bench`) also
writes all samples and a plot.
"""

import argparse
import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import mean

import msgspec
import psutil

from supervisor.demo_site import Wishes
from supervisor.shell import linux
from supervisor.views.status import Snapshot
from tests.benchmarks.costs import night, until
from tests.benchmarks.machine import describe

_EVERY = 3.0


class Sample(msgspec.Struct, frozen=True):
    """One look. Memory and space in bytes."""

    seconds: float
    completed: int
    memory: float
    """Of a worker's tree, the mean over the workers."""
    most: int
    """Of the largest worker's tree."""
    descriptors: int
    """Of all workers' trees."""
    temporary: int
    supervisor: int


def look(begun: float, supervisor: int, snapshot: Snapshot) -> Sample:
    """Measure everything now."""
    trees = [tree for worker in snapshot.workers if (tree := _tree(worker.pid))]
    weights = [sum(map(_weight, tree)) for tree in trees]
    return Sample(
        seconds=time.monotonic() - begun,
        completed=snapshot.totals.completed,
        memory=mean(weights) if weights else 0.0,
        most=max(weights, default=0),
        descriptors=sum(_descriptors(process) for tree in trees for process in tree),
        temporary=sum(_space(folder) for folder in sorted({_temporary(tree) for tree in trees}) if folder),
        supervisor=_weight(psutil.Process(supervisor)),
    )


def _tree(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _weight(process: psutil.Process) -> int:
    found = linux.stat(process.pid)
    return linux.memory(found) if found is not None else 0


def _descriptors(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return process.num_fds()
    return 0


def _temporary(tree: list[psutil.Process]) -> str:
    """Return the worker's temporary folder, as the driver has it in its environment."""
    for process in tree[1:]:
        with contextlib.suppress(psutil.Error):
            if folder := process.environ().get("TMPDIR", ""):
                return folder
    return ""


def _space(folder: str) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # temporary it is
                total += (Path(path) / name).lstat().st_size
    return total


def run(folder: Path, vehicles: int, workers: int) -> list[Sample]:
    """Run to the end; return the samples."""
    samples: list[Sample] = []
    wishes = Wishes(vehicles=vehicles, uniform=True)
    with night(folder, wishes, "--workers", str(workers), "--recycle-after", "0") as process:
        status, begun = folder / "status.json", time.monotonic()
        following = begun

        def reached(seen: Snapshot) -> bool:
            nonlocal following
            if seen.totals.completed and time.monotonic() >= following:
                following = time.monotonic() + _EVERY
                samples.append(look(begun, process.pid, seen))
            return seen.totals.completed + seen.totals.failed >= vehicles

        last = until(process, status, reached)
    if last.totals.completed < vehicles:
        raise SystemExit(f"only {last.totals.completed} of {vehicles} vehicles were completed")
    return samples


def tenths(samples: list[Sample], vehicles: int) -> list[list[Sample]]:
    """Return the samples of each tenth of the run, as far as there are any."""
    parts = [[one for one in samples if one.completed * 10 // (vehicles + 1) == tenth] for tenth in range(10)]
    return [part for part in parts if part]


def line(part: list[Sample]) -> str:
    """Return one tenth in one line."""
    return (
        f"{part[-1].completed:>7,} vehicles: a worker {mean(one.memory for one in part) / 1e6:.0f} MB, "
        f"the largest {max(one.most for one in part) / 1e6:.0f} MB; "
        f"{mean(one.descriptors for one in part):.0f} descriptors, "
        f"{mean(one.temporary for one in part) / 1e6:.1f} MB temporary; "
        f"supervisor {mean(one.supervisor for one in part) / 1e6:.0f} MB"
    )


def plot(path: Path, machine: str, samples: list[Sample]) -> None:
    """Draw memory, descriptors and temporary space over the vehicles."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415 - of the group `bench`, slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasSVG(figure)
    done = [one.completed for one in samples]
    curves = (
        ("MB, a worker's tree (line) and the largest", [one.memory / 1e6 for one in samples]),
        ("open descriptors of all workers", [float(one.descriptors) for one in samples]),
        ("MB of temporary files", [one.temporary / 1e6 for one in samples]),
    )
    for number, (label, values) in enumerate(curves, 1):
        axes = figure.add_subplot(3, 1, number)
        axes.plot(done, values, color="#1f6f8b", linewidth=1)
        if number == 1:
            axes.plot(done, [one.most / 1e6 for one in samples], ".", markersize=2, color="#d98e1f")
            axes.set_title(machine, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(label, fontsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("vehicles completed")
    figure.savefig(path)


def main() -> None:
    """Run, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--vehicles", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--out", type=Path, help="A folder for samples and plot.")
    asked = parser.parse_args()
    machine = describe()
    print(machine)
    with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as name:
        samples = run(Path(name) / "run", asked.vehicles, asked.workers)
    parts = tenths(samples, asked.vehicles)
    for part in parts:
        print(line(part))
    seconds = samples[-1].seconds - samples[0].seconds
    print(f"{(samples[-1].completed - samples[0].completed) / seconds:.1f} vehicles a second")
    if len(parts) > 2:
        early, late = (mean(one.memory for one in part) for part in (parts[1], parts[-1]))
        print(f"memory of a worker: {late / early - 1:+.1%} from the second tenth to the last")
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "soak.json").write_text(json.dumps(msgspec.to_builtins(samples)) + "\n", encoding="utf-8")
        plot(asked.out / "soak.svg", machine, samples)


if __name__ == "__main__":
    main()
