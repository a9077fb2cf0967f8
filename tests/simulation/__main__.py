"""``python -m tests.simulation --nights N``: as many nights as one wants; one night replayed with its trace."""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from tests.simulation.nights import Outcome, play, play_many, replay_command
from tests.simulation.shrink import shrink
from tests.simulation.trouble import PAIRS, Night, Trouble, dense_night, night, paired_night
from tests.simulation.world import Figures

_SHARE = 20


def main() -> int:
    """Play the nights that the command line asks for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--nights", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first night; the others count on from it")
    parser.add_argument("--references", type=int, default=200)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--dense", action="store_true", help="small nights, in each of which a few troubles meet")
    kinds.add_argument(
        "--pairs", action="store_true", help=f"dense nights, of which {len(PAIRS)} in a row have every pair of troubles"
    )
    parser.add_argument("--workers", type=int, help="instead of the number that the seed says")
    parser.add_argument("--troubles", help="instead of those that the seed says: names with commas, or none")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--trace", action="store_true", help="print each event and command (one night)")
    options = parser.parse_args()
    make: Callable[[int], Night] = partial(night, references=options.references)
    if options.dense or options.pairs:
        make = dense_night if options.dense else paired_night
    if options.trace or options.nights == 1 or options.troubles is not None:
        one = make(options.seed)
        if options.workers is not None:
            one = Night(one.seed, one.references, options.workers, one.troubles)
        if options.troubles is not None:
            names = [] if options.troubles == "none" else options.troubles.split(",")
            one = Night(one.seed, one.references, one.workers, frozenset(Trouble(name) for name in names))
        outcome = play(one, trace=_print if options.trace else None)
        _print(f"{one}\n{outcome.figures}")
        return _report(outcome)
    what = "few" if options.dense or options.pairs else str(options.references)
    return _many(options.nights, options.seed, make, what, options.processes)


def _many(nights: int, seed: int, make: Callable[[int], Night], references: str, processes: int) -> int:
    begin, total, failures = time.monotonic(), Figures(nights=0), []
    shares = [range(first, min(first + _SHARE, seed + nights)) for first in range(seed, seed + nights, _SHARE)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for figures, failed in pool.map(play_many, shares, [make] * len(shares)):
            total.add(figures)
            for outcome in failed:
                _print(f"{outcome.night}: {outcome.error}")
            failures += failed
    seconds = time.monotonic() - begin
    _print(
        f"{total.nights} nights of {references} references in {seconds:.1f} s:"
        f" {total.hours:.0f} simulated hours,"
        f" {total.events} events, {total.attempts} attempts, {total.records} records, {total.kills} kills,"
        f" {total.crashes} crashes of the supervisor, {total.restarts} other restarts, {total.outages} outages;"
        f" {len(failures)} nights broke a promise"
    )
    return _report(failures[0]) if failures else 0


def _report(outcome: Outcome) -> int:
    if not outcome.error:
        return 0
    _print(f"a promise was broken: {outcome.error}\nshrinking ...")
    smallest = shrink(outcome)
    _print(f"smallest night found: {smallest.error}\n{replay_command(smallest.night)}")
    return 1


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
