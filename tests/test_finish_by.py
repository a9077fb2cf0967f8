"""The time by which to be done: which moment is meant, when it is told that it will be later, and when it comes."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from supervisor.core.events import Alerted, Event, StopRequested
from supervisor.finish_by import FinishBy
from supervisor.forms import callee, moment
from supervisor.views.progress import state_sentence
from supervisor.views.status import MetricsView
from tests.views.snapshots import busy, run_view

ZONE = "America/New_York"
"""Its clocks go forward on 2026-03-08 at 02:00 and back on 2026-11-01 at 02:00."""


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], float]]:
    """This machine stands in New York; gives the moment of a local time there, with its UTC offset if it has one."""
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    yield lambda text: datetime.fromisoformat(text).timestamp()
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("now", "text", "meant"),
    [
        ("2026-11-24T23:10:00-05:00", "06:00", "2026-11-25T06:00:00-05:00"),
        ("2026-11-25T03:00:00-05:00", "6:00", "2026-11-25T06:00:00-05:00"),
        ("2026-11-25T06:00:00-05:00", "06:00", "2026-11-26T06:00:00-05:00"),
        ("2026-11-25T07:00:00-05:00", "06:00:30", "2026-11-26T06:00:30-05:00"),
        ("2026-12-31T23:59:59-05:00", "00:00", "2027-01-01T00:00:00-05:00"),
        ("2026-11-24T23:10:00-05:00", "2026-11-25T06:00", "2026-11-25T06:00:00-05:00"),
        ("2026-11-24T23:10:00-05:00", "2026-11-25T06:00+01:00", "2026-11-25T06:00:00+01:00"),
        # The night in which clocks go forward is an hour shorter, and 02:30 shows as 03:30.
        ("2026-03-07T22:00:00-05:00", "06:00", "2026-03-08T06:00:00-04:00"),
        ("2026-03-07T22:00:00-05:00", "02:30", "2026-03-08T03:30:00-04:00"),
        # In the one in which they go back, 01:30 comes twice.
        ("2026-10-31T22:00:00-04:00", "06:00", "2026-11-01T06:00:00-05:00"),
        ("2026-10-31T22:00:00-04:00", "01:30", "2026-11-01T01:30:00-04:00"),
        ("2026-11-01T01:45:00-04:00", "01:30", "2026-11-01T01:30:00-05:00"),
        ("2026-11-01T01:45:00-05:00", "01:30", "2026-11-02T01:30:00-05:00"),
    ],
)
def test_the_next_such_time_is_meant(now: str, text: str, meant: str, zone: Callable[[str], float]) -> None:
    """Over midnight, over the year's end, through both nights in which the clocks change."""
    assert moment(text, zone(now)) == zone(meant)


@pytest.mark.parametrize("text", ["6", "25:00", "06:60", "tomorrow", "2026-11-24T06:00", "2026-13-01T00:00", "06:00pm"])
def test_what_is_no_time_to_come_is_refused(text: str, zone: Callable[[str], float]) -> None:
    """A date and time that is over as well: nobody means that."""
    with pytest.raises(ValueError, match=r"."):
        moment(text, zone("2026-11-24T23:10:00-05:00"))


@pytest.mark.parametrize("text", ["ls", "ls -l /tmp", "https://hooks.example/x?y=z", "http://[::1]:80/x"])
def test_what_can_be_called_is_accepted(text: str) -> None:
    """A program of this machine with arguments, or the address of a webhook."""
    callee(text)


@pytest.mark.parametrize(
    "text", ["no-such-program-here", "ls 'x", " ", "ftp://x/y", "https://", "https://a b/", "http://a/\n"]
)
def test_what_cannot_be_called_is_refused(text: str) -> None:
    """Before the run starts, not at its end."""
    with pytest.raises(ValueError, match=r"."):
        callee(text)


class Night:
    """Looks each second, with an estimate that the test sets."""

    def __init__(
        self, zone: Callable[[str], float], now: str = "2026-11-24T23:00:00-05:00", text: str = "06:00"
    ) -> None:
        self.now = zone(now)
        self.finish_by = FinishBy(text, self.now)
        self.needed: float | None = None
        self.state = "running"

    def pass_time(self, seconds: int) -> list[Event]:
        events = []
        for _ in range(seconds):
            self.now += 1.0
            run = run_view(state=self.state)
            events += self.finish_by.look(self.now, busy(run=run, metrics=MetricsView(eta_seconds=self.needed)))
        return events


HOUR = 3600


def test_an_estimate_that_stays_late_is_told_once(zone: Callable[[str], float]) -> None:
    """For a minute it may be a mistake; back in time for ten minutes it is over, and can be told again."""
    night = Night(zone)
    assert night.pass_time(100) == []
    night.needed = 8 * HOUR
    assert night.pass_time(50) == []
    night.needed = 2 * HOUR
    assert night.pass_time(5) == []
    night.needed = 8 * HOUR
    (event,) = night.pass_time(1000)
    assert event == Alerted(
        "late",
        "the run will not be done by 06:00: about 8 h 00 min are needed, but 6 h 56 min are left until 06:00",
        "WARNING",
    )
    seen = night.finish_by.mark(busy())
    assert (seen.run.finish_by, seen.run.late) == ("2026-11-25T11:00:00Z", True)
    assert state_sentence(seen) == "running, late for 11:00 UTC"
    night.needed = 1 * HOUR
    (event,) = night.pass_time(700)
    assert event == Alerted("in_time", "the run is expected to be done by 06:00 after all", "INFO")
    assert not night.finish_by.mark(busy()).run.late


def test_the_time_comes_once_and_means_a_stop_in_good_order(zone: Callable[[str], float]) -> None:
    """Also when the estimate knows nothing, and not when the run is ending anyway."""
    night = Night(zone, now="2026-11-25T05:59:50-05:00")
    assert night.pass_time(9) == []
    assert night.pass_time(100) == [StopRequested(False, "it is 06:00, the time by which to be done")]
    ending = Night(zone, now="2026-11-25T05:59:50-05:00")
    ending.state = "draining"
    assert ending.pass_time(100) == []


def test_little_time_is_not_spent_on_making_sure(zone: Callable[[str], float]) -> None:
    """With half a minute left, a second of lateness is believed."""
    night = Night(zone, now="2026-11-25T05:59:30-05:00")
    night.needed = HOUR
    assert [type(event) for event in night.pass_time(5)] == [Alerted]


def test_without_a_time_nothing_is_ever_said(zone: Callable[[str], float]) -> None:
    """The ordinary case."""
    night = Night(zone, text="")
    night.needed = 1e9
    assert night.pass_time(1000) == []
    assert night.finish_by.mark(busy()) == busy()


def test_the_zone_of_the_tests_is_known() -> None:
    """Otherwise the tests above would speak of UTC."""
    assert datetime(2026, 11, 1, 12, tzinfo=ZoneInfo(ZONE)).utcoffset() is not None
