"""What the commands share: help that begins with examples, an option for every setting, paths."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from supervisor import config
from supervisor.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
"""Folder of run.py, from which child processes import this program."""

_FIRST = (
    "num_workers",
    "task_timeout",
    "stuck_threshold",
    "watchdog_interval",
    "max_retries",
    "worker_delay",
    "browser",
)

_OFFERED = 200
"""References that a shell is offered."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Place(click.Path):
    """A path; an empty one is a variable that was not set, and would mean the present folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; a path is needed", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Place(path_type=Path)
"""The type of every option and argument that is a path."""


class Command(click.Command):
    """A command whose help begins with examples."""

    def __init__(self, *args: Any, examples: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._examples = examples

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, then usage, what it does, and the options."""
        lines = "\n".join(f"  python run.py {line.strip()}" for line in self._examples.strip().splitlines())
        formatter.write(f"Examples\n{lines}\n\n")
        super().format_help(ctx, formatter)


def setting_options(
    *, defaults: dict[str, Any] | None = None, only: tuple[str, ...] = ()
) -> Callable[[_Function], _Function]:
    """Add an option for every setting. The values reach `config.resolve` as text: all are checked in that one place.

    Args:
        defaults: defaults that this command has in place of the ordinary ones.
        only: names of the settings that get an option; all of them when empty.
    """

    def decorate(function: _Function) -> _Function:
        ordered = [*_FIRST, *(name for name in config.CATALOGUE if name not in _FIRST)]
        for name in reversed([name for name in ordered if not only or name in only]):
            setting = config.CATALOGUE[name]
            default = (defaults or {}).get(name, setting.default)
            if setting.kind is bool:
                text = f"{setting.help}  [default: {'on' if default else 'off'}]"
                option = click.option(f"{setting.flag}/--no-{setting.flag[2:]}", name, default=None, help=text)
            else:
                extra = setting.meta.extra or {}
                shown = setting.unset if default in {"", -1} else config.shown(default)
                unit = f" {setting.unit}" if setting.unit else ""
                alone = extra.get("alone")
                # Such an option may stand without a value. Click takes the next word for one, unless it is an option.
                lone: dict[str, Any] = {} if alone is None else {"is_flag": False, "flag_value": alone}
                option = click.option(
                    setting.flag,
                    name,
                    **lone,
                    metavar=setting.metavar,
                    help=f"{setting.help}  [default: {shown}{unit}]",
                )
            function = option(function)
        return click.option(
            "--config",
            "config_file",
            metavar="FILE.toml",
            type=PATH,
            help="Settings from a file: task_timeout = 90 and so on, but num_workers for --workers.",
        )(function)

    return decorate


def resolve(
    values: dict[str, Any], config_file: Path | None, *, defaults: dict[str, Any] | None = None, command: str = ""
) -> config.Resolved:
    """Return the settings that follow from a command's options and the environment.

    Raises:
        SettingsError: something makes no sense.
    """
    flags = {name: value for name, value in values.items() if name in config.CATALOGUE}
    return config.resolve(flags, os.environ, config_file, defaults=defaults, command=command)


show_option = click.option(
    "--show",
    type=click.Choice(["live", "plain", "quiet"]),
    help="The progress: redrawn in place, or a line now and then.  [default: live on a terminal, else plain]",
)


def show(chosen: str | None) -> Any:
    """Return how the progress is shown, by what standard output is where nothing was chosen."""
    if chosen is not None:
        return chosen
    return "live" if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" else "plain"


def say(sentence: str) -> None:
    """Tell the person at the terminal what happens meanwhile."""
    with contextlib.suppress(OSError):  # the terminal is gone, and nobody is there to read it
        click.echo(f"nightfleet: {sentence}", err=True)


def _complete_folder(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="dir")]


def complete_site(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the demo, and files that may be recipes."""
    demo = [CompletionItem("demo", help="the built-in website")] if "demo".startswith(incomplete) else []
    return [*demo, CompletionItem(incomplete, type="file")]


def complete_kind(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the kinds of failures."""
    from supervisor.views.kinds import MEANINGS  # noqa: PLC0415 - only a shell that asks needs it

    return [
        CompletionItem(kind.value, help=text.means) for kind, text in MEANINGS.items() if kind.startswith(incomplete)
    ]


def complete_failed(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the references that have failed in the run directory that was named before."""
    from supervisor.shell.ledger_reader import LedgerReader  # noqa: PLC0415 - only a shell that asks needs it
    from supervisor.shell.run_directory import RunDirectory  # noqa: PLC0415 - as above

    try:
        with LedgerReader(RunDirectory(Path(ctx.params["run_dir"])).ledger) as reader:
            rows = (row for row in reader.failures() if row.ref.startswith(incomplete) and row.ref.isprintable())
            return [
                CompletionItem(row.ref, help=row.error_kind or "")
                for row, _ in zip(rows, range(_OFFERED), strict=False)
            ]
    except (UserError, TypeError, KeyError):
        return []  # there is no such run directory, or none was named yet


run_dir_argument = click.argument("run_dir", metavar="DIR", type=PATH, shell_complete=_complete_folder)
