"""``run.py resume``: go on after a pause."""

from pathlib import Path

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.shell.control_messages import Resume
from supervisor.shell.run_directory import RunDirectory


@click.command(
    "resume",
    cls=options.Command,
    examples="""
    resume night            hand out again
    """,
)
@options.run_dir_argument
def command(run_dir: Path) -> None:
    """Have the paused run in DIR go on. A run that has ended goes on with the same `start` command instead."""
    click.echo(control_client.ask(RunDirectory.existing(run_dir), Resume()).sentence)
