"""Does ``--workers auto`` find the best number? ``python -m tests.benchmarks.auto [--site KIND ...] [--fixed N ...]``.

The demo website takes 2 s for a vehicle's page, and is good for three of them at a time. What it does with more is the
kind of site: `wait` (the others wait), `slow` (all take longer, so that it serves fewer), `refuse` (429 and a pause).
Each fixed number of workers has a run of its own, and auto has one; what is compared are verified documents a minute,
once the workers are there, and for auto in the last part of its run as well.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import msgspec

from supervisor.demo_site import Wishes
from supervisor.shell.ledger_reader import LedgerReader
from tests.benchmarks.costs import night, until
from tests.benchmarks.machine import describe

_VEHICLES = 3000
_BOUNDS = "auto:1-8"


class Rate(msgspec.Struct, frozen=True):
    """What a run brought."""

    what: str
    a_minute: float
    """Verified documents."""
    note: str = ""


def wishes(crowded: str) -> Wishes:
    """Return what the website of a kind is like."""
    return Wishes(vehicles=_VEHICLES, uniform=True, page_seconds=2.0, capacity=3, crowded=crowded)


def fixed(folder: Path, crowded: str, workers: int, seconds: float) -> Rate:
    """Measure a fixed number of workers, when each of them has brought something."""
    with night(folder, wishes(crowded), "--workers", str(workers)) as process:
        status = folder / "status.json"
        first = until(process, status, lambda seen: all(one.done for one in seen.workers) and bool(seen.workers))
        begun = time.monotonic()
        last = until(process, status, lambda _: time.monotonic() >= begun + seconds)
        rate = (last.metrics.documents - first.metrics.documents) / (time.monotonic() - begun) * 60
    return Rate(str(workers), rate)


def auto(folder: Path, crowded: str, seconds: float, last_part: float) -> tuple[Rate, Rate]:
    """Measure auto: over its whole run from its first document on, and in the last part of it."""
    with night(folder, wishes(crowded), "--workers", _BOUNDS) as process:
        status = folder / "status.json"
        first = until(process, status, lambda seen: seen.totals.completed > 0)
        begun = time.monotonic()
        middle = until(process, status, lambda _: time.monotonic() >= begun + seconds - last_part)
        between = time.monotonic()
        last = until(process, status, lambda _: time.monotonic() >= begun + seconds)
        end = time.monotonic()
    whole = (last.metrics.documents - first.metrics.documents) / (end - begun) * 60
    late = (last.metrics.documents - middle.metrics.documents) / (end - between) * 60
    with LedgerReader(folder / "ledger.db") as ledger:
        changes = [row.detail for row in ledger.incidents() if row.what == "scaled"]
    for change in changes:
        print(f"    {change}", flush=True)
    workers = last.run.workers_wanted
    return (
        Rate(_BOUNDS, whole, f"the first {seconds:.0f} s, the search included"),
        Rate(_BOUNDS, late, f"the last {last_part:.0f} s of them; {workers} workers in the end"),
    )


def main() -> None:
    """Measure and print a table for each kind of site."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--site", nargs="*", choices=["wait", "slow", "refuse"], default=["wait", "slow", "refuse"])
    parser.add_argument("--fixed", nargs="*", type=int, default=[1, 2, 3, 4, 6])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each fixed number")
    parser.add_argument("--auto-seconds", type=float, default=600.0)
    parser.add_argument(
        "--last-part", type=float, default=120.0, help="of auto's seconds, for the rate once it has settled"
    )
    parser.add_argument("--no-auto", action="store_true", help="the fixed numbers only")
    asked = parser.parse_args()
    print(f"{describe()}, load {os.getloadavg()[0]:.1f}")
    for crowded in asked.site:
        with tempfile.TemporaryDirectory(prefix="nightfleet-bench") as name:
            folder = Path(name)
            rates = [fixed(folder / str(number), crowded, number, asked.seconds) for number in asked.fixed]
            if not asked.no_auto:
                rates += auto(folder / "auto", crowded, asked.auto_seconds, asked.last_part)
            print(f"\n| {crowded}: workers | documents a minute |  |\n|---|---|---|")
            for rate in rates:
                print(f"| {rate.what} | {rate.a_minute:.1f} | {rate.note} |", flush=True)


if __name__ == "__main__":
    main()
