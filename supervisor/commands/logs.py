"""``run.py logs``: what the run wrote down."""

import time
from pathlib import Path

import click

from supervisor.commands import options
from supervisor.errors import MachineError
from supervisor.shell.run_directory import RunDirectory
from supervisor.views import logs

_PAUSE = 0.3


@click.command(
    "logs",
    cls=options.Command,
    examples="""
    logs night                      everything, oldest first
    logs night --worker 3           only worker 3
    logs night --ref A-1001         only what was done for this reference
    logs night --level WARNING      only what went wrong
    logs night --follow             what comes from now on
    """,
)
@options.run_dir_argument
@click.option(
    "--worker",
    metavar="N",
    type=click.IntRange(1),
    help="Only what this worker says, and the supervisor about it.  [default: all]",
)
@click.option(
    "--ref",
    metavar="REF",
    shell_complete=options.complete_failed,
    help="Only lines about an attempt at this reference.  [default: all]",
)
@click.option(
    "--level",
    type=click.Choice(logs.LEVELS, case_sensitive=False),
    help="Only lines of this level or a more important one.  [default: DEBUG]",
)
@click.option(
    "--follow", "-f", is_flag=True, help="Show what comes from now on, until Ctrl-C.  [default: what is there]"
)
def command(run_dir: Path, *, worker: int | None, ref: str | None, level: str | None, follow: bool) -> None:
    """Show the log lines of the run in DIR, of supervisor and workers together, in the order of time."""
    directory = RunDirectory.existing(run_dir)
    wanted = logs.Wanted(worker, ref, level)
    lines = logs.follow(directory.logs, _pause, wanted) if follow else logs.merged(directory.logs, wanted)
    try:
        for line in lines:
            click.echo(line)
    except BrokenPipeError:
        raise  # whoever reads our output has left
    except OSError as error:
        raise MachineError(f"{error.filename} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except KeyboardInterrupt:
        if not follow:
            raise  # with --follow it is the ordinary end


def _pause() -> bool:
    time.sleep(_PAUSE)  # log files are rotated and begun by other processes, and tell nobody when they grow
    return True
