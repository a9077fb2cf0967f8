"""Quiet hours: what the text means, and what is refused."""

from datetime import UTC, datetime, time

import pytest

from supervisor.quiet_hours import QuietHours


def _end(text: str, hour: int, minute: int) -> time | None:
    return QuietHours(text).end(datetime(2026, 3, 1, hour, minute, 30, tzinfo=UTC))


def test_they_hold_from_their_first_minute_to_their_last() -> None:
    """The end is not part of them."""
    text = "07:00-09:00, 12:15-13:00"
    assert [_end(text, *at) for at in ((6, 59), (7, 0), (8, 59), (9, 0), (12, 14), (12, 15), (13, 0))] == [
        None,
        time(9, 0),
        time(9, 0),
        None,
        None,
        time(13, 0),
        None,
    ]


def test_they_may_go_over_midnight_and_follow_each_other() -> None:
    """The end that is told is that of all that follow without a gap."""
    assert _end("22:00-06:00", 23, 0) == time(6, 0)
    assert _end("22:00-06:00", 5, 59) == time(6, 0)
    assert _end("22:00-06:00", 12, 0) is None
    assert _end("07:00-08:00,08:00-09:30", 7, 30) == time(9, 30)
    assert _end("20:00-24:00", 23, 59) == time(0, 0)
    assert _end("", 12, 0) is None


@pytest.mark.parametrize(
    "text", ["7-9", "07:00", "25:00-26:00", "07:60-08:00", "07:00-07:00", "00:00-24:00", "24:30-01:00", "a",
             "00:00-12:00,12:00-24:00"]
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str) -> None:
    """No times of the day, or all of it."""
    with pytest.raises(ValueError, match=r".*"):
        QuietHours(text)
