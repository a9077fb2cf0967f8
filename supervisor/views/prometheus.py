"""The figures of a run in Prometheus' text format, for a scrape of /metrics and for node_exporter's textfile collector.

Names and units follow Prometheus' own conventions (prometheus.io/docs/practices/naming): base units, counters that end
in ``_total``. Counters go on over a resumed run, but for processor time and durations, which are those of one process;
a counter that falls is a restart to Prometheus.
"""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest, write_to_textfile
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from supervisor.views.status import DURATION_BOUNDS, MetricsView, Snapshot, State, WorkerView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_P = "nightfleet_"


def exposition(snapshot: Snapshot) -> bytes:
    """Return all metrics as text."""
    return generate_latest(_registry(snapshot))


def write_metrics(path: Path, snapshot: Snapshot) -> None:
    """Replace `path` atomically by all metrics.

    Raises:
        OSError: it cannot be written; the former file is still there.
    """
    write_to_textfile(str(path), _registry(snapshot))


def _registry(snapshot: Snapshot) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Run(snapshot))
    return registry


class _Run(Collector):
    """One snapshot as families of metrics."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        yield from _run(self._snapshot)
        yield from _counts(self._snapshot.metrics)
        yield _durations(self._snapshot.metrics)
        yield from _workers(self._snapshot.workers)


def _run(snapshot: Snapshot) -> Iterator[Metric]:
    run, totals, site = snapshot.run, snapshot.totals, snapshot.site
    about = {"site": run.site, "run_id": run.run_id}
    yield InfoMetricFamily(_P + "run", "Which run this is.", value=about)
    stage = GaugeMetricFamily(_P + "run_state", "1 for the state in which the run is.", labels=["state"])
    for state in get_args(State):
        stage.add_metric([state], float(state == run.state))
    yield stage
    if run.workers_wanted:
        yield GaugeMetricFamily(_P + "workers_wanted", "Workers that are to be at work.", value=run.workers_wanted)
    updated = datetime.fromisoformat(run.updated_at).timestamp()
    yield GaugeMetricFamily(_P + "updated_timestamp_seconds", "When these figures were taken.", value=updated)
    if run.exit_code is not None:
        yield GaugeMetricFamily(_P + "exit_code", "Exit code of the run, when it is over.", value=run.exit_code)
    references = GaugeMetricFamily(_P + "references", "References by state.", labels=["state"])
    for state in ("pending", "waiting", "in_progress", "completed", "failed"):
        references.add_metric([state], getattr(totals, state))
    yield references
    depth = totals.pending + totals.waiting
    yield GaugeMetricFamily(_P + "queue_depth", "References of which an attempt is still to begin.", value=depth)
    is_open = float(site.state in {"down", "coming back"})
    yield GaugeMetricFamily(_P + "breaker_open", "1 while the site counts as down.", value=is_open)
    yield GaugeMetricFamily(_P + "site_slow", "1 while the site is slow.", value=float(site.state == "slow"))
    if site.session_age_seconds is not None:
        age = site.session_age_seconds
        yield GaugeMetricFamily(_P + "session_age_seconds", "Since the login that all workers share.", value=age)
    left = snapshot.metrics.eta_seconds
    if left is not None:
        yield GaugeMetricFamily(_P + "time_left_seconds", "Until the end, by the present rate.", value=left)
    cpu = run.cpu_seconds
    yield CounterMetricFamily(_P + "supervisor_cpu_seconds", "Processor time of the supervisor itself.", value=cpu)


def _counts(metrics: MetricsView) -> Iterator[Metric]:
    yield CounterMetricFamily(_P + "attempts", "Attempts that were started.", value=metrics.attempts)
    failures = CounterMetricFamily(_P + "failures", "Attempts that failed, by kind.", labels=["kind"])
    for kind, count in metrics.failures.items():
        failures.add_metric([kind], count)
    yield failures
    yield CounterMetricFamily(_P + "documents", "Documents published.", value=metrics.documents)
    yield CounterMetricFamily(_P + "document_bytes", "Bytes of the documents published.", value=metrics.bytes)
    yield CounterMetricFamily(_P + "kills", "Workers killed by the watchdog.", value=metrics.kills)
    yield CounterMetricFamily(_P + "restarts", "Workers started again.", value=metrics.restarts)


def _durations(metrics: MetricsView) -> Metric:
    """Return the histogram; a bucket counts all that took up to its bound (`le`)."""
    counts = metrics.seconds_counts or (0,) * (len(DURATION_BOUNDS) + 1)
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*DURATION_BOUNDS, math.inf), counts, strict=True):
        total += count
        buckets.append((floatToGoString(bound), total))  # type: ignore[no-untyped-call] # the library's own, untyped
    text = "How long the attempts took that completed a reference."
    return HistogramMetricFamily(
        _P + "reference_duration_seconds", text, buckets=buckets, sum_value=metrics.seconds_sum
    )


def _workers(workers: tuple[WorkerView, ...]) -> Iterator[Metric]:
    memory = GaugeMetricFamily(_P + "worker_memory_bytes", "Of a worker's whole process tree.", labels=["worker"])
    restarts = CounterMetricFamily(_P + "worker_restarts", "Restarts of a worker, this start.", labels=["worker"])
    for worker in workers:
        memory.add_metric([str(worker.slot)], worker.memory_bytes)
        restarts.add_metric([str(worker.slot)], worker.restarts)
    yield memory
    yield restarts
    states = GaugeMetricFamily(_P + "workers", "Workers by state.", labels=["state"])
    for state, count in sorted(Counter(worker.state for worker in workers).items()):
        states.add_metric([state], count)
    yield states
