"""``run.py scale``: more or fewer workers while the run goes on."""

from pathlib import Path

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.fleet_size import MOST
from supervisor.shell.control_messages import Scale
from supervisor.shell.run_directory import RunDirectory


@click.command(
    "scale",
    cls=options.Command,
    examples="""
    scale night 8           eight workers from now on
    scale night 2           the others leave when they have finished what they hold
    """,
)
@options.run_dir_argument
@click.argument("workers", metavar="N", type=click.IntRange(1, MOST))
def command(run_dir: Path, workers: int) -> None:
    """Have N workers in the run in DIR, until it ends. Answers when they are ready, or the others have left."""
    click.echo(control_client.ask(RunDirectory.existing(run_dir), Scale(workers)).sentence)
