"""The metrics as Prometheus reads them: parsed by its own client library, with the names and units that it expects."""

import re
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisor.views.metrics import Metrics
from supervisor.views.prometheus import exposition, write_metrics
from supervisor.views.status import DURATION_BOUNDS, MetricsView, SiteView, Snapshot, Totals
from tests.views.snapshots import busy, run_view
from tests.views.test_metrics import started, succeeded


def parsed(snapshot: Snapshot) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return each sample's value by its name and the values of its labels."""
    families = list(text_string_to_metric_families(exposition(snapshot).decode()))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, tuple(sample.labels.values())): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def test_prometheus_reads_what_the_run_does() -> None:
    """Every figure of the status is there, under its usual name and in base units."""
    snapshot = busy(
        run=run_view(cpu_seconds=12.5),
        site=SiteView("down", 740.0, "no answer", 60.0, 5.0),
    )
    found = parsed(snapshot)
    assert {state: found["nightfleet_references", (state,)] for state in ("pending", "waiting", "in_progress")} == {
        "pending": 752,
        "waiting": 3,
        "in_progress": 5,
    }
    for name, value in {
        "nightfleet_queue_depth": 755,
        "nightfleet_attempts_total": 1300,
        "nightfleet_documents_total": 3012,
        "nightfleet_document_bytes_total": 2_100_000_000,
        "nightfleet_kills_total": 2,
        "nightfleet_breaker_open": 1,
        "nightfleet_session_age_seconds": 740,
        "nightfleet_supervisor_cpu_seconds_total": 12.5,
        "nightfleet_time_left_seconds": 1150,
        "nightfleet_updated_timestamp_seconds": 1_795_562_459.0,
    }.items():
        assert found[name, ()] == value, name
    assert found["nightfleet_failures_total", ("timeout",)] == 12
    assert found["nightfleet_worker_memory_bytes", ("3",)] == 412_000_000
    assert found["nightfleet_worker_restarts_total", ("3",)] == 1
    assert found["nightfleet_workers", ("working",)] == 5
    assert found["nightfleet_run_state", ("running",)] == 1
    assert found["nightfleet_run_info", ("0a1b2c3d", "lot")] == 1
    assert all(re.fullmatch(r"nightfleet_[a-z_]+", name) for name, _ in found)


def test_durations_are_a_histogram() -> None:
    """Buckets are cumulative, each holds what took up to its bound, and the sum is that of all."""
    metrics = Metrics(0.0)
    for attempt, seconds in enumerate((0.5, 0.6, 4.0, 1000.0), 1):
        metrics.seen(started(attempt), 0.0)
        metrics.seen(succeeded(attempt), seconds)
    found = parsed(busy(metrics=metrics.view(2000.0, 0)))
    name = "nightfleet_reference_duration_seconds"
    buckets = {key[1][0]: value for key, value in found.items() if key[0] == f"{name}_bucket"}
    assert [buckets[bound] for bound in ("0.5", "1.0", "2.0", "5.0", "600.0", "+Inf")] == [1, 2, 2, 3, 3, 4]
    assert len(buckets) == len(DURATION_BOUNDS) + 1
    assert found[f"{name}_count", ()] == 4
    assert found[f"{name}_sum", ()] == pytest.approx(1005.1)


def test_a_run_that_has_done_nothing_has_metrics_too() -> None:
    """No figure is invented: what is not known is left out, and whatever a site calls itself stays in its label."""
    found = parsed(Snapshot(run=run_view(site='a"b\\c\nd'), totals=Totals(), metrics=MetricsView()))
    assert found["nightfleet_run_info", ("0a1b2c3d", 'a"b\\c\nd')] == 1
    assert found["nightfleet_breaker_open", ()] == 0
    assert ("nightfleet_session_age_seconds", ()) not in found
    assert ("nightfleet_exit_code", ()) not in found


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """node_exporter never reads half a file, and finds nothing else beside it."""
    path = tmp_path / "nightfleet.prom"
    write_metrics(path, busy())
    first = path.stat().st_ino
    moved = msgspec.structs.replace(busy().totals, completed=1231, in_progress=4)
    write_metrics(path, busy(totals=moved))
    assert path.stat().st_ino != first
    assert 'nightfleet_references{state="completed"} 1231.0' in path.read_text()
    assert list(tmp_path.iterdir()) == [path]
