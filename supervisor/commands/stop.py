"""``run.py stop``: end a run from another terminal."""

import contextlib
import os
import select
import signal
import time
from pathlib import Path
from typing import Self

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.errors import MachineError
from supervisor.shell import linux
from supervisor.shell.control_messages import Stop
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import Owner, RunDirectory
from supervisor.views.text import clean, number, plural

_ANSWER_SECONDS = 10.0
_BETWEEN_SIGNALS = 0.3
"""Seconds in which the first signal is surely noticed: two that wait at once count as one."""


@click.command(
    "stop",
    cls=options.Command,
    examples="""
    stop night              finish what is in flight, then end; start goes on where it stopped
    stop night --now        break off what is in flight
    stop night --no-wait    only tell it to stop
    """,
)
@options.run_dir_argument
@click.option("--now", is_flag=True, help="Break off what is in flight; it is not counted.  [default: finish it]")
@click.option("--wait/--no-wait", default=True, help="Come back when the run has ended.  [default: wait]")
def command(run_dir: Path, *, now: bool, wait: bool) -> None:
    """Stop the run in DIR and say how it ended. It can be resumed; the run itself then ends with exit code 3.

    Where no run is active there is nothing to do, and that is no failure: exit code 0.
    """
    directory = RunDirectory.existing(run_dir)
    owner = directory.owner()
    if owner is None:
        click.echo(f"no run is active in {run_dir}: there is nothing to stop")
        return
    with _Watch(owner) as watch:
        _tell(directory, owner, now=now)
        if wait:
            watch.until_it_has_ended()
            click.echo(_ending(directory))


class _Watch:
    """Sees a process end."""

    def __init__(self, owner: Owner) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):  # it has ended already, or is not known
            self._descriptor = os.pidfd_open(owner.pid)
        # Looked at after the handle was taken: the number may have passed to another process before.
        if self._descriptor >= 0 and not linux.is_running(owner.pid, owner.start_time):
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def until_it_has_ended(self) -> None:
        if self._descriptor >= 0:
            select.select([self._descriptor], [], [])


def _ending(directory: RunDirectory) -> str:
    with LedgerReader(directory.ledger) as reader:
        runs, totals = reader.runs(), reader.totals()
    finished = f"{number(totals.finished)} of {plural(totals.total, 'reference')} finished"
    if not runs or runs[-1].ended_at is None:
        return f"it has ended; {finished}"
    return f"it has ended with exit code {runs[-1].exit_code}: {clean(runs[-1].reason or '', 1000)}; {finished}"


def _tell(directory: RunDirectory, owner: Owner, *, now: bool) -> None:
    with contextlib.suppress(control_client.UnreachableError):  # a signal reaches it as well
        click.echo(control_client.ask(directory, Stop(now), _ANSWER_SECONDS).sentence)
        return
    if not owner.pid:
        raise MachineError(f"{directory.path} is in use, but it is not known by whom; try again in a moment")
    _signal(owner.pid, owner.start_time)
    if now:
        time.sleep(_BETWEEN_SIGNALS)  # two that come together are one to the process
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
