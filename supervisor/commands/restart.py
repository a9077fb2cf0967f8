"""``run.py restart``: a fresh worker in the place of one."""

from pathlib import Path

import click

from supervisor import control_client
from supervisor.commands import options
from supervisor.shell.control_messages import Restart
from supervisor.shell.run_directory import RunDirectory


@click.command(
    "restart",
    cls=options.Command,
    examples="""
    restart night 3         worker 3 gets a fresh process and browser
    """,
)
@options.run_dir_argument
@click.argument("worker", metavar="N", type=click.IntRange(1))
def command(run_dir: Path, worker: int) -> None:
    """Give worker N of the run in DIR a fresh process and browser, when it has finished what it holds."""
    click.echo(control_client.ask(RunDirectory.existing(run_dir), Restart(worker)).sentence)
