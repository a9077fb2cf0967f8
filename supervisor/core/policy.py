"""The numbers by which the core decides; durations in seconds, sizes in bytes."""

import msgspec


class Policy(msgspec.Struct, frozen=True):
    """One frozen set of numbers for a run; the settings are translated into it once, at the start."""

    task_timeout: float = 180.0
    stuck_threshold: float = 300.0
    watchdog_interval: float = 60.0
    """How often the queue's statistics are logged; it also bounds how long the watchdog sleeps."""
    max_retries: int = 2
    worker_delay: float = 1.0
    retry_delay: float = 5.0
    """Before the second attempt; doubled for each further one."""
    retry_delay_limit: float = 300.0
    heartbeat_timeout: float = 30.0
    start_timeout: float = 60.0
    """From the start of a child to its first `Ready`."""
    recover_timeout: float = 60.0
    """From a `Failed` with ready=False to `Ready`."""
    errand_timeout: float = 120.0
    """For a login or an export."""
    shutdown_timeout: float = 10.0
    recycle_after: int = 300
    """References after which a worker gets a fresh process; 0 for never."""
    memory_limit: int = 1_500_000_000
    """For a worker's whole tree: above it the worker is recycled after its reference, above 1.5 times at once."""
    restart_delay_limit: float = 60.0
    start_failures_limit: int = 5
    """Children in a row, over all slots, that never got ready: the run is given up."""
    free_returns: int = 10
    """How often a reference may go back uncounted before such failures count as well."""
    login_tries: int = 3
    """Logins in a row that failed without being refused, before the site ever answered in this run."""
    breaker_references: int = 3
    """References that must fail alike, with no success in between, before the site is taken to be down."""
    breaker_window: float = 120.0
    """Within this time."""
    breaker_pause: float = 5.0
    """The first pause; doubled with every probe that fails."""
    breaker_pause_limit: float = 300.0
    breaker_calm: int = 10
    """Successes in a row after which the pause is back at its first length."""
    throttle_pause: float = 30.0
    """After a 429 that does not say how long to wait."""
    throttle_pause_limit: float = 3600.0
    """The longest Retry-After that is believed."""
    memory_reserve: int = 300_000_000
    """With less memory left on the machine workers are let go, one after the other."""
    process_reserve: int = 150
    """So with less processes and threads, of which a worker takes about as many."""
    descriptor_reserve: int = 32
    """So with less file descriptors of the supervisor's, of which a worker takes five."""
    references_per_minute: int = 0
    """That the whole fleet may begin; 0 for as many as it can."""
    requests_per_minute: int = 0
    """That all browsers together may make to one host; 0 for as many as they like."""
    outage_limit: float = 10_800.0
    """How long the site may be down before the run stops, resumable; three hours let a two-hour maintenance pass."""
    fruitless_sessions: int = 3
    """References in a row that met the login page with a fresh session, with nothing completed: the run stops."""
    own_logins: bool = False
    """Each slot logs in for itself: the site ties a session to one browser."""
    stolen_sessions: int = 4
    """Sessions in a row that were taken away while they were young, before the run stops."""
    stolen_window: float = 60.0
    """Seconds after a login within which a session is young."""
    poison_crashes: int = 2
    """Crashes of its browser or worker after which a reference is set aside and tried last, alone."""
    sick_failures: int = 3
    """Failures in a row of one worker, while others succeed: it gets a fresh browser, then a fresh process."""
    step_patience: float = 6.0
    """Times a step's usual longest, after which an attempt that is not the last one is ended; 0 for never."""
    step_floor: float = 2.0
    """Every step may take so long."""
    auto_workers: tuple[int, int] | None = None
    """The fewest and the most workers, where the core finds out how many are best; None for a fixed number."""
    staging_root: str = ""
    """Folder under which each attempt has its staging folder, named by its number."""
