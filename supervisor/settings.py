"""Every setting: its name, default, range and one line of help. The one table that help, messages and checks read."""

from typing import Annotated, Any, get_args, get_type_hints

import msgspec
from msgspec import Meta

from supervisor.fleet_size import ALLOWED, FleetSize

PREFIX = "NIGHTFLEET_"
_DAY = 86_400.0
_SECONDS = {"unit": "seconds"}
_BYTES = {"unit": "bytes"}
_PATH = {"metavar": "PATH", "unset": "found by itself"}
_HOOK = {
    "form": "callee",
    "metavar": "COMMAND|URL",
    "unset": "nobody is called",
    "allowed": "a command whose program is there, or the address of a webhook, http:// or https://",
}
_TIME = {
    "form": "moment",
    "metavar": "TIME",
    "unset": "no such time",
    "allowed": "a time of day such as 06:00, or an ISO date and time that is yet to come, as 2026-11-25T06:00",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a run; durations in seconds, sizes in bytes."""

    num_workers: Annotated[
        FleetSize,
        Meta(
            extra={"metavar": "N|auto[:N-N]", "allowed": ALLOWED},
            description="Workers, each with one browser of its own; auto: as many as prove best, 1 to 16 or as told.",
        ),
    ] = FleetSize(5, 5)
    task_timeout: Annotated[
        float, Meta(gt=0, le=_DAY, extra=_SECONDS, description="The longest that one attempt may take in the worker.")
    ] = 180.0
    stuck_threshold: Annotated[
        float,
        Meta(gt=0, le=_DAY, extra=_SECONDS, description="A worker on one attempt for longer than this is killed."),
    ] = 300.0
    watchdog_interval: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="Between two lines of statistics in the log.")
    ] = 60.0
    max_retries: Annotated[
        int, Meta(ge=0, le=100, description="Attempts after the first one before a reference has failed for good.")
    ] = 2
    worker_delay: Annotated[
        float, Meta(ge=0, le=3600, extra=_SECONDS, description="A worker's rest between two references.")
    ] = 1.0
    retry_delay: Annotated[
        float, Meta(ge=0, le=_DAY, extra=_SECONDS, description="Before the second attempt; doubles for each further.")
    ] = 5.0
    retry_delay_limit: Annotated[
        float, Meta(ge=0, le=_DAY, extra=_SECONDS, description="The longest delay before another attempt.")
    ] = 300.0
    heartbeat_interval: Annotated[
        float, Meta(ge=0.05, le=60, extra=_SECONDS, description="Between two signs of life of a worker.")
    ] = 1.0
    heartbeat_timeout: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="A worker that is silent for longer is killed.")
    ] = 30.0
    start_timeout: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="For a worker to start its browser.")
    ] = 60.0
    recover_timeout: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="For a worker to get ready again after trouble.")
    ] = 60.0
    errand_timeout: Annotated[
        float, Meta(gt=0, le=_DAY, extra=_SECONDS, description="For a login, and for the export of the inventory.")
    ] = 120.0
    shutdown_timeout: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="For a worker to close its browser at the end.")
    ] = 10.0
    recycle_after: Annotated[
        int, Meta(ge=0, le=1_000_000, description="References after which a worker is replaced; 0 for never.")
    ] = 300
    spare_worker: Annotated[
        bool, Meta(description="Keep one more browser ready, so that a worker that dies is replaced within a second.")
    ] = True
    memory_limit: Annotated[
        int,
        Meta(
            ge=100_000_000,
            le=1_000_000_000_000,
            extra=_BYTES,
            description="A worker whose processes hold more is replaced.",
        ),
    ] = 1_500_000_000
    restart_delay_limit: Annotated[
        float, Meta(ge=0, le=3600, extra=_SECONDS, description="The longest delay before a worker is started again.")
    ] = 60.0
    start_failures_limit: Annotated[
        int, Meta(ge=1, le=1000, description="Workers in a row that fail to start before the run is given up.")
    ] = 5
    free_returns: Annotated[
        int, Meta(ge=0, le=1000, description="How often a reference goes back uncounted when it was not to blame.")
    ] = 10
    poison_crashes: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Crashes of its worker after which a reference is tried last, alone; one more is final.",
        ),
    ] = 2
    login_tries: Annotated[
        int, Meta(ge=1, le=100, description="Logins that fail without being refused before the run is given up.")
    ] = 3
    stolen_sessions: Annotated[
        int, Meta(ge=1, le=1000, description="Sessions in a row taken away soon after the login that stop the run.")
    ] = 4
    stolen_window: Annotated[
        float, Meta(gt=0, le=_DAY, extra=_SECONDS, description="How soon after a login that is.")
    ] = 60.0
    breaker_pause: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="First pause when the site is down; doubles.")
    ] = 5.0
    breaker_pause_limit: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="The longest pause between two looks at such a site.")
    ] = 300.0
    outage_limit: Annotated[
        float, Meta(gt=0, le=7 * _DAY, extra=_SECONDS, description="A site that is down for longer stops the run.")
    ] = 10_800.0
    references_per_minute: Annotated[
        int, Meta(ge=0, le=1_000_000, description="The most references that the whole fleet begins; 0 for no limit.")
    ] = 0
    requests_per_minute: Annotated[
        int, Meta(ge=0, le=1_000_000, description="The most requests of all browsers to one host; 0 for no limit.")
    ] = 0
    quiet_hours: Annotated[
        str,
        Meta(max_length=4096, description="Local times without work, such as 07:00-09:00,12:00-13:00; empty for none."),
    ] = ""
    breaker_references: Annotated[
        int, Meta(ge=2, le=1000, description="References that must fail alike before the site is taken to be down.")
    ] = 3
    breaker_window: Annotated[
        float, Meta(gt=0, le=_DAY, extra=_SECONDS, description="Within this time they must fail.")
    ] = 120.0
    throttle_pause: Annotated[
        float, Meta(gt=0, le=_DAY, extra=_SECONDS, description="Pause after a 429 that does not say how long.")
    ] = 30.0
    throttle_pause_limit: Annotated[
        float, Meta(gt=0, le=_DAY, extra=_SECONDS, description="The longest Retry-After that is obeyed.")
    ] = 3600.0
    sick_failures: Annotated[
        int,
        Meta(ge=2, le=1000, description="Failures of one worker, while others succeed, before it is made afresh."),
    ] = 3
    step_patience: Annotated[
        float,
        Meta(
            ge=0,
            le=1000,
            description="Times a step's usual longest that end an attempt which is not the last; 0 for never.",
        ),
    ] = 6.0
    step_floor: Annotated[
        float, Meta(gt=0, le=_DAY, extra=_SECONDS, description="What every step may take before it can end an attempt.")
    ] = 2.0
    memory_reserve: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000_000,
            extra=_BYTES,
            description="With less memory left on the machine, worker after worker is let go.",
        ),
    ] = 300_000_000
    document_limit: Annotated[
        int, Meta(ge=1, le=1_000_000_000_000, extra=_BYTES, description="The largest document that is accepted.")
    ] = 500_000_000
    disk_reserve: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000_000,
            extra=_BYTES,
            description="With less free on the run directory's disk, nothing is handed out.",
        ),
    ] = 200_000_000
    browser: Annotated[str, Meta(extra=_PATH, description="Path of the browser; found by itself when empty.")] = ""
    headed: Annotated[bool, Meta(description="Show the browsers' windows; needs a full Chromium and a screen.")] = False
    serve: Annotated[
        int,
        Meta(
            ge=0,
            le=65_535,
            extra={"metavar": "[PORT]", "alone": "0", "unset": "no page"},
            description="Show a status page on this port of the loopback address; without PORT, or 0, on a free one.",
        ),
    ] = -1
    metrics_file: Annotated[
        str,
        Meta(
            max_length=4096,
            extra={"metavar": "PATH", "unset": "none"},
            description="Keep the metrics in this .prom file, for node_exporter's textfile collector.",
        ),
    ] = ""
    evidence_limit: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Failed attempts of which more than error.txt is kept, in the whole run."),
    ] = 2_000
    evidence_bytes: Annotated[
        int,
        Meta(
            ge=1_000_000,
            le=1_000_000_000_000,
            extra=_BYTES,
            description="What that evidence may take; what tells least goes first.",
        ),
    ] = 2_000_000_000
    trace: Annotated[
        bool,
        Meta(description="Record the last attempt at a reference as a Playwright trace; it holds what the site shows."),
    ] = False
    finish_by: Annotated[
        str,
        Meta(
            extra=_TIME,
            description="When to be done, 06:00 or an ISO time: an alert when it will be later, then a clean stop.",
        ),
    ] = ""
    on_finish: Annotated[
        str, Meta(extra=_HOOK, description="Called at the end of the run, with a summary as JSON.")
    ] = ""
    on_failure: Annotated[
        str, Meta(extra=_HOOK, description="Called when references have failed for good, with a summary as JSON.")
    ] = ""
    on_stuck: Annotated[
        str,
        Meta(
            extra=_HOOK,
            description="Called when a worker was killed, site or machine are in trouble, or the run is late.",
        ),
    ] = ""
    hook_timeout: Annotated[
        float, Meta(gt=0, le=3600, extra=_SECONDS, description="The longest that a command or webhook may take.")
    ] = 30.0
    hook_rest: Annotated[
        float,
        Meta(
            ge=0,
            le=_DAY,
            extra=_SECONDS,
            description="Between two calls of on_failure or of on_stuck; what comes meanwhile is told together.",
        ),
    ] = 60.0
    log_json: Annotated[bool, Meta(description="Write the log files as one JSON object a line.")] = False
    log_rotation: Annotated[
        int,
        Meta(ge=10_000, le=10_000_000_000, extra=_BYTES, description="A log file that is larger is put aside."),
    ] = 20_000_000
    log_retention: Annotated[
        int, Meta(ge=1, le=1000, description="Log files put aside that are kept for each worker.")
    ] = 5


class Setting(msgspec.Struct, frozen=True):
    """One setting as the command line and the messages show it."""

    name: str
    kind: type
    """`int`, `float`, `bool`, `str` or `FleetSize`."""
    default: Any
    help: str
    unit: str
    allowed: str
    """What is allowed, to follow "it must be"."""
    meta: Any
    metavar: str
    """What help calls a value; of no use for a `bool`."""
    unset: str
    """What it means that nothing is given, in words, where the default does not say so."""
    form: str
    """A key of `forms.CHECKS` for a text that must have a form, else empty."""

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return "--workers" if self.name == "num_workers" else "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()


def _catalogue() -> dict[str, Setting]:
    hints = get_type_hints(Settings, include_extras=True)
    catalogue = {}
    for field in msgspec.structs.fields(Settings):
        kind, meta = get_args(hints[field.name])
        extra = meta.extra or {}
        unit = extra.get("unit", "")
        catalogue[field.name] = Setting(
            name=field.name,
            kind=kind,
            default=field.default,
            help=meta.description,
            unit=unit,
            allowed=extra.get("allowed") or _allowed(kind, meta, unit),
            metavar=extra.get("metavar") or ("BYTES" if unit == "bytes" else "N" if kind is int else "S"),
            unset=extra.get("unset", ""),
            form=extra.get("form", ""),
            meta=meta,
        )
    return catalogue


def _allowed(kind: type, meta: Meta, unit: str) -> str:
    if kind is bool:
        return "true or false"
    if kind is str:
        return "text of at most 4,096 characters"
    noun = "a whole number" if kind is int else "a number"
    low = f"above {shown(meta.gt)}" if meta.gt is not None else f"at least {shown(meta.ge)}"
    return f"{noun}{' of ' + unit if unit else ''}, {low} and at most {shown(meta.le)}"


def shown(value: object) -> str:
    """Return a value as it is written in a message or help text: short, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - a terminal's line


CATALOGUE: dict[str, Setting] = _catalogue()
"""Every setting by name, in the order in which help shows them."""
