"""Snapshots for the tests of the views: a busy run, and any part of it replaced."""

from typing import Any

import msgspec

from supervisor.views.status import MetricsView, Notice, RunView, Snapshot, Totals, WorkerView

_BUSY = Snapshot(
    run=RunView(
        site="lot",
        run_id="0a1b2c3d",
        pid=1,
        pid_start=0,
        started_at="2026-11-24T22:10:59.000Z",
        updated_at="2026-11-24T23:20:59.000Z",
        state="running",
    ),
    totals=Totals(total=2000, pending=752, waiting=3, in_progress=5, completed=1230, failed=10),
    workers=tuple(
        WorkerView(
            slot=slot,
            incarnation=1,
            pid=100 + slot,
            state="working",
            ref=f"A-100{slot}",
            attempt=slot,
            number=1,
            step="fetch the documents",
            state_seconds=10.0 * slot,
            memory_bytes=412_000_000,
            restarts=slot // 3,
        )
        for slot in range(1, 6)
    ),
    metrics=MetricsView(
        per_minute=38.5,
        per_minute_overall=40.1,
        seconds_median=4.2,
        seconds_p95=9.9,
        attempts=1300,
        failures={"timeout": 12, "server_error": 4},
        kills=2,
        bytes=2_100_000_000,
        documents=3012,
        eta_seconds=1150.0,
        eta_low=900.0,
        eta_high=1400.0,
    ),
    recent=(Notice("2026-11-24T23:20:01.000Z", "WARNING", "worker 3 was killed: it was silent for 30 s"),),
)


def busy(**parts: Any) -> Snapshot:
    """Return a run in full swing, with these parts in place of its own."""
    return msgspec.structs.replace(_BUSY, **parts)


def run_view(**fields: Any) -> RunView:
    """Return the busy run's own view, with these fields in place of its own."""
    return msgspec.structs.replace(_BUSY.run, **fields)
