"""``run.py demo``: the whole job against the built-in website, judged by the website's own truth."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from supervisor import demo_site
from supervisor.commands import launch, options
from supervisor.errors import Exit, MachineError
from supervisor.plan import Plan
from supervisor.rehearsal import Rehearsal
from supervisor.shell import service

_DEFAULTS = {"num_workers": 2, "worker_delay": 0.0}
_FAULT_DEFAULTS = {"task_timeout": 8.0, "stuck_threshold": 20.0, "retry_delay": 0.5}
"""With faults about, small times show in minutes what a night takes hours for."""
_CHAOS_DEFAULTS = {
    "task_timeout": 10.0,
    "stuck_threshold": 20.0,
    "retry_delay": 0.5,
    "retry_delay_limit": 1.0,
    "heartbeat_timeout": 5.0,
    "restart_delay_limit": 1.0,
    "breaker_pause": 1.0,
    "breaker_pause_limit": 5.0,
    # So that no reference, and no worker, is given up for what the rehearsal did to it.
    "max_retries": 23,
    "poison_crashes": 20,
    "free_returns": 1000,
    "start_failures_limit": 1000,
    "login_tries": 100,
}
_PORT = 8080
_CHAOS_SECONDS = (300.0, 5.0)
"""How long a rehearsal may take: so much, and so much more for each vehicle."""


@click.command(
    "demo",
    cls=options.Command,
    examples="""
    demo                                          40 vehicles, all goes well
    demo --vehicles 60 --workers 3 --faults       stuck pages, crashes, broken documents
    demo --faults gone,truncated                  only these
    demo --faults --chaos --vehicles 500          a rehearsal: processes killed and frozen all the time
    demo --run-dir runs/mine                      the same again goes on
    demo --site-only                              only the website, for a recipe of your own
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
    "--chaos",
    is_flag=True,
    help="Every second kill, freeze or resume a random process, and kill the supervisor itself every 20 seconds; then "
    "--max-retries is 23, --heartbeat-timeout 5, and delays are short.  [default: off]",
)
@click.option("--chaos-seed", metavar="N", type=int, default=1, show_default=True, help="Other blows for another seed.")
@click.option("--run-dir", metavar="DIR", type=options.PATH, help="Where to.  [default: runs/demo-<time in UTC>]")
@click.option("--site-only", is_flag=True, help="Run only the website, until Ctrl-C.  [default: the whole job]")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65_535), help="Of --site-only, 0 for any free one.  [default: 8080]"
)
@options.show_option
@options.setting_options(defaults=_DEFAULTS)
def command(
    *,
    vehicles: int | None,
    faults: str | None,
    chaos: bool,
    chaos_seed: int,
    run_dir: Path | None,
    site_only: bool,
    port: int | None,
    show: str | None,
    config_file: Path | None,
    **values: Any,
) -> int:
    """Do the whole job against a built-in inventory website, and compare what came with what the site has."""
    if site_only:
        return _serve(demo_site.Wishes(vehicles or 40, faults=(faults or "").removeprefix("none")), port)
    if port is not None:
        raise click.UsageError("--port needs --site-only")
    manager = service.adopt(os.environ)  # before anything else is started
    if run_dir is None:
        run_dir = Path("runs") / f"demo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    former = demo_site.remembered(run_dir) or demo_site.Wishes()
    wishes = demo_site.Wishes(
        vehicles=former.vehicles if vehicles is None else vehicles,
        faults=former.faults if faults is None else faults.removeprefix("none"),
    )
    defaults = _DEFAULTS | (_FAULT_DEFAULTS if wishes.faults else {}) | (_CHAOS_DEFAULTS if chaos else {})
    resolved = options.resolve(values, config_file, defaults=defaults, command="demo")
    with demo_site.begun(wishes, os.environ) as coming:
        if wishes.faults:
            coming.website()  # it may not know them, and nothing is to be written then
        plan = launch.plan(launch.Request("demo", run_dir, show, manager=manager), resolved, coming.environment)
        demo_site.remember(run_dir, wishes)
        website = coming.website()
        if chaos:
            options.say(f"a rehearsal with the demo website at {website.url}; everything goes to {run_dir}")
            return _rehearse(plan, website, chaos_seed)
        options.say(f"the demo website is at {website.url}; everything goes to {run_dir}")
        code = launch.run(plan)
        truth = website.truth()
    verdict = demo_site.judge(plan.run_dir, truth)
    click.echo(verdict.sentence)
    return code if verdict.equal else max(code, Exit.SOME_FAILED)


def _serve(wishes: demo_site.Wishes, port: int | None) -> int:
    with demo_site.started(wishes, os.environ, _PORT if port is None else port) as website:
        user, password = website.account or ("that of NIGHTFLEET_DEMO_USER", "that of NIGHTFLEET_DEMO_PASSWORD")
        options.say(f"the demo website is at {website.url} (user {user}, password {password}); Ctrl-C ends it")
        try:
            website.wait()
        except KeyboardInterrupt:
            return Exit.COMPLETED
    raise MachineError("the demo website ended by itself")


def _rehearse(plan: Plan, website: demo_site.Website, seed: int) -> int:
    environ = {**os.environ, **website.environment}
    rehearsal = Rehearsal(plan.run_dir, plan.settings, environ, seed, options.say)
    base, each = _CHAOS_SECONDS
    verdict = rehearsal.run(website.truth(), base + each * website.wishes.vehicles)
    click.echo("\n".join(verdict.lines()))
    return Exit.COMPLETED if verdict.clean else Exit.SOME_FAILED
