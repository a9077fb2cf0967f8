"""Metrics: rates, durations and time left from records and given times alone."""

import pytest

from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded, Incident, SuccessDoubted
from supervisor.views.metrics import Metrics
from worker.protocol import Document, Kind


def started(attempt: int) -> AttemptStarted:
    return AttemptStarted(attempt=attempt, ref_id=attempt, number=1, slot=1, incarnation=1)


def succeeded(attempt: int, size: int = 1000) -> AttemptSucceeded:
    document = Document(name="a.pdf", url="", bytes=size, sha256="0" * 64, pages=1)
    return AttemptSucceeded(attempt=attempt, ref_id=attempt, documents=(document,), steps=())


def failed(attempt: int, retry_in: float | None) -> AttemptFailed:
    return AttemptFailed(
        attempt=attempt, ref_id=attempt, kind=Kind.TIMEOUT, message="", counted=True, crashed=False, retry_in=retry_in
    )


def test_nothing_is_said_before_anything_is_known() -> None:
    """A run that has just begun has no rate, no durations and no time left."""
    view = Metrics(100.0).view(100.0, remaining=50)
    assert (view.per_minute, view.seconds_median, view.eta_seconds) == (None, None, None)


def test_rate_and_time_left_follow_the_last_five_minutes() -> None:
    """An hour at 60 a minute and then five minutes at 12 a minute: the present rate is 12, the overall one is not."""
    metrics = Metrics(0.0)
    for second in range(3600):
        metrics.seen(succeeded(second), float(second))
    for second in range(3600, 3910, 5):
        metrics.seen(succeeded(second), float(second))
    view = metrics.view(3910.0, remaining=120)
    assert view.per_minute == pytest.approx(12, abs=0.5)
    assert view.per_minute_overall == pytest.approx(56, abs=1)
    assert view.eta_seconds == pytest.approx(600, abs=30)
    assert view.eta_low == pytest.approx(600 / 1.26, abs=30)
    assert view.eta_high == pytest.approx(600 / 0.74, abs=40)


def test_what_is_taken_back_is_counted_once() -> None:
    """Documents of a doubted success are none until they have been fetched again; an older start's were never here."""
    metrics = Metrics(0.0, documents=5, size=9_000)
    metrics.seen(succeeded(1, 700), 1.0)
    metrics.seen(succeeded(2, 300), 2.0)
    metrics.seen(SuccessDoubted(1, 1), 3.0)
    view = metrics.view(4.0, remaining=1)
    assert (view.documents, view.bytes) == (6, 9_300)
    metrics.seen(succeeded(3, 700), 5.0)
    metrics.seen(SuccessDoubted(99, 99), 6.0)
    view = metrics.view(7.0, remaining=0)
    assert (view.documents, view.bytes) == (7, 10_000)


def test_a_site_that_slows_down_is_seen_at_once() -> None:
    """The median of the very last attempts is told once there is a rule to compare it with."""
    metrics = Metrics(0.0)
    for attempt in range(30):
        metrics.seen(started(attempt), attempt * 10.0)
        metrics.seen(succeeded(attempt), attempt * 10.0 + 2.0)
    assert metrics.view(300.0, 10).seconds_recent is None
    for attempt in range(30, 40):
        metrics.seen(started(attempt), attempt * 10.0)
        metrics.seen(succeeded(attempt), attempt * 10.0 + 8.0)
    view = metrics.view(400.0, 10)
    assert (view.seconds_median, view.seconds_recent) == (2.0, 8.0)


def test_the_range_narrows_with_what_was_counted_and_has_no_end_at_first() -> None:
    """After three references nobody knows the upper end; after a hundred it is within a quarter."""
    few, many = Metrics(0.0), Metrics(0.0)
    for index in range(3):
        few.seen(succeeded(index), 10.0)
    for index in range(100):
        many.seen(succeeded(index), 10.0)
    assert few.view(20.0, 10).eta_high is None
    view = many.view(20.0, 1000)
    assert view.eta_seconds is not None
    assert view.eta_high == pytest.approx(view.eta_seconds * 1.25)


def test_a_site_that_went_silent_leaves_no_rate() -> None:
    """Six minutes without a result: there is no present rate, and so no time left."""
    metrics = Metrics(0.0)
    metrics.seen(succeeded(1), 1.0)
    view = metrics.view(400.0, remaining=5)
    assert (view.per_minute, view.eta_seconds) == (None, None)


def test_durations_are_those_of_successes() -> None:
    """Of 1 to 100 seconds the median is 50 and the 95th percentile 95; failed attempts do not count."""
    metrics = Metrics(0.0)
    for attempt in range(1, 101):
        metrics.seen(started(attempt), 0.0)
        metrics.seen(succeeded(attempt), float(attempt))
    metrics.seen(started(999), 0.0)
    metrics.seen(failed(999, 5.0), 500.0)
    view = metrics.view(500.0, 0)
    assert (view.seconds_median, view.seconds_p95) == (50.0, 95.0)
    assert view.eta_seconds == 0


def test_everything_is_counted_on_top_of_what_the_ledger_had() -> None:
    """A resumed run goes on counting; its rate speaks of this run only."""
    metrics = Metrics(0.0, attempts=10, failures={"timeout": 3}, kills=1, documents=7, size=7000)
    metrics.seen(started(1), 1.0)
    metrics.seen(failed(1, 5.0), 2.0)
    metrics.seen(started(2), 3.0)
    metrics.seen(failed(2, None), 4.0)
    metrics.seen(started(3), 5.0)
    metrics.seen(succeeded(3), 6.0)
    metrics.seen(Incident(what="killed", detail=""), 6.0)
    metrics.seen(Incident(what="restarted", detail=""), 6.0)
    view = metrics.view(60.0, 1)
    assert (view.attempts, view.failures, view.kills, view.restarts) == (13, {"timeout": 5}, 2, 1)
    assert (view.documents, view.bytes) == (8, 8000)
    assert view.per_minute_overall == pytest.approx(120 / 59)  # a success and a failure for good since the first start


def test_memory_is_bounded() -> None:
    """A hundred thousand references later no more is kept than for a few thousand."""
    metrics = Metrics(0.0)
    for attempt in range(100_000):
        metrics.seen(started(attempt), attempt * 0.1)
        metrics.seen(succeeded(attempt), attempt * 0.1)
    metrics.view(10_000.0, 1)
    assert len(metrics._durations) <= 2000
    assert len(metrics._buckets) <= 62
    assert not metrics._running
