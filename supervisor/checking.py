"""Carries a check out: the recipe's steps in a process of their own, told line by line, judged by an exit code."""

import difflib
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from supervisor.children import worker_settings
from supervisor.config import Settings
from supervisor.errors import Exit, UserError
from supervisor.shell import helper
from supervisor.shell.helper import Helper, SilentError
from supervisor.shell.references_file import ReferencesError, read_references
from supervisor.views import transcript
from supervisor.views.text import as_typed, clean, plural
from worker.checking import messages as told

_MODULE = "worker.checking"
_SLACK = 60.0
"""Seconds of silence beyond the longest deadline of the recipe: then it never gives control back."""

_LOGIN_REFUSED = "login_refused"
_BROWSER = {"browser_lost"}
_RECIPE = {"recipe_error", "step_timeout", "export_invalid"}
"""Kinds by which the recipe does not fit the site, whoever of the two is to be changed."""


class Check(msgspec.Struct, frozen=True):
    """What is to be checked. The browser answers, the recipe loads and its secrets are there."""

    site: str
    """As from `recipes.absolute`."""
    settings: Settings
    browser: str
    folder: Path
    """Absolute, exists, empty."""
    patience: float
    """Seconds that a click or a field waits for what it names."""
    ref: str
    """The reference to try, empty for the first of the export."""


class Outcome(msgspec.Struct, frozen=True):
    """What has come of a check."""

    code: Exit
    overlooked: bool
    """The vehicle's page has what looks like documents, and the recipe does not use it."""


class _Result:
    """What has come of a check so far."""

    def __init__(self, check: Check, say: Callable[[str], None]) -> None:
        self._check = check
        self._say: Callable[[str], None] = lambda line: say(line.replace(str(check.folder), as_typed(check.folder)))
        self.code = Exit.COMPLETED
        self.overlooked = False
        self.finished = False
        self._counted: told.Called | None = None

    def take(self, message: told.Line, child: Helper) -> None:
        """Show one message, and answer it where an answer is due."""
        self._show(message)
        match message:
            case told.Browser(pid=pid):
                child.add_session(pid)
            case told.Exported():
                child.say(msgspec.json.encode(told.Choice(self._choose(message))))
            case told.Failure():
                self._fail(_code(message))
            case told.Overlooked():
                self.overlooked = True
            case told.Finished():
                self.finished = True
            case _:
                pass

    def _show(self, message: told.Line) -> None:
        """Show one message; a count waits for the next one, and is left out when that uses what was counted."""
        counted, self._counted = self._counted, None
        if counted is not None and isinstance(message, told.Called) and message.selector == counted.selector:
            message = msgspec.structs.replace(
                message, matches=counted.matches if message.matches is None else message.matches
            )
        elif counted is not None:
            self._print(counted)
        if isinstance(message, told.Called) and message.call.startswith("count"):
            self._counted = message
        else:
            self._print(message)

    def _print(self, message: told.Line) -> None:
        for line in transcript.lines(message):
            self._say(line)

    def _fail(self, code: Exit) -> None:
        self.code = self.code or code  # the first trouble is the one to be mended first

    def _choose(self, exported: told.Exported) -> str:
        """Read the references of the export as a run does; return the one to try."""
        path = Path(exported.path)
        try:
            found = read_references(
                path, column=exported.column, delimiter=exported.delimiter, encoding=exported.encoding
            )
        except ReferencesError as error:
            sentence = str(error).replace(str(path), "the export")
            self._say(transcript.line("FAILED", None, "inventory", clean(sentence, 1000)))
            self._say(f"{'':19}{'file':8}  {path}")
            self._fail(Exit.USAGE)
            return self._check.ref
        text = f"{plural(len(found.names), 'reference')} in the column {clean(exported.column)!r}"
        text += f", {plural(found.duplicates, 'duplicate')}" if found.duplicates else ", no duplicates"
        text += f", {plural(found.blanks, 'row')} without one" if found.blanks else ""
        self._say(transcript.line("ok", None, "inventory", f"{text}; the first is {clean(found.names[0])}"))
        chosen = self._check.ref or found.names[0]
        if chosen not in found.names:
            near = difflib.get_close_matches(chosen, found.names, n=3)
            hint = f" (near it: {', '.join(map(clean, near))})" if near else ""
            self._say(
                transcript.line("", None, "", f"{clean(chosen)} is not among them{hint}; it is tried all the same")
            )
        self._say(transcript.line("", None, "", f"the vehicle to try is {clean(chosen)}"))
        return chosen


def run(check: Check, environ: Mapping[str, str], say: Callable[[str], None]) -> Outcome:
    """Carry a check out and return what has come of it; `say` is given each line as soon as it is known.

    Raises:
        MachineError: no process could be started.
    """
    result = _Result(check, say)
    silence = max(check.settings.task_timeout, check.settings.errand_timeout) + _SLACK
    with helper.started(_MODULE, functools.partial(_order, check), environ) as child:
        try:
            for line in child.lines(silence):
                result.take(msgspec.json.decode(line, type=told.Line), child)
        except SilentError as error:
            raise UserError(f"{error}: a step of the recipe never gives control back") from error
        if not result.finished:
            raise UserError(f"the process that runs the recipe ended in the middle ({child.epitaph()})")
    return Outcome(result.code, result.overlooked)


def _order(check: Check, temp_dir: Path, marker: str) -> bytes:
    settings = worker_settings(
        check.settings,
        site=check.site,
        browser=check.browser,
        temp_dir=temp_dir,
        log_file=check.folder / "check.log",
        marker=marker,
        environment={},
    )
    return msgspec.json.encode(
        told.Order(
            worker=msgspec.structs.replace(settings, action_timeout=check.patience),
            folder=str(check.folder),
            task_timeout=check.settings.task_timeout,
            errand_timeout=check.settings.errand_timeout,
            ref=check.ref,
        )
    )


def _code(failure: told.Failure) -> Exit:
    if failure.kind == _LOGIN_REFUSED:
        return Exit.LOGIN_REFUSED
    if failure.kind in _BROWSER and failure.stage == "browser":
        return Exit.MACHINE
    # A selector that finds nothing is the recipe's affair, whatever kind of failure it led to.
    fits = all(mismatch.matches == 1 for mismatch in failure.mismatches)
    return Exit.SOME_FAILED if fits and failure.kind not in _RECIPE else Exit.USAGE


def make_folder(folder: Path) -> Path:
    """Make the folder for what a check brings; return it absolute.

    Raises:
        UserError: there is something already, or it cannot be made.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(os.scandir(folder)):
            raise UserError(f"--output {folder} is not empty; name a folder that is, or one that does not exist yet")
    except OSError as error:
        raise UserError(f"--output {folder} cannot be used: {(error.strerror or str(error)).lower()}") from error
    return folder
