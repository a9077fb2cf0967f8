"""What a worker's process is told when it is started, out of the settings of a run or a check."""

import os
from pathlib import Path

from supervisor.config import Settings
from worker.settings import WorkerSettings

_RECOVERY_SHARE = 0.8
"""Of recover_timeout: the worker is to give up before the supervisor gives the worker up."""


def worker_settings(
    settings: Settings,
    *,
    site: str,
    browser: str,
    temp_dir: Path,
    log_file: Path,
    marker: str,
    environment: dict[str, str],
    picture: Path | None = None,
    slot: int = 1,
    incarnation: int = 1,
) -> WorkerSettings:
    """Return the settings of one incarnation of a worker, a child of this process.

    Args:
        settings: as resolved.
        site: as from `recipes.absolute`.
        browser: path of a browser that was seen to answer.
        temp_dir: its own, absolute.
        log_file: absolute.
        marker: as for `trees.Tree`.
        environment: added to its environment.
        picture: where to leave a picture of its page now and then; None for nowhere.
        slot: of the fleet.
        incarnation: of the slot.
    """
    return WorkerSettings(
        slot=slot,
        incarnation=incarnation,
        site=site,
        temp_dir=str(temp_dir),
        log_file=str(log_file),
        stack_file=str(temp_dir / "stacks.txt"),
        supervisor_pid=os.getpid(),
        marker=marker,
        browser=browser,
        headed=settings.headed,
        heartbeat_interval=settings.heartbeat_interval,
        recover_timeout=settings.recover_timeout * _RECOVERY_SHARE,
        log_json=settings.log_json,
        log_rotation=settings.log_rotation,
        log_retention=settings.log_retention,
        trace=settings.trace,
        document_limit=settings.document_limit,
        count_requests=settings.requests_per_minute > 0,
        environment=environment,
        picture_file=str(picture) if picture else "",
    )
