"""What stands beside a plot: few round values, in their places, for any range."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.views.scales import Scale, amounts, spans, times

_YEAR = 366 * 86_400.0


def texts(scale: Scale) -> list[str]:
    return [tick.text for tick in scale.ticks]


def test_amounts_have_round_values_from_nothing_up() -> None:
    """Also when there is nothing, or less than one."""
    assert texts(amounts(430.0, (100.0, 0.0))) == ["0", "200", "400"]
    assert texts(amounts(3000.0, (100.0, 0.0))) == ["0", "1,000", "2,000", "3,000"]
    assert texts(amounts(0.7, (100.0, 0.0))) == ["0", "0.5"]
    assert texts(amounts(0.0, (100.0, 0.0))) == ["0", "0.5", "1"]


def test_what_is_counted_has_whole_numbers() -> None:
    """A plot of one attempt does not tell of half an attempt."""
    assert texts(amounts(1, (100.0, 0.0), whole=True)) == ["0", "1"]
    assert texts(amounts(4, (100.0, 0.0), whole=True)) == ["0", "2", "4"]


@given(st.floats(1e-6, 1e12), st.booleans())
def test_any_amount_has_room(most: float, whole: bool) -> None:  # noqa: FBT001 - hypothesis hands it in
    """The largest lies within, and two to six values in rising order are written."""
    scale = amounts(most, (100.0, 0.0), whole=whole)
    places = [tick.at for tick in scale.ticks]
    assert 0 < scale.place(most) < 100
    assert places == sorted(places, reverse=True)
    assert all(-0.001 <= place <= 100 for place in places)
    assert 1 <= len(places) <= 6
    assert len(set(texts(scale))) == len(places)


def test_times_are_full_minutes_hours_or_days() -> None:
    """As precise as the length of the night asks for."""
    evening = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
    assert texts(times(evening + 1, evening + 29, (0.0, 700.0))) == [f"08:00:{second:02}" for second in range(5, 30, 5)]
    assert texts(times(evening - 600, evening + 3 * 3600, (0.0, 700.0))) == [
        *("08:00", "08:30", "09:00", "09:30"),
        *("10:00", "10:30", "11:00"),
    ]
    assert texts(times(evening, evening + 2 * 86_400, (0.0, 700.0)))[:2] == ["15 Jan 12:00", "15 Jan 18:00"]


@given(st.floats(0, 4e9), st.floats(1, 5 * _YEAR))
def test_any_night_has_some_times(begin: float, length: float) -> None:
    """All of them within the plot, and not too many to be read."""
    ticks = times(begin, begin + length, (54.0, 695.0)).ticks
    assert len(ticks) <= 10
    assert all(53.9 <= tick.at <= 695.1 for tick in ticks)


def test_durations_stand_on_a_logarithmic_scale() -> None:
    """The same factor is the same distance."""
    scale = spans(0.05, 500.0, (0.0, 400.0))
    assert texts(scale) == ["0.1 s", "0.3 s", "1 s", "3 s", "10 s", "30 s", "1 min 00 s", "3 min 00 s"]
    assert scale.place(5.0) - scale.place(0.5) == pytest.approx(scale.place(50.0) - scale.place(5.0))
