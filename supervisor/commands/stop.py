"""``run.py stop``: end a run from another terminal."""

import contextlib
import os
import signal
import time
from pathlib import Path

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.errors import MachineError
from supervisor.shell import linux
from supervisor.shell.control_messages import Stop
from supervisor.shell.run_directory import RunDirectory

_ANSWER_SECONDS = 10.0
_BETWEEN_SIGNALS = 0.3
"""Seconds in which the first signal is surely noticed: two that wait at once count as one."""


@click.command(
    "stop",
    cls=options.Command,
    examples="""
    stop night              finish what is in flight, then end; start goes on where it stopped
    stop night --now        do not wait for what is in flight
    """,
)
@options.run_dir_argument
@click.option("--now", is_flag=True, help="Break off what is in flight; it is not counted.  [default: finish it]")
def command(run_dir: Path, now: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Stop the run in DIR. It can be resumed; the run itself then ends with exit code 3."""
    directory = RunDirectory(run_dir)
    directory.check()
    owner = directory.owner()
    if owner is None:
        click.echo(f"no run is active in {run_dir}")
        return
    with contextlib.suppress(control_client.UnreachableError):  # a signal reaches it as well
        click.echo(control_client.ask(directory, Stop(now), _ANSWER_SECONDS).sentence)
        return
    if not owner.pid:
        raise MachineError(f"{run_dir} is in use, but it is not known by whom; try again in a moment")
    _signal(owner.pid, owner.start_time)
    if now:
        time.sleep(_BETWEEN_SIGNALS)
        _signal(owner.pid, owner.start_time)
        click.echo(f"told the supervisor (pid {owner.pid}) to stop at once")
    else:
        click.echo(f"told the supervisor (pid {owner.pid}) to stop; it finishes what is in flight first")


def _signal(pid: int, start_time: int) -> None:
    """Send SIGTERM to exactly this process; one that has ended meanwhile is as well."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError as error:
        raise MachineError(f"the supervisor (pid {pid}) cannot be reached: {error.strerror}") from error
    try:
        # Looked at after the handle was taken: from here on the number cannot pass to another process unnoticed.
        present = linux.stat(pid)
        if present is not None and present.start_time == start_time:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise MachineError(f"the supervisor (pid {pid}) belongs to somebody else: {error.strerror}") from error
    finally:
        os.close(handle)
