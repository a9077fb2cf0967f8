"""Limits of steps, learned from what succeeded: who gets them, how they grow, when they give way."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core import events as ev
from supervisor.core.commands import Command, Send
from supervisor.core.patience import Patience
from supervisor.core.policy import Policy
from tests.core.playbook import DOCUMENT, QUIET, Playbook
from worker.protocol import Assign, Kind, Step, Succeeded

OPEN = "open the vehicle"


def learned(*seconds: float, multiple: float = 6.0, floor: float = 2.0) -> Patience:
    patience = Patience(multiple, floor)
    for one in seconds:
        patience.learn((Step(OPEN, one),))
    return patience


def test_a_step_has_a_limit_once_it_is_known() -> None:
    """Ten successes make it known; the limit is the multiple of the longest that is usual."""
    assert learned(*[1.0] * 9).limits() == {}
    assert learned(*[1.0] * 10).limits() == {OPEN: 6.0}


def test_the_limit_is_never_below_the_floor() -> None:
    """What takes no time at all may still take the floor."""
    assert learned(*[0.001] * 50).limits() == {OPEN: 2.0}


def test_one_in_a_hundred_may_be_as_slow_as_it_likes() -> None:
    """The 99th percentile counts, not the longest; and what is long ago is forgotten."""
    slow = learned(*[1.0] * 198, 50.0)
    assert slow.limits() == {OPEN: 6.0}
    assert learned(*[5.0] * 100, *[1.0] * 210).limits() == {OPEN: 6.0}
    assert learned(*[1.0] * 190, *[4.0] * 10).limits() == {OPEN: 24.0}


def test_each_early_end_doubles_the_limit_until_a_success() -> None:
    """When the whole site gets slower, the attempts soon get the time that they need."""
    patience = learned(*[1.0] * 20)
    for expected in (12.0, 24.0, 48.0):
        patience.ended_early((Step("log in", 9.0), Step(OPEN, 6.0)))
        assert patience.limits() == {OPEN: expected}
    patience.learn((Step(OPEN, 1.0),))
    assert patience.limits() == {OPEN: 6.0}


def test_what_failed_quickly_doubles_nothing() -> None:
    """A step that ended before the floor was not ended by its limit."""
    patience = learned(*[1.0] * 20)
    patience.ended_early((Step(OPEN, 0.3),))
    patience.ended_early(())
    patience.ended_early((Step("never seen", 90.0),))
    assert patience.limits() == {OPEN: 6.0}


def test_a_multiple_of_zero_learns_nothing() -> None:
    """Then no attempt is ended early."""
    assert learned(*[1.0] * 100, multiple=0.0).limits() == {}


def test_steps_named_after_their_reference_do_not_pile_up() -> None:
    """Names that never come again make room, those that are known stay."""
    patience = learned(*[1.0] * 20)
    for number in range(10_000):
        patience.learn((Step(f"download {number}", 1.0),))
    assert list(patience.limits()) == [OPEN]
    assert len(patience._known) <= 32
    for _ in range(10):
        patience.learn((Step("late but steady", 1.0),))
    assert set(patience.limits()) == {OPEN, "late but steady"}


@given(st.lists(st.floats(0, 1e6), min_size=10, max_size=300))
def test_nothing_that_was_usual_is_ever_ended(seconds: list[float]) -> None:
    """Whatever the durations are, the limit is above 98 of the last 100 of them."""
    limit = learned(*seconds).limits()[OPEN]
    last = seconds[-200:]
    assert sum(one > limit for one in last) <= 0.02 * len(last)


# ------------------------------------------------------------------------------------------------------ in the machine
def limits(commands: list[Command]) -> list[dict[str, float]]:
    return [c.message.limits for c in commands if isinstance(c, Send) and isinstance(c.message, Assign)]


def succeed(play: Playbook, seconds: float) -> list[Command]:
    attempt = play.attempt(1)
    commands = play.take(play.of(1, Succeeded(attempt, (DOCUMENT,), (Step(OPEN, seconds),))))
    return commands + play.take(ev.Published(attempt, (DOCUMENT,)))


@pytest.fixture
def play() -> Playbook:
    """One worker, for which opening a vehicle is known to take a second."""
    policy = msgspec.structs.replace(QUIET, max_retries=1, retry_delay=0.0)
    play = Playbook.working(*(f"R{number}" for number in range(40)), workers=1, policy=policy)
    for _ in range(9):
        assert limits(succeed(play, 1.0)) == [{}]
    assert limits(succeed(play, 1.0)) == [{}], "the next one goes out before the documents are in place"
    assert limits(succeed(play, 1.0)) == [{OPEN: 6.0}]
    return play


def test_the_last_attempt_has_all_the_time(play: Playbook) -> None:
    """A first attempt is ended early; the last one is not, so that a slow vehicle is not lost."""
    slow = play.reference(1)
    commands = play.take(play.failed(1, Kind.STEP_TIMEOUT, steps=(Step(OPEN, 6.0),)))
    while play.reference(1) is not slow:
        assert limits(commands) == [{OPEN: 12.0}] or not limits(commands)
        commands = succeed(play, 1.0)
    (last,) = limits(commands)
    assert (last, play.reference(1).attempts) == ({}, 2)


def test_nobody_is_hurried_while_the_site_is_in_doubt(play: Playbook) -> None:
    """A probe shows whether the site is back, however slowly."""
    commands = play.take(play.failed(1, Kind.RATE_LIMITED, retry_after=30.0))
    assert limits(commands) == []
    assert limits(play.pass_time(31.0)) == [{}]


def test_the_policy_names_the_defaults() -> None:
    """They are what the README tells."""
    assert (Policy().step_patience, Policy().step_floor) == (6.0, 2.0)
