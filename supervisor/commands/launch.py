"""From a command line to a plan: every check that can be made before a run starts, the quick ones first."""

import errno
import importlib
import os
import socket
import sys
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from supervisor import chromium, recipes
from supervisor.commands import options
from supervisor.config import Resolved
from supervisor.errors import Exit, MachineError, UserError
from supervisor.plan import Plan
from supervisor.shell import login_memory
from supervisor.shell.run_directory import InUse, RunDirectory
from supervisor.shell.service import Manager
from supervisor.views.status import read_status
from supervisor.views.text import clean, plural

_NIGHT = "supervisor.night"
_PORT_SECONDS = 5.0
"""How long one waits for the port of the status page."""

_REASON_LIMIT = 8_000
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
"""Variables by which a program finds the screen."""


class Request(msgspec.Struct, frozen=True):
    """What a person asked for, beside the settings."""

    site: str
    run_dir: Path
    show: str | None
    refs: Path | None = None
    """A file of references, ``-`` for standard input."""
    column: str | None = None
    refresh: float | None = None
    """Hours after which what was done is done again; None for never."""
    try_login_again: bool = False
    manager: Manager | None = None
    """The service manager, as from `service.adopt`."""


def plan(request: Request, resolved: Resolved, environment: dict[str, str]) -> Plan:
    """Check everything and return the plan.

    Args:
        request: what is asked for.
        resolved: the settings.
        environment: added to the environment of every worker.

    Raises:
        UserError: something cannot be used; one sentence says what.
    """
    environ = {**os.environ, **environment}
    site = recipes.absolute(request.site)
    with recipes.loading(site, options.ROOT, environ) as loading:
        importlib.import_module(_NIGHT)  # meanwhile: everything of a run, which takes as long as the recipe
        recipe = loading.recipe()
    environment = {**environment, **recipes.secrets(recipe, environ)}
    refs = None if request.refs is None else _references(request.refs, request.column)
    directory = RunDirectory(request.run_dir)
    if refs is None and not recipe.exports and not directory.ledger.exists():
        raise recipes.RecipeError(
            f"the recipe {recipe.name} does not say where the references come from: add [references] to it, or name "
            "a file of references with --refs"
        )
    directory.create()
    owner = directory.owner()
    if owner is not None:
        raise InUse(directory.path, owner.pid)
    return Plan(
        credentials=login_memory.credentials(directory, site, recipe.secrets, {**environ, **environment}),
        try_login_again=request.try_login_again,
        own_logins=recipe.own_logins,
        settings=resolved.settings,
        site=site,
        site_name=recipe.name,
        run_dir=directory.path,
        refs=refs,
        refresh=request.refresh,
        browser=browser(resolved, environ).path,
        environment=environment,
        show=options.show(request.show),
        manager=request.manager,
    )


def run(plan: Plan) -> int:
    """Carry a plan out and return the exit code."""
    from supervisor import night  # noqa: PLC0415 - everything of a run is imported here, and only by those who start one

    page = _page_listener(plan.settings.serve)
    if page is not None:
        options.say(f"the status page is at http://127.0.0.1:{page.getsockname()[1]}/ on this machine")
    code = night.run(plan, page)
    seen = read_status(RunDirectory(plan.run_dir).status)
    if code > Exit.SOME_FAILED and seen is not None:
        options.say(clean(seen.run.reason, _REASON_LIMIT))
    return code


def browser(resolved: Resolved, environ: dict[str, str]) -> chromium.Browser:
    """Return the browser to use, which is got first where there is none.

    Raises:
        UserError: what was named is none, there is none and none can be got, or there is no screen for its window.
    """
    settings = resolved.settings
    if settings.headed and not any(environ.get(name) for name in _SCREENS):
        raise MachineError(
            f"a headed browser needs a screen, and there is none: neither {' nor '.join(_SCREENS)} is set"
        )
    found = chromium.find(settings.browser, resolved.origins["browser"], headed=settings.headed, environ=environ)
    if found is None:
        found = chromium.obtain(headed=settings.headed, environ=environ, say=options.say)
        options.say(f"using {found.path}, version {found.version}")
    return found


def _page_listener(port: int) -> socket.socket | None:
    """Return what listens for the status page, on the loopback address alone; None when no page is wanted (-1).

    Raises:
        UserError: the port cannot be had.
    """
    if port < 0:
        return None
    patience = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < patience:
                time.sleep(0.1)  # after a crash the former page may still be about to end; nobody tells when
                continue
            raise UserError(
                f"the status page cannot be served on port {port}: {os.strerror(error.errno or 0).lower()}; "
                "give another --serve PORT, or none for a free one"
            ) from error


def _references(path: Path, column: str | None) -> list[str]:
    from supervisor.shell.references_file import read_references  # noqa: PLC0415 - only where a file is given

    source: BinaryIO | Path = sys.stdin.buffer if str(path) == "-" else path
    found = read_references(source, column=column)
    if found.duplicates:
        name = "standard input" if str(path) == "-" else path
        options.say(f"{plural(found.duplicates, 'line')} of {name} repeat a reference; each reference is done once")
    return found.names
