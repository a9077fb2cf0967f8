"""``run.py check``: every step of a recipe once, visibly, and what does not fit."""

import os
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from supervisor import checking, demo_site, recipes
from supervisor.commands import launch, options
from supervisor.config import Resolved
from supervisor.errors import Exit
from supervisor.views import transcript
from supervisor.views.text import as_typed, clean


@click.command(
    "check",
    cls=options.Command,
    examples="""
    check lot.toml                      each step once, with the first vehicle of the export
    check lot.toml --ref B-10102        with this vehicle
    check lot.toml --headed             and watch the browser
    check demo                          the built-in website
    """,
)
@click.argument("site", shell_complete=options.complete_site)
@click.option("--ref", metavar="REF", help="The vehicle to try.  [default: the first of the site's export]")
@click.option(
    "--output",
    metavar="DIR",
    type=options.PATH,
    help="An empty folder for documents, evidence and the export.  [default: runs/check-<time in UTC>]",
)
@click.option(
    "--patience",
    metavar="S",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    help="How long a click or a field may wait for what it names; in a run it is 30 s.  [default: 10 seconds]",
)
@options.setting_options(only=("browser", "headed"))
def command(
    *, site: str, ref: str | None, output: Path | None, patience: float, config_file: Path | None, **values: Any
) -> int:
    """Try the recipe SITE on one vehicle, step by step, and say what happens.

    Logs in, proves it, exports the inventory, fetches the documents of one vehicle and goes back. Where something
    does not match, it names the selector, the nearest things that the page does have, the line of the recipe and
    the screenshot. Exit code 0 when all is well, 1 when a step failed by the site's doing, 2 when the recipe does
    not fit, 4 when the site refused the login, 5 without a browser.
    """
    if ref is not None and not ref.strip():
        raise click.UsageError("--ref is empty; name a vehicle, or leave it out for the first of the export")
    resolved = options.resolve(values, config_file)
    if site != "demo" or os.environ.get(demo_site.URL_VARIABLE):
        return _check(site, ref, output, patience, resolved=resolved, environment={})
    with demo_site.started(demo_site.Wishes(), os.environ) as website:
        return _check(site, ref, output, patience, resolved=resolved, environment=website.environment)


def _check(
    site: str,
    ref: str | None,
    output: Path | None,
    patience: float,
    *,
    resolved: Resolved,
    environment: dict[str, str],
) -> int:
    environ = {**os.environ, **environment}
    began = time.monotonic()
    spec = recipes.absolute(site)
    recipe = recipes.load(spec, options.ROOT, environ)
    seconds = time.monotonic() - began
    click.echo(transcript.line("ok", seconds, "recipe", f"{clean(recipe.name)}, {clean(recipe.start_url)}"))
    environ |= recipes.secrets(recipe, environ)
    click.echo(transcript.line("ok", None, "secrets", clean(", ".join(recipe.secrets)) or "none needed"))
    browser = launch.browser(resolved, environ)
    click.echo(transcript.line("", None, "browser", f"{browser.path}, version {browser.version}"))
    folder = checking.make_folder(output or Path("runs") / f"check-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    wanted = checking.Check(
        site=spec,
        settings=resolved.settings,
        browser=browser.path,
        folder=folder,
        patience=patience,
        ref=(ref or "").strip(),
    )
    outcome = checking.run(wanted, environ, click.echo)
    click.echo(_conclusion(outcome, folder))
    if outcome.code == Exit.COMPLETED:
        click.echo(f"then:  uv run run.py start {shlex.quote(site)} --run-dir night")
    return outcome.code


def _conclusion(outcome: checking.Outcome, folder: Path) -> str:
    found = sorted(path for path in (folder / "documents").glob("*") if path.is_file())
    where = f"the documents are in {as_typed(folder / 'documents')}"
    where = where if found else f"what there is to see is in {as_typed(folder)}"
    words = {
        Exit.COMPLETED: "what the recipe names fits, and it may overlook documents"
        if outcome.overlooked
        else "everything fits",
        Exit.SOME_FAILED: "a step failed by the site's doing",
        Exit.USAGE: "the recipe does not fit the site yet",
        Exit.LOGIN_REFUSED: "the site refused the login",
        Exit.MACHINE: "there is no browser that works",
    }
    return f"{words[outcome.code]}; {where}"
