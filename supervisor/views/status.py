"""What a run is doing now: the frozen snapshot that the loop hands out and that lies in status.json.

Times are UTC ISO 8601 text, durations seconds, sizes bytes. A snapshot is only ever data: whoever draws or prints it
needs nothing else of the run, so a slow reader costs the run nothing.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec

from supervisor.shell import files

DURATION_BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0)
"""Seconds in which durations are counted, up to and with each."""

_LARGEST = 16 * 1024 * 1024
"""Bytes of status.json; one with 200 workers has about 100,000."""

State = Literal["starting", "running", "paused", "draining", "finished"]


class RunView(msgspec.Struct, frozen=True):
    """Which run this is and how far."""

    site: str
    run_id: str
    pid: int
    pid_start: int
    """Start time of the process in clock ticks since boot: with the pid it names exactly one process."""
    started_at: str
    updated_at: str
    state: State
    exit_code: int | None = None
    reason: str = ""
    max_attempts: int = 0
    """That a reference gets before it has failed for good; 0 when it is not known."""
    workers_wanted: int = 0
    """How many are to be at work now, by settings, operator or the run's own search; 0 when it is not known."""
    workers_auto: bool = False
    """The run itself looks for the best number."""
    page: str = ""
    """Address of the status page; empty without one."""
    finish_by: str = ""
    """The time by which to be done; empty when there is none."""
    late: bool = False
    """By the estimate it will not be done by then."""
    cpu_seconds: float = 0.0
    """Processor time of the supervisor itself, without its workers."""


class Totals(msgspec.Struct, frozen=True):
    """References by state. The states add up to the total; waiting ones wait for a further attempt."""

    total: int = 0
    pending: int = 0
    waiting: int = 0
    in_progress: int = 0
    completed: int = 0
    failed: int = 0

    @property
    def finished(self) -> int:
        """References of which nothing more is to be done."""
        return self.completed + self.failed


class WorkerView(msgspec.Struct, frozen=True):
    """One slot and what its present incarnation does."""

    slot: int
    incarnation: int
    pid: int
    state: str
    """One word, as the core calls it."""
    ref: str = ""
    attempt: int = 0
    number: int = 0
    """1 for the first attempt at the reference, 0 without one."""
    step: str = ""
    step_seconds: float = 0.0
    state_seconds: float = 0.0
    memory_bytes: int = 0
    restarts: int = 0
    done: int = 0


class MetricsView(msgspec.Struct, frozen=True):
    """How the run is going; None where nothing can be said yet."""

    per_minute: float | None = None
    """References finished a minute over the last five minutes."""
    per_minute_overall: float | None = None
    seconds_median: float | None = None
    """Of the last attempts that succeeded."""
    seconds_p95: float | None = None
    seconds_recent: float | None = None
    """The median of the very last ones, where there are enough to say so."""
    seconds_sum: float = 0.0
    """Of all attempts of this start that succeeded."""
    seconds_counts: tuple[int, ...] = ()
    """How many of them took up to each of `DURATION_BOUNDS`, and longer: one more than there are bounds."""
    attempts: int = 0
    failures: dict[str, int] = {}
    """Failed attempts by kind."""
    kills: int = 0
    restarts: int = 0
    bytes: int = 0
    documents: int = 0
    eta_seconds: float | None = None
    eta_low: float | None = None
    eta_high: float | None = None


class SiteView(msgspec.Struct, frozen=True):
    """How the run gets on with the site."""

    state: str = "unknown"
    """``unknown``, ``up``, ``slow``, ``down`` (the breaker is open) or ``coming back``."""
    session_age_seconds: float | None = None
    reason: str = ""
    trouble_seconds: float | None = None
    """For how long the breaker has been open."""
    next_look_seconds: float | None = None
    """Until one reference may try whether the site is back."""


class Notice(msgspec.Struct, frozen=True):
    """A line of the log that a person should see."""

    at: str
    level: str
    text: str
    failure: bool = False
    """It tells of a failed attempt; otherwise of what the watchdog, the site or the operator did."""


class Snapshot(msgspec.Struct, frozen=True):
    """Everything about a run at one moment."""

    run: RunView
    totals: Totals = Totals()
    workers: tuple[WorkerView, ...] = ()
    metrics: MetricsView = MetricsView()
    site: SiteView = SiteView()
    recent: tuple[Notice, ...] = ()
    """The last ten failures and the last ten of everything else, oldest first."""
    version: int = 1


def encode(snapshot: Snapshot) -> bytes:
    """Return the bytes of status.json."""
    return msgspec.json.format(msgspec.json.encode(snapshot), indent=2) + b"\n"


def write_status(path: Path, snapshot: Snapshot) -> None:
    """Replace status.json atomically. It is not flushed to disk: a second later it is old anyway.

    Raises:
        OSError: the disk is full or the folder is gone.
    """
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(encode(snapshot))
    os.replace(beside, path)  # noqa: PTH105 - Path.replace would only wrap it


def read_status(path: Path) -> Snapshot | None:
    """Return what lies in status.json, None where there is none or it is not ours."""
    try:
        return msgspec.json.decode(files.read(path, _LARGEST), type=Snapshot)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def process_lives(pid: int, start: int) -> bool:
    """Say whether exactly this process still runs (a zombie does not).

    `start` is the 22nd field of ``/proc/<pid>/stat`` (proc_pid_stat(5)); 0 matches nothing.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # The second field is the name in parentheses and may itself hold spaces and parentheses.
    fields = stat.rpartition(b")")[2].split()
    return fields[0] not in {b"Z", b"X"} and int(fields[19]) == start


def is_running(snapshot: Snapshot) -> bool:
    """Say whether the supervisor that wrote the snapshot is still at work."""
    return snapshot.run.state != "finished" and process_lives(snapshot.run.pid, snapshot.run.pid_start)
