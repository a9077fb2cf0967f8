"""``run.py start``: the job itself."""

import os
from pathlib import Path
from typing import Any

import click

from supervisor import demo_site
from supervisor.commands import launch, options
from supervisor.shell import service


@click.command(
    "start",
    cls=options.Command,
    examples="""
    start lot.toml --run-dir night                       the references come from the site's own export
    start lot.toml --run-dir night                       the same again: goes on where it stopped
    start lot.py:Lot --run-dir night --refs stock.csv --column "Stock No"
    start lot.toml --run-dir night --refresh 20          the next night: what was done over 20 hours ago once more
    start lot.toml --run-dir night --workers 8 --task-timeout 90
    start demo --run-dir night                           the built-in website
    """,
)
@click.argument("site", shell_complete=options.complete_site)
@click.option("--run-dir", required=True, metavar="DIR", type=options.PATH, help="Everything goes here.")
@click.option(
    "--refs",
    metavar="FILE|-",
    type=options.PATH,
    help="References, one a line or a CSV with --column; - for standard input.  [default: the site's export]",
)
@click.option("--column", metavar="NAME", help="The column of a CSV that holds the references.")
@click.option(
    "--refresh",
    metavar="HOURS",
    type=click.FloatRange(min=0, max=1_000_000),
    help="Do again what was done more than HOURS ago, and ask the site for its references again.  [default: never]",
)
@click.option(
    "--try-login-again",
    is_flag=True,
    help="Log in although the site refused the same user and password before.  [default: off]",
)
@options.show_option
@options.setting_options()
def command(
    *,
    site: str,
    run_dir: Path,
    refs: Path | None,
    column: str | None,
    refresh: float | None,
    try_login_again: bool,
    show: str | None,
    config_file: Path | None,
    **values: Any,
) -> int:
    """Fetch every document of SITE into --run-dir. On an existing run directory, go on.

    A document that changed since is put beside the one that was there; nothing is overwritten.

    SITE is `demo`, a recipe in TOML, or `path/to/file.py:ClassName`. Every setting can also stand in the environment
    (NIGHTFLEET_TASK_TIMEOUT) or in the file of --config (task_timeout); an option wins.
    """
    manager = service.adopt(os.environ)  # before anything else is started
    if column is not None and refs is None:
        raise click.UsageError("--column needs --refs")
    resolved = options.resolve(values, config_file)
    request = launch.Request(site, run_dir, show, refs, column, refresh, try_login_again, manager)
    if site != "demo" or os.environ.get(demo_site.URL_VARIABLE):
        return launch.run(launch.plan(request, resolved, {}))
    wishes = demo_site.remembered(run_dir) or demo_site.Wishes()
    with demo_site.begun(wishes, os.environ) as coming:
        plan = launch.plan(request, resolved, coming.environment)
        demo_site.remember(run_dir, wishes)
        coming.website()
        return launch.run(plan)
