"""``run.py _clerk``: the process that a run keeps beside it; see `supervisor.views.clerk`."""

from pathlib import Path

import click

from supervisor.commands import options
from supervisor.views import clerk
from supervisor.views.tracking import write_tracking


@click.command("_clerk", hidden=True)
@options.run_dir_argument
@click.option("--show", type=click.Choice(["live", "plain", "quiet"]), required=True)
@click.option("--metrics-file", type=options.PATH)
def command(run_dir: Path, show: str, metrics_file: Path | None) -> int:
    """Write tracking.json and draw the progress until standard input ends, then write the report."""
    papers = clerk.Papers(write_tracking, _write_report, _prepare_report)
    return clerk.run(run_dir, show, papers, metrics_file=metrics_file)


def _prepare_report() -> None:
    import supervisor.views.report  # noqa: F401, PLC0415 - its plots' library takes a second to load: not at the start


def _write_report(run_dir: Path) -> None:
    from supervisor.views.report import write_report  # noqa: PLC0415 - as above

    write_report(run_dir)
