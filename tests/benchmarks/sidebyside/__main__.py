"""The side-by-side benchmark: ``python -m tests.benchmarks.sidebyside [--quick] [--scenario NAME] [--only NAME]``.

Needs the dependency group `bench`. Every contestant does the whole job on a website of its own; the rounds alternate
between them. Prints a table; with --out also writes table, every figure as JSON and a plot into a folder.
"""

import argparse
import os
import tempfile
from pathlib import Path

from supervisor.chromium import find
from supervisor.shell import linux
from tests.benchmarks.machine import describe
from tests.benchmarks.sidebyside.contest import CONTESTANTS, Scenario, Size, run
from tests.benchmarks.sidebyside.figures import plot, table, write_json

_FAULTS = "never-answers=0.03,endless-script=0.02,server-error-once=0.02,truncated=0.01,truncated-no-length=0.01"
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("no faults"),
        Scenario("faults", faults=_FAULTS, kill_every=5.0),
        Scenario("150 ms latency", latency=0.15),
    )
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="One round of 80 vehicles, in less than five minutes.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vehicles", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--task-timeout", type=float, default=20.0)
    parser.add_argument("--scenario", choices=list(SCENARIOS), action="append")
    parser.add_argument("--only", choices=list(CONTESTANTS), action="append")
    parser.add_argument("--out", type=Path, help="A folder for table, figures and plot.")
    asked = parser.parse_args()
    rounds, vehicles = (1, 80) if asked.quick else (asked.rounds, asked.vehicles)
    machine = describe()
    found = find("", "", headed=False, environ=os.environ)
    if found is None:
        raise SystemExit("no Chromium was found")
    browser = found.path
    size = Size(vehicles, asked.workers, asked.task_timeout, 3, browser)
    linux.become_subreaper()  # so that whoever loses its parents is still of the family
    print(f"{machine}; {Path(browser).name}; {vehicles} vehicles, {asked.workers} workers, {rounds} rounds", flush=True)
    results = []
    for name in asked.scenario or SCENARIOS:
        for number in range(rounds):
            for contestant in asked.only or CONTESTANTS:
                with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as folder:
                    result = run(contestant, SCENARIOS[name], size, Path(folder) / "contest")
                results.append(result)
                print(f"{name}, round {number + 1}: {result}", flush=True)
    print(table(results))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "table.md").write_text(f"{machine}\n\n{table(results)}\n", encoding="utf-8")
        write_json(asked.out / "runs.json", machine, results)
        plot(asked.out / "rates.svg", machine, results)


if __name__ == "__main__":
    main()
