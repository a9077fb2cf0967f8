"""``run.py pause``: hand out nothing more for now."""

from pathlib import Path

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.shell.control_messages import Pause
from supervisor.shell.run_directory import RunDirectory


@click.command(
    "pause",
    cls=options.Command,
    examples="""
    pause night             what is in flight is finished; resume goes on
    """,
)
@options.run_dir_argument
def command(run_dir: Path) -> None:
    """Have the run in DIR hand out nothing more until `resume`; browsers and sessions are kept."""
    click.echo(control_client.ask(RunDirectory.existing(run_dir), Pause()).sentence)
