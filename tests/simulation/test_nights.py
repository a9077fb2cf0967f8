"""A thousand simulated nights in the ordinary test run; ``python -m tests.simulation --nights N`` plays more."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.simulation.nights import play, play_many, replay_command
from tests.simulation.shrink import shrink
from tests.simulation.trouble import PAIRS, Night, Trouble, night, paired_night
from tests.simulation.world import Figures

_NIGHTS = 1000
_SHARE = 50


def test_a_thousand_nights_keep_every_promise() -> None:
    """Two hundred references a night, every kind of trouble, and nothing lost, doubled, charged wrongly or stuck."""
    total, failures = Figures(nights=0), []
    shares = [range(first, first + _SHARE) for first in range(0, _NIGHTS, _SHARE)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for figures, failed in pool.map(play_many, shares, [night] * len(shares)):
            total.add(figures)
            failures += failed
    if failures:
        smallest = shrink(failures[0])
        raise AssertionError(
            f"{len(failures)} nights; the smallest: {smallest.error}\n{replay_command(smallest.night)}"
        )
    assert total.nights == _NIGHTS
    troubles = (total.crashes, total.kills, total.outages, total.restarts)
    assert min(troubles) > _NIGHTS, f"too quiet to prove anything: {total}"


def test_dense_nights_keep_every_promise() -> None:
    """Small nights in which a few troubles meet all the time: any two of them do in one night at least."""
    _, failures = play_many(range(len(PAIRS)), paired_night)
    if failures:
        smallest = shrink(failures[0])
        raise AssertionError(f"{smallest.error}\n{replay_command(smallest.night)}")


def test_a_night_follows_from_its_seed_alone() -> None:
    """The same seed gives the same events and commands, to the last digit."""
    traces: tuple[list[str], list[str]] = ([], [])
    for trace in traces:
        play(night(5, 30), trace.append)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 100


def test_a_quiet_night_is_quiet() -> None:
    """With no trouble, each reference takes one attempt and nobody is killed but those that left by themselves."""
    trace: list[str] = []
    outcome = play(Night(1, 50, 3, frozenset()), trace.append)
    assert not outcome.error
    assert outcome.figures.attempts == 50
    assert outcome.figures.restarts == outcome.figures.crashes == 0
    kills = [line for line in trace if "Kill(" in line]
    assert len(kills) == outcome.figures.kills >= 3
    assert all("reason='left'" in line for line in kills)


def test_each_trouble_alone_is_survived() -> None:
    """Every kind of trouble by itself, so that none hides behind another."""
    for trouble in Trouble:
        for seed in range(10):
            outcome = play(Night(seed, 30, 3, frozenset({trouble})))
            assert not outcome.error, f"{outcome.error}\n{replay_command(outcome.night)}"


def _named(names: str) -> frozenset[Trouble]:
    return frozenset(Trouble(name) for name in names.split())


@pytest.mark.parametrize(
    "one",
    [
        Night(49, 3, 3, frozenset({Trouble.FORBIDDEN, Trouble.SESSION})),
        Night(333, 22, 2, frozenset({Trouble.EXCLUSIVE, Trouble.OWN, Trouble.SHORTAGE, Trouble.SLOW, Trouble.START})),
        Night(1000684, 59, 2, frozenset({Trouble.BAD, Trouble.FORBIDDEN, Trouble.OUTAGE, Trouble.STOP})),
        Night(5116, 5, 5, frozenset({Trouble.ALIKE, Trouble.OWN, Trouble.SESSION, Trouble.SETTINGS})),
        Night(7865, 5, 1, frozenset({Trouble.CRASH, Trouble.LEDGER, Trouble.SILENCE, Trouble.SLOW, Trouble.STALL})),
        Night(1341, 12, 2, frozenset({Trouble.LEDGER, Trouble.SILENCE, Trouble.SLOW, Trouble.STALL})),
        Night(5001245, 12, 2, frozenset({Trouble.FLAKY, Trouble.LEDGER, Trouble.OUTAGE, Trouble.STALL})),
        Night(5000572, 25, 2, frozenset({Trouble.ALIKE, Trouble.LEDGER, Trouble.OUTAGE, Trouble.STALL})),
        Night(1303, 12, 4, frozenset({Trouble.EXCLUSIVE, Trouble.OWN, Trouble.SLOW, Trouble.STORE})),
        Night(3016806, 7, 5, frozenset({Trouble.ALIKE, Trouble.EXCLUSIVE, Trouble.INSTEAD, Trouble.OWN})),
        Night(
            40035033,
            12,
            5,
            frozenset(
                {
                    Trouble.DEATHS,
                    Trouble.FLAKY,
                    Trouble.FORBIDDEN,
                    Trouble.MEMORY,
                    Trouble.RATE,
                    Trouble.SESSION,
                    Trouble.STALL,
                }
            ),
        ),
        Night(
            70060460,
            12,
            4,
            frozenset(
                {
                    Trouble.BAD,
                    Trouble.ERRANDS,
                    Trouble.INSTEAD,
                    Trouble.LEDGER,
                    Trouble.SHORTAGE,
                    Trouble.START,
                    Trouble.STOP,
                }
            ),
        ),
        Night(
            70073870,
            24,
            1,
            frozenset({Trouble.ALIKE, Trouble.CRASH, Trouble.DEATHS, Trouble.FREEZES, Trouble.THROTTLE}),
        ),
        Night(30007734, 3, 3, frozenset({Trouble.ALIKE, Trouble.EXCLUSIVE, Trouble.MAINTENANCE, Trouble.OWN})),
        Night(
            30012045,
            3,
            2,
            frozenset({Trouble.ALIKE, Trouble.AUTO, Trouble.BAD, Trouble.EXCLUSIVE, Trouble.OWN, Trouble.SCALE}),
        ),
        Night(8005892, 23, 3, frozenset({Trouble.AUTO, Trouble.DISK, Trouble.EXCLUSIVE, Trouble.OWN})),
        Night(
            8069148,
            3,
            4,
            frozenset({Trouble.AUTO, Trouble.BAD, Trouble.OWN, Trouble.SETTINGS, Trouble.SICK, Trouble.SILENCE}),
        ),
        Night(1003536, 58, 2, frozenset({Trouble.ALIKE, Trouble.AUTO, Trouble.BAD, Trouble.MAINTENANCE, Trouble.OWN})),
        Night(
            1023533,
            60,
            3,
            _named(
                "auto bad crash deaths disk errands forbidden instead memory own pause refusal restart retry session"
                " settings shortage slow stop store stubborn"
            ),
        ),
        Night(
            1068923,
            60,
            5,
            _named(
                "exclusive memory outage own pages pause poison requests restart scale session shortage slow stall"
                " store theft"
            ),
        ),
    ],
    ids=str,
)
def test_nights_that_once_broke_a_promise_keep_it(one: Night) -> None:
    """Whatever the simulator found stays found."""
    outcome = play(one)
    assert not outcome.error, f"{outcome.error}\n{replay_command(outcome.night)}"


def test_each_trouble_beside_ends_of_sessions_is_survived() -> None:
    """Small nights, in which the last documents weigh more: what came of a dead session is never kept."""
    for trouble in Trouble:
        for seed in range(20):
            outcome = play(Night(seed, 12, 3, frozenset({trouble, Trouble.SESSION})))
            assert not outcome.error, f"{outcome.error}\n{replay_command(outcome.night)}"
