"""The command line: which commands there are, how they are found, and how each of them ends.

The modules of the commands are imported when they are called for, so that ``--help`` is quick. Whatever a command
raises ends here: a `UserError` as one sentence with its exit code, anything else as one sentence that names the file
into which the traceback went. Exit codes are those of `supervisor.errors.Exit`.
"""

import contextlib
import difflib
import errno
import importlib
import io
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from supervisor.errors import Exit, UserError

NAME = "nightfleet"

_COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "The whole job against the built-in inventory website."),
    "start": ("start", "Fetch every document of a site; on an existing run directory, go on."),
    "new-site": ("new_site", "Draft the recipe of a site, guessed from its login page."),
    "check": ("check", "Try a site recipe on one vehicle, step by step, and say what happens."),
    "status": ("status", "What a run is doing, or how it ended."),
    "logs": ("logs", "The log lines of a run, in the order of time."),
    "verify": ("verify", "Check every document of a run against the ledger."),
    "explain": ("explain", "Which references failed and why; the whole story of one."),
    "report": ("report", "The morning report: what came, what failed and why."),
    "retry": ("retry", "Queue failed references again."),
    "pause": ("pause", "Hand out nothing more for now."),
    "resume": ("resume", "Go on after a pause."),
    "scale": ("scale", "More or fewer workers while a run goes on."),
    "restart": ("restart", "A fresh process and browser for one worker."),
    "stop": ("stop", "Stop a run; what is in flight is finished first."),
    "doctor": ("doctor", "Can this machine do the job?"),
    "unit": ("unit", "A systemd unit, for a machine that does it by itself."),
    "completion": ("completion", "A shell that completes commands, options and references."),
}
_SENTENCE_LIMIT = 8_000
_HIDDEN = {"_clerk": "clerk", "_page": "page"}

_EXAMPLES = """\
  python run.py demo                                try it out, on a website of its own
  python run.py new-site https://lot.example        draft a recipe for a site: lot.toml
  python run.py check lot.toml                      try it on one vehicle, step by step
  python run.py start lot.toml --run-dir night      the job itself; the same again goes on
  python run.py status night --watch                look at it
  python run.py explain night                       which references failed, why, and where the evidence is
  python run.py retry night --failed                another chance for them
  python run.py verify night                        check every document"""

_EXIT_CODES = """\
  0  every reference completed; or the command did what it was asked
  1  finished, some references failed for good; or a check found something wrong
  2  wrong usage, settings or recipe
  3  stopped before the end; the same command goes on
  4  the site refused the login
  5  the machine cannot do it: no browser, disk full, run directory in use, or an error of the program"""


class _Group(click.Group):
    """The commands by name; a module is imported when its command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        module = _COMMANDS[cmd_name][0] if cmd_name in _COMMANDS else _HIDDEN.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(f"supervisor.commands.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if ctx.resilient_parsing:  # a shell asks what may follow, and gets nothing for what makes no sense
            return super().resolve_command(ctx, args)
        if name not in _COMMANDS and name not in _HIDDEN and not name.startswith("-"):
            near = difflib.get_close_matches(name, _COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"commands are {', '.join(_COMMANDS)}"
            raise click.UsageError(f"there is no command {name[:40]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - as above
        return [CompletionItem(name, help=line) for name, (_, line) in _COMMANDS.items() if name.startswith(incomplete)]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        formatter.write(f"{NAME}: a fleet of browsers that comes back with every document.\n\nExamples\n{_EXAMPLES}\n")
        formatter.write("\nUsage\n  python run.py COMMAND ...      python run.py COMMAND --help\n\nCommands\n")
        for name, (_, line) in _COMMANDS.items():
            formatter.write(f"  {name:10} {line}\n")
        formatter.write(f"\nExit codes\n{_EXIT_CODES}\n")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def _commands() -> None:
    """Do what the command says."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own when None, and return its exit code."""
    _fill_standard_descriptors()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The name of a file may be no text, and a terminal may know ASCII only.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        result = _commands.main(
            args=None if arguments is None else list(arguments), prog_name="run.py", standalone_mode=False
        )
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return Exit.COMPLETED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last line of defence: no traceback on a terminal
        sentence, code = _verdict(error)
        if _is_full(error):
            _silence_stdout()  # it may be where our output goes
        with contextlib.suppress(OSError):  # nobody is there to read it
            print(sentence, file=sys.stderr)  # noqa: T201 - the terminal is where it belongs
        return code
    return result if isinstance(result, int) else Exit.COMPLETED


def _fill_standard_descriptors() -> None:
    """Have /dev/null where whoever started us left nothing: the next file to be opened would take that number.

    What is said on standard error, a fatal signal's tracebacks too, would then be written into a document or the lock.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", closefd=False))  # noqa: SIM115 - of a descriptor, for good


def _verdict(error: BaseException) -> tuple[str, int]:
    """Return what the terminal is told about an exception, and the exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return error.ctx.get_help(), Exit.USAGE
        case click.ClickException():
            return f"{NAME}: {_sentence(error)}", Exit.USAGE
        case UserError():
            return f"{NAME}: {_harmless(str(error))}", error.exit_code
        case OSError() if trouble := _surroundings(error):
            return f"{NAME}: {trouble}", Exit.MACHINE
        case KeyboardInterrupt() | click.Abort():
            return f"{NAME}: interrupted", Exit.STOPPED
        case _:
            return f"{NAME}: {_crash_sentence(error)}", Exit.MACHINE


def _surroundings(error: OSError) -> str:
    """Return what is wrong around us, so that it is no error of the program; or nothing."""
    if _is_full(error):
        return f"there is no room left{f' for {error.filename}' if error.filename else ''}"
    if isinstance(error, FileNotFoundError):
        try:
            os.getcwd()  # noqa: PTH109 - whether it raises
        except FileNotFoundError:
            return "the present folder is gone; go to another one"
    return ""


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def _harmless(sentence: str) -> str:
    """Return a sentence as one line for a terminal: it may quote what a site sent, or what a damaged file holds."""
    from supervisor.views.text import clean  # noqa: PLC0415 - not for --help

    return clean(sentence, _SENTENCE_LIMIT)


def _sentence(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    command = f"{context.command_path} --help" if context is not None else "run.py --help"
    return f"{message} (see python {command})"


def _silence_stdout() -> None:
    # The reader of our output left, as `head` does, or a full disk took it no more; without this the interpreter
    # complains while it flushes what is left.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _crash_sentence(error: BaseException) -> str:
    name = f"{NAME}-crash-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    text = f"python {platform.python_version()}, {platform.platform()}\n{''.join(traceback.format_exception(error))}"
    for folder in _crash_folders():
        with contextlib.suppress(OSError):  # the next folder may do
            path = folder / name
            # A new file that only we can read: a traceback may quote what a site sent.
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - of a descriptor
                file.write(text)
            return f"an error of the program itself ({type(error).__name__}); what is known about it is in {path}"
    return f"an error of the program itself ({type(error).__name__}), and nothing could be written about it"


def _crash_folders() -> list[Path]:
    run_dir = _run_directory_of(sys.argv)
    logs = [run_dir / "logs"] if run_dir is not None and (run_dir / "logs").is_dir() else []
    return [*logs, Path(tempfile.gettempdir())]


def _run_directory_of(arguments: list[str]) -> Path | None:
    for index, argument in enumerate(arguments):
        if argument == "--run-dir" and index + 1 < len(arguments):
            return Path(arguments[index + 1])
        if argument.startswith("--run-dir="):
            return Path(argument.partition("=")[2])
    return None
