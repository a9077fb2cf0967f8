"""``run.py scale``: more or fewer workers while the run goes on."""

from pathlib import Path

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.shell.control_messages import Scale
from supervisor.views.story import path_of

_MOST = 200


@click.command(
    "scale",
    cls=options.Command,
    examples="""
    scale night 8           eight workers from now on
    scale night 2           the others leave when they have finished what they hold
    """,
)
@options.run_dir_argument
@click.argument("workers", metavar="N", type=click.IntRange(1, _MOST))
def command(run_dir: Path, workers: int) -> None:
    """Have N workers in the run in DIR, until it ends. Answers when they are ready, or the others have left."""
    click.echo(control_client.ask(path_of(run_dir), Scale(workers)).sentence)
