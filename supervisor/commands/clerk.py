"""``run.py _clerk``: the process that a run keeps beside it; see `supervisor.views.clerk`."""

from pathlib import Path

import click

from supervisor.commands import options
from supervisor.views import clerk
from supervisor.views.tracking import write_tracking


@click.command("_clerk", hidden=True)
@options.run_dir_argument
@click.option("--show", type=click.Choice(["live", "plain", "quiet"]), required=True)
@click.option("--metrics-file", type=click.Path(path_type=Path))
def command(run_dir: Path, show: str, metrics_file: Path | None) -> int:
    """Write tracking.json and draw the progress until standard input ends, then write the report."""
    return clerk.run(
        run_dir, show, write_tracking=write_tracking, write_report=_write_report, metrics_file=metrics_file
    )


def _write_report(run_dir: Path) -> None:
    from supervisor.views.report import write_report  # noqa: PLC0415 - its plots' library is large: not before the end

    write_report(run_dir)
