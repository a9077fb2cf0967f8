"""``run.py report``: the morning report."""

from pathlib import Path

import click

from supervisor.commands import options
from supervisor.errors import MachineError
from supervisor.shell.run_directory import RunDirectory
from supervisor.views.report import write_report


@click.command(
    "report",
    cls=options.Command,
    examples="""
    report night                       writes night/report.html and night/failures.csv
    report night --against last-night  compared with this earlier run
    """,
)
@options.run_dir_argument
@click.option(
    "--against",
    metavar="DIR",
    type=options.PATH,
    help="An earlier run directory of the same site.  [default: the last one in the same folder]",
)
def command(run_dir: Path, against: Path | None) -> None:
    """Write the report of the run in DIR as of now. At its end a run writes one by itself."""
    directory = RunDirectory.existing(run_dir)
    earlier: RunDirectory | None = None if against is None else RunDirectory.existing(against)
    try:
        write_report(directory.path, earlier.path if earlier else None)
    except OSError as error:
        raise MachineError(f"the report cannot be written: {error.strerror or error}") from error
    click.echo(f"{directory.report}\n{directory.failures_csv}")
