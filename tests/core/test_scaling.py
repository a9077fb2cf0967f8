"""The policy against websites of known capacity: it finds the best fixed number, and backs off."""

from functools import partial
from itertools import pairwise
from statistics import median

import pytest

from supervisor.core.scaling import Scaling, Surroundings
from tests.core.crowd import Crowd

_SEEDS = range(6)
_HOUR = 3600.0
_MOST = 16


def _scaling(begin: int = 1) -> Scaling:
    return Scaling(1, _MOST, begin, 0.0)


def _degrading(capacity: list[float], workers: int) -> float:
    return 2.0 * max(1.0, workers / capacity[0]) ** 2


def _best(crowd: Crowd) -> float:
    """Return what the best fixed number brings, in references a second."""
    return max(workers / crowd.seconds(workers) for workers in range(1, _MOST + 1))


def _share(crowd: Crowd, scaling: Scaling) -> float:
    """Return how much of that came in an hour, after the first quarter of an hour."""
    crowd.work(scaling, _HOUR / 4)
    before = crowd.done
    crowd.work(scaling, _HOUR)
    return (crowd.done - before) / _HOUR / _best(crowd)


@pytest.mark.parametrize("capacity", [1, 2, 3, 5, 7, 12, 40])
def test_on_a_site_with_a_capacity_it_brings_what_the_best_fixed_number_brings(capacity: int) -> None:
    """Within 10 % whatever chance does, and as a rule without many more workers than are of use."""
    found = []
    for seed in _SEEDS:
        crowd, scaling = Crowd(lambda workers: 2.0 * max(1.0, workers / capacity), seed), _scaling()
        share = _share(crowd, scaling)
        assert share >= 0.9, (seed, share, crowd.changes)
        found.append(scaling.wanted)
    assert 0.75 * min(capacity, _MOST) <= median(found) <= 1.5 * capacity + 1


@pytest.mark.parametrize("capacity", [2, 3, 5, 8])
def test_on_a_site_that_gets_worse_by_too_many_it_stays_with_the_best_number(capacity: int) -> None:
    """Beyond its capacity such a site serves fewer with every worker more: the peak is found, within 10 %."""
    for seed in _SEEDS:
        crowd, scaling = Crowd(lambda workers: 2.0 * max(1.0, workers / capacity) ** 2, seed), _scaling()
        share = _share(crowd, scaling)
        assert share >= 0.9, (seed, share, crowd.changes)
        assert scaling.wanted <= capacity + 1, (seed, crowd.changes)


def test_when_the_site_degrades_meanwhile_it_backs_off_and_later_comes_back() -> None:
    """What was known of the site is worth nothing then; and when it is itself again, the fleet grows again."""
    for seed in _SEEDS:
        capacity = [10.0]
        crowd, scaling = Crowd(partial(_degrading, capacity), seed), _scaling()
        crowd.work(scaling, _HOUR / 2)
        assert 8 <= scaling.wanted <= 12, crowd.changes
        capacity[0] = 2.0
        at = crowd.now
        crowd.work(scaling, 900.0)
        assert next(when for when, _ in crowd.history if when > at) - at <= 60.0, "at once, not at the end of a window"
        assert scaling.wanted <= 4, crowd.changes
        before = crowd.done
        crowd.work(scaling, _HOUR / 2)
        assert (crowd.done - before) / (_HOUR / 2) >= 0.85 * _best(crowd), crowd.changes
        capacity[0] = 10.0
        crowd.work(scaling, 2 * _HOUR)
        assert scaling.wanted >= 6, crowd.changes


@pytest.mark.parametrize("capacity", [1, 2, 3, 6])
def test_where_more_are_answered_with_429_it_settles_at_what_is_allowed(capacity: int) -> None:
    """It is tried again now and then, each time after a longer while."""
    for seed in _SEEDS:
        crowd, scaling = Crowd(lambda _: 2.0, seed, refuses_above=capacity), _scaling()
        crowd.work(scaling, _HOUR / 2)
        before = len(crowd.history)
        crowd.work(scaling, 4 * _HOUR)
        over = 0.0
        steps = [*crowd.history[before:], (crowd.now, 0)]
        for (begun, workers), (ended, _) in pairwise(steps):
            over += ended - begun if workers > capacity else 0.0
        assert over <= 0.03 * 4 * _HOUR, crowd.changes
        assert scaling.wanted <= capacity + 1
        assert scaling.wanted >= 0.6 * capacity, crowd.changes


def test_a_429_to_what_was_handed_out_before_a_change_counts_once() -> None:
    """The others of the larger fleet get theirs as well, one after the other."""
    scaling = _scaling(10)
    around = Surroundings(free=False, there=True, room=9)
    scaling.limited(0.0, 100.0)
    assert scaling.next_look == 100.0
    change = scaling.look(100.0, around)
    assert change is not None
    assert change.workers == 7
    scaling.limited(90.0, 101.0)
    assert scaling.look(101.0, around) is None
    scaling.limited(102.0, 103.0)
    change = scaling.look(103.0, around)
    assert change is not None
    assert change.workers == 4
    assert change.sentence == "7 → 4 workers: the site answers 429, too many requests"


def test_it_never_goes_beyond_its_bounds_nor_below_one() -> None:
    """Whatever the site does."""
    for seed in _SEEDS:
        crowd, scaling = Crowd(lambda _: 2.0, seed), Scaling(3, 5, 3, 0.0)
        crowd.work(scaling, _HOUR)
        assert scaling.wanted in {4, 5}, "nothing speaks against five"
        assert {workers for _, workers in crowd.history} <= {3, 4, 5}
        crowd, scaling = Crowd(lambda _: 2.0, seed, refuses_above=0), Scaling(3, 5, 3, 0.0)
        crowd.work(scaling, _HOUR)
        assert {workers for _, workers in crowd.history} <= {3, 4, 5}
        crowd, scaling = Crowd(lambda _: 2.0, seed, refuses_above=0), _scaling()
        crowd.work(scaling, _HOUR)
        assert scaling.wanted == 1


def test_nothing_is_tried_where_there_is_no_room() -> None:
    """What is there goes on."""
    crowd, scaling = Crowd(lambda _: 2.0, 1), _scaling(2)
    crowd.work(scaling, 200.0, Surroundings(True, True, 0))
    assert crowd.history == []
    crowd.work(scaling, 200.0)
    assert scaling.wanted >= 4, "as soon as there is room, the search goes on"
    crowd, scaling = Crowd(lambda _: 2.0, 1), _scaling(2)
    crowd.work(scaling, 2 * _HOUR, Surroundings(True, True, 1))
    assert scaling.wanted >= 5, "room for one at a time is room"


def test_with_a_busy_processor_it_goes_up_by_one_and_down_sooner() -> None:
    """Somebody else may have it all, and more workers bring more still; or it is ours, and they do not."""
    busy = Surroundings(True, True, 100, processor_busy=True)
    for seed in _SEEDS:
        crowd, scaling = Crowd(lambda _: 2.0, seed), _scaling()
        crowd.work(scaling, _HOUR / 2, busy)
        numbers = [1, *(workers for _, workers in crowd.history)]
        assert max(later - former for former, later in pairwise(numbers)) == 1
        assert scaling.wanted >= 6, crowd.changes
        crowd, scaling = Crowd(lambda workers: 2.0 * max(1.0, workers / 4), seed), _scaling()
        crowd.work(scaling, _HOUR / 2, busy)
        assert scaling.wanted <= 5, crowd.changes
