"""``run.py logs``: what the run wrote down."""

import time
from pathlib import Path

import click

from supervisor.commands import options
from supervisor.shell.run_directory import RunDirectory
from supervisor.views import logs

_PAUSE = 0.3


@click.command(
    "logs",
    cls=options.Command,
    examples="""
    logs night                      everything, oldest first
    logs night --worker 3           only worker 3
    logs night --follow             what comes from now on
    logs night | grep ref=A-1001    the story of one reference
    """,
)
@options.run_dir_argument
@click.option("--worker", metavar="N", type=click.IntRange(1), help="Only this worker's lines.  [default: all]")
@click.option(
    "--follow", "-f", is_flag=True, help="Show what comes from now on, until Ctrl-C.  [default: what is there]"
)
def command(run_dir: Path, worker: int | None, follow: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Show the log lines of the run in DIR, of supervisor and workers together, in the order of time."""
    directory = RunDirectory(run_dir)
    directory.check()
    lines = logs.follow(directory.logs, _pause, worker) if follow else logs.merged(directory.logs, worker)
    try:
        for line in lines:
            click.echo(line)
    except KeyboardInterrupt:
        if not follow:
            raise  # with --follow it is the ordinary end


def _pause() -> bool:
    time.sleep(_PAUSE)
    return True
