"""What a child is told when it is started: plain data, pickled over the start-up pipe, never in a command line."""

import msgspec


class WorkerSettings(msgspec.Struct, frozen=True):
    """Everything one incarnation of a worker needs. Times in seconds, sizes in bytes, paths absolute."""

    slot: int
    incarnation: int
    site: str
    """``demo``, ``/abs/path/site.toml`` or ``/abs/path/file.py:ClassName``."""
    temp_dir: str
    """Exists already; becomes TMPDIR. The supervisor removes it when the tree is dead."""
    log_file: str
    stack_file: str
    """Where the fault handler writes the Python stacks on SIGUSR1."""
    supervisor_pid: int
    marker: str
    """Value of the environment variable NIGHTFLEET_MARK of the whole tree, by which strays are found."""
    browser: str = ""
    """Path of the browser; empty for Playwright's own build."""
    headed: bool = False
    heartbeat_interval: float = 1.0
    action_timeout: float = 30.0
    """How long a click, a field or a locator of the recipe waits for what it names; Playwright's own default."""
    recover_timeout: float = 30.0
    """The most that the ladder of recoveries may take in all."""
    log_json: bool = False
    log_rotation: int = 20_000_000
    log_retention: int = 5
    document_limit: int = 500_000_000
    """The largest document that is accepted."""
    trace: bool = False
    """Record the last attempt at a reference, and keep the trace when it fails."""
    picture_file: str = ""
    """Where to leave a picture of the page now and then during attempts, for the status page; empty for nowhere."""
    picture_interval: float = 10.0
    count_requests: bool = False
    """Tell with the heartbeats how many requests went to which host."""
    environment: dict[str, str] = {}
    """Added to the child's environment before the recipe is loaded."""
