"""The side-by-side benchmark: ``python -m tests.benchmarks.sidebyside [--quick] [--scenario NAME] [--only NAME]``.

Needs the dependency group `bench`. Every contestant does the whole job on a website of its own; the rounds alternate
between them. Prints a table; with --out also writes table, every figure as JSON and a plot into a folder.
"""

import argparse
import os
import tempfile
from pathlib import Path

import msgspec

from supervisor import bytecode
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
        Scenario("cut-off documents", faults="truncated=0.05,truncated-no-length=0.05"),
        Scenario("150 ms latency", latency=0.15),
    )
}
_QUICK = ("no faults", "faults")
_QUICK_VEHICLES = 32
_QUICK_LIMIT = 25.0
"""Seconds after which whoever hangs is ended, which happens with faults only."""
_QUICK_TIMEOUT = 8.0
"""Seconds of an attempt, so that one that hangs may still be tried again before the limit."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="One small round, without and with faults.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vehicles", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--task-timeout", type=float, default=20.0)
    parser.add_argument("--scenario", choices=list(SCENARIOS), action="append")
    parser.add_argument("--only", choices=list(CONTESTANTS), action="append")
    parser.add_argument("--out", type=Path, help="A folder for table, figures and plot.")
    asked = parser.parse_args()
    chosen = [SCENARIOS[name] for name in asked.scenario or (_QUICK if asked.quick else SCENARIOS)]
    if asked.quick:
        asked.rounds, asked.vehicles, asked.task_timeout = 1, _QUICK_VEHICLES, _QUICK_TIMEOUT
        chosen = [
            msgspec.structs.replace(one, limit=_QUICK_LIMIT) if one.kill_every is not None else one for one in chosen
        ]
    machine = describe()
    found = find("", "", headed=False, environ=os.environ)
    if found is None:
        raise SystemExit("no Chromium was found")
    browser = found.path
    size = Size(asked.vehicles, asked.workers, asked.task_timeout, 3, browser)
    bytecode.keep()  # as this program does: nobody is to compile more often than another
    linux.become_subreaper()  # so that whoever loses its parents is still of the family
    print(f"{machine}; {Path(browser).name}; {size.vehicles} vehicles, {size.workers} workers, {asked.rounds} rounds")
    results = []
    for scenario in chosen:
        for number in range(asked.rounds):
            for contestant in asked.only or CONTESTANTS:
                with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as folder:
                    result = run(contestant, scenario, size, Path(folder) / "contest")
                results.append(result)
                print(f"{scenario.name}, round {number + 1}: {result}", flush=True)
    print(table(results))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "table.md").write_text(f"{machine}\n\n{table(results)}\n", encoding="utf-8")
        write_json(asked.out / "runs.json", machine, results)
        plot(asked.out / "rates.svg", machine, results)


if __name__ == "__main__":
    main()
