"""``run.py new-site``: the first draft of a recipe, guessed from the site's login page."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from supervisor import recipes, sketching
from supervisor.commands import launch, options
from supervisor.errors import Exit, UserError
from supervisor.views.skeleton import GAP, name_of, skeleton
from supervisor.views.text import clean, plural

_SCHEMA = options.ROOT / "worker" / "sites" / "declarative" / "schema.json"


@click.command(
    "new-site",
    cls=options.Command,
    examples="""
    new-site https://lot.example                        writes lot.toml
    new-site https://lot.example --output stock.toml    the name of the file is the site's, too
    new-site https://lot.example --headed               and watch the browser
    """,
)
@click.argument("url")
@click.option(
    "--output",
    metavar="FILE.toml",
    type=options.PATH,
    help="Where to.  [default: the site's name, here]",
)
@click.option("--force", is_flag=True, help="Overwrite the file when there is one.  [default: refuse]")
@options.setting_options(only=("browser", "headed"))
def command(*, url: str, output: Path | None, force: bool, config_file: Path | None, **values: Any) -> int:
    """Open URL, follow to its login page, and write the draft of a recipe in TOML.

    Nothing is filled in and nobody is logged in. The draft loads as it is; what could only be guessed is marked
    with # GAP. Then: run.py check FILE.toml.
    """
    wanted = sketching.address(url)
    if output is not None:
        _check_output(output, force=force)
    resolved = options.resolve(values, config_file)
    browser = launch.browser(resolved, dict(os.environ))
    found = sketching.look(wanted, resolved.settings, browser.path, os.environ)
    if output is None:
        output = Path(f"{name_of(found)}.toml")
        _check_output(output, force=force)
    schema = _SCHEMA
    target = output.expanduser().absolute()
    here = os.path.relpath(schema, target.parent) if target.is_relative_to(options.ROOT) else str(schema)
    draft = skeleton(found, name=output.stem, schema=here, day=datetime.now(UTC).date())
    _write(target, draft.text, force=force)
    if found.login is not None:
        click.echo(f"the login page is {clean(found.login.url)} {clean(found.login.title, 80)!r}")
    elif found.basic:
        click.echo("the site asks for user and password by HTTP itself, and not with a form: the draft says so")
    else:
        click.echo("no field for a password was found: the draft is for a site without a login")
    recipes.load(str(target), options.ROOT, os.environ)
    click.echo(f"{output} loads without an error; {plural(len(draft.gaps), 'line')} of it begin with {GAP}:")
    lines = draft.text.splitlines()
    for number in draft.gaps:
        click.echo(f"  {number:3}  {lines[number - 1].removeprefix(GAP + ': ')}")
    if draft.secrets:
        click.echo(f"then: export {' '.join(f'{name}=…' for name in draft.secrets)}")
    click.echo(f"{'and' if draft.secrets else 'then'}:  uv run run.py check {output}")
    return Exit.COMPLETED


def _check_output(output: Path, *, force: bool) -> None:
    if output.suffix != ".toml":
        raise UserError(f"--output {output} does not end in .toml, as a recipe must")
    if output.is_dir():
        raise UserError(f"{output} is a folder; name a file")
    if output.exists() and not force:
        raise UserError(f"{output} is there already; --force overwrites it, --output names another file")


def _write(target: Path, text: str, *, force: bool) -> None:
    try:
        with target.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{target} is there already; --force overwrites it, --output names another file") from error
    except OSError as error:
        raise UserError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}") from error
