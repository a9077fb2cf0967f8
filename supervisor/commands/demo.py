"""``run.py demo``: the whole job against the built-in website, judged by the website's own truth."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from supervisor import demo_site
from supervisor.commands import launch, options
from supervisor.errors import Exit

_DEFAULTS = {"num_workers": 2, "worker_delay": 0.0}
_FAULT_DEFAULTS = {"task_timeout": 8.0, "stuck_threshold": 20.0, "retry_delay": 0.5}
"""With faults about, small times show in minutes what a night takes hours for."""


@click.command(
    "demo",
    cls=options.Command,
    examples="""
    demo                                          40 vehicles, all goes well
    demo --vehicles 60 --workers 3 --faults       stuck pages, crashes, broken documents
    demo --faults gone,truncated                  only these
    demo --run-dir runs/mine                      the same again goes on
    """,
)
@click.option("--vehicles", metavar="N", type=click.IntRange(1, 100_000), help="Vehicles of the site.  [default: 40]")
@click.option(
    "--faults",
    metavar="[NAMES]",
    is_flag=False,
    flag_value="all",
    help="What goes wrong at the site: all of it, or the faults named; "
    "then --task-timeout is 8, --stuck-threshold 20 and --retry-delay 0.5.  [default: nothing]",
)
@click.option(
    "--run-dir", metavar="DIR", type=click.Path(path_type=Path), help="Where to.  [default: runs/demo-<time in UTC>]"
)
@options.show_option
@options.setting_options(defaults=_DEFAULTS)
def command(
    *,
    vehicles: int | None,
    faults: str | None,
    run_dir: Path | None,
    show: str | None,
    config_file: Path | None,
    **values: Any,
) -> int:
    """Do the whole job against a built-in inventory website, and compare what came with what the site has."""
    if run_dir is None:
        run_dir = Path("runs") / f"demo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    former = demo_site.remembered(run_dir) or demo_site.Wishes()
    wishes = demo_site.Wishes(
        vehicles=former.vehicles if vehicles is None else vehicles,
        faults=former.faults if faults is None else faults.removeprefix("none"),
    )
    defaults = _DEFAULTS | (_FAULT_DEFAULTS if wishes.faults else {})
    resolved = options.resolve(values, config_file, defaults=defaults, command="demo")
    with demo_site.started(wishes, os.environ) as website:
        plan = launch.plan(launch.Request("demo", run_dir, show), resolved, website.environment)
        demo_site.remember(run_dir, wishes)
        options.say(f"the demo website is at {website.url}; everything goes to {run_dir}")
        code = launch.run(plan)
        truth = website.truth()
    verdict = demo_site.judge(plan.run_dir, truth)
    click.echo(verdict.sentence)
    return code if verdict.equal else max(code, Exit.SOME_FAILED)
