"""``run.py _page``: the process that serves the status page of a run; see `supervisor.views.server`."""

import socket
from pathlib import Path

import click

from supervisor.commands import options
from supervisor.shell.run_directory import RunDirectory
from supervisor.views import server


@click.command("_page", hidden=True)
@options.run_dir_argument
@click.option("--listener", type=int, required=True)
def command(run_dir: Path, listener: int) -> None:
    """Serve the page of the run in DIR on the listening socket that was inherited, until standard input ends."""
    with socket.socket(fileno=listener) as inherited:
        server.serve(RunDirectory(run_dir), inherited)
