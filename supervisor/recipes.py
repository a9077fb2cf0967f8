"""Tries a recipe before anything starts, in a process of its own: a recipe is somebody's program."""

import contextlib
import importlib.util
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from supervisor import external
from supervisor.errors import UserError
from supervisor.shell import files
from supervisor.views.text import is_text

_DEADLINE = 60.0
_SERVICE = "nightfleet"


class RecipeError(UserError):
    """The recipe cannot be used; one sentence says why."""


class Recipe(msgspec.Struct, frozen=True):
    """What a recipe says about itself."""

    name: str
    start_url: str
    secrets: tuple[str, ...] = ()
    exports: bool = True
    """It can bring the references itself."""
    own_logins: bool = False
    """Each worker has to log in for itself."""


class _Answer(msgspec.Struct):
    """What ``python -m worker.loading`` prints."""

    ok: bool
    error: str = ""
    name: str = ""
    start_url: str = ""
    secrets: tuple[str, ...] = ()
    exports: bool = True
    own_logins: bool = False


def absolute(site: str) -> str:
    """Return the SITE of a command line with its path made absolute, so that it means the same to every process.

    Raises:
        RecipeError: the path is no text, which neither a ledger nor a message could hold.
    """
    path, colon, name = site.rpartition(":")
    if colon and path.endswith(".py"):
        site = f"{Path(path).expanduser().absolute()}:{name}"
    elif site.endswith((".py", ".toml")):
        site = str(Path(site).expanduser().absolute())
    if not is_text(site):
        raise RecipeError(f"the path {site} is no text in UTF-8, as that of a recipe must be")
    return site


class Loading:
    """A recipe that another process looks at. Made by `loading`."""

    def __init__(self, site: str, running: external.Running) -> None:
        self._site = site
        self._running = running

    def recipe(self) -> Recipe:
        """Return what the recipe says about itself, after it was imported and made once.

        Raises:
            RecipeError: it cannot be used.
        """
        outcome = self._running.outcome()
        # What the recipe itself prints, before or after, is not for us.
        for line in reversed(outcome.output.splitlines()):
            try:
                answer = msgspec.json.decode(line, type=_Answer)
            except msgspec.DecodeError:
                continue
            if not answer.ok:
                raise RecipeError(answer.error)
            return Recipe(answer.name, answer.start_url, answer.secrets, answer.exports, answer.own_logins)
        if outcome.code is None:
            raise RecipeError(f"the recipe {self._site} was not loaded within {_DEADLINE:.0f} seconds")
        raise RecipeError(f"the recipe {self._site} ended the process that loaded it (exit code {outcome.code})")


@contextlib.contextmanager
def loading(site: str, root: Path, environ: Mapping[str, str]) -> Iterator[Loading]:
    """Begin to look at a recipe; whoever is not interested any more may leave the block.

    Args:
        site: as from `absolute`.
        root: folder from which this program is run.
        environ: the environment in which the workers will import it.
    """
    path = os.pathsep.join(filter(None, [str(root), environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "worker.loading", site]
    with external.started(command, deadline=_DEADLINE, environ={**environ, "PYTHONPATH": path}) as running:
        yield Loading(site, running)


def load(site: str, root: Path, environ: Mapping[str, str]) -> Recipe:
    """Return what the recipe says about itself. Arguments are those of `loading`.

    Raises:
        RecipeError: it cannot be used.
    """
    with loading(site, root, environ) as found:
        return found.recipe()


def secrets(recipe: Recipe, environ: Mapping[str, str]) -> dict[str, str]:
    """Check that each secret is there, and return those that only the keyring has, to be handed to the workers.

    A secret is in its variable, in the file that the variable NAME_FILE names, or in the system's keyring under the
    service `nightfleet`, where the package `keyring` is installed. The workers never ask the keyring: it might ask
    back, once for each of them.

    Raises:
        RecipeError: one is missing, or its file cannot be read or can be read by others.
    """
    found = {}
    for name in recipe.secrets:
        if environ.get(name):
            continue
        if file := environ.get(f"{name}_FILE"):
            _check_file(name, file)
        elif value := _from_keyring(name, environ):
            found[name] = value
        else:
            raise RecipeError(
                f"the recipe {recipe.name} needs {name}: set the environment variable {name}, or {name}_FILE to the "
                f"path of a file that holds it and that only you can read, or store it with: keyring set {_SERVICE} "
                f"{name}"
            )
    return found


def _check_file(name: str, file: str) -> None:
    try:
        empty = not files.read(Path(file), 1)
        mode = Path(file).stat().st_mode
    except OSError as error:
        raise RecipeError(
            f"{name}_FILE names {file}, which cannot be read: {(error.strerror or '').lower()}"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise RecipeError(f"{name}_FILE names {file}, which others may read; allow only yourself: chmod 600 {file}")
    if empty:
        raise RecipeError(f"{name}_FILE names {file}, which is empty")


def _from_keyring(name: str, environ: Mapping[str, str]) -> str:
    """Ask the keyring in a process of its own, because it may ask a person, or hang; empty when it has nothing."""
    if importlib.util.find_spec("keyring") is None:
        return ""
    command = [sys.executable, "-m", "keyring", "get", _SERVICE, name]
    try:
        done = subprocess.run(
            command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=_DEADLINE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RecipeError(f"the keyring did not answer within {_DEADLINE:.0f} seconds when asked for {name}") from error
    return done.stdout.decode(errors="replace").removesuffix("\n") if done.returncode == 0 else ""
