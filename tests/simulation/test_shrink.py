"""A failing night becomes as small as it can be, and replays exactly."""

import pytest

from tests.simulation.mistakes import MISTAKES
from tests.simulation.nights import play, replay_command
from tests.simulation.shrink import shrink
from tests.simulation.trouble import night


def test_a_failing_night_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has nothing to do with the mistake is gone: references, workers, troubles."""
    MISTAKES["records_completed_before_publishing"][0](monkeypatch)
    outcome = play(night(0, 60))
    assert outcome.error
    smallest = shrink(outcome)
    assert smallest.error
    assert smallest.night.references == 1
    assert smallest.night.workers == 1
    assert not smallest.night.troubles
    assert f"--seed {smallest.night.seed} --references 1" in replay_command(smallest.night)


def test_when_the_time_for_shrinking_is_over_the_failing_night_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for ever for the smallest night."""
    MISTAKES["records_completed_before_publishing"][0](monkeypatch)
    outcome = play(night(0, 60))
    assert shrink(outcome, seconds=0.0) == outcome


def test_the_error_of_a_night_replays_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing seed breaks the same promise at the same event, again and again."""
    MISTAKES["ignores_heartbeats"][0](monkeypatch)
    first, again = play(night(0, 40)), play(night(0, 40))
    assert first.error
    assert first == again
