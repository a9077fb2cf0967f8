"""``run.py doctor``: can this machine do the job?"""

import os
from pathlib import Path
from typing import Any

import click

from supervisor import demo_site, doctor
from supervisor.check_result import Check, Level
from supervisor.commands import options
from supervisor.errors import Exit
from supervisor.views.text import plural

_MARKS: dict[Level, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("WARNING", "yellow"),
    "failed": ("FAILED", "red"),
}


@click.command(
    "doctor",
    cls=options.Command,
    examples="""
    doctor                                  browser, memory, limits, space, clock, sleep, reboots
    doctor --run-dir night                  also whether what is still to come fits on the disk
    doctor lot.toml --workers 8             also the recipe, its secrets and the way to the site
    """,
)
@click.argument("site", required=False, shell_complete=options.complete_site)
@click.option("--run-dir", default=".", metavar="DIR", type=options.PATH, help="Where it is to go.  [default: here]")
@options.setting_options()
def command(site: str | None, run_dir: Path, config_file: Path | None, **values: Any) -> int:
    """Check what a run needs of this machine, and of SITE when it is given. Exit code 5 when something fails."""
    resolved = options.resolve(values, config_file)
    failed = 0
    for check in doctor.examine(resolved, run_dir, os.environ):
        failed += _print(check)
    if site == "demo" and not os.environ.get(demo_site.URL_VARIABLE):
        with demo_site.started(demo_site.Wishes(), os.environ) as website:
            for check in doctor.examine_site(site, options.ROOT, {**os.environ, **website.environment}):
                failed += _print(check)
    elif site is not None:
        for check in doctor.examine_site(site, options.ROOT, os.environ):
            failed += _print(check)
    click.echo(f"{plural(failed, 'check')} failed" if failed else "this machine can do it")
    return Exit.MACHINE if failed else Exit.COMPLETED


def _print(check: Check) -> int:
    """Print one line for a check; return 1 when it failed."""
    mark, colour = _MARKS[check.level]
    mark = f"{mark:7}" if os.environ.get("NO_COLOR") else click.style(f"{mark:7}", fg=colour)
    advice = f" - {check.advice}" if check.advice else ""
    click.echo(f"{mark}  {check.name:15}  {check.found}{advice}")
    return int(check.level == "failed")
