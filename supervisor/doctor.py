"""Can this machine do the job? Each check says what was found and, where it falls short, what helps."""

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from supervisor import chromium, external, host, long_run, recipes
from supervisor.check_result import Check, Level
from supervisor.config import Resolved
from supervisor.errors import UserError
from supervisor.shell.machine_watch import MachineWatch
from supervisor.views.text import clean, number, size

_WORKER_MEMORY = 400_000_000
"""Bytes of a worker with its driver and browser on ordinary pages."""
_PYTHON = (3, 11)
_LAUNCH_DEADLINE = 30.0
_REACH_DEADLINE = 10.0
_FAILS_BELOW, _WARNS_BELOW = 200_000_000, 2_000_000_000
"""Bytes free in a folder."""
_LONGEST_TEMP = 60
"""Characters: a browser's sockets lie below, and Linux ends their paths at 107."""
_PAGE = "data:text/html,<p id=nightfleet>ready</p>"
_EARLIEST = 1_700_000_000
"""November 2023: a clock before that was never set."""


def examine(resolved: Resolved, run_dir: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks of the machine one by one; the browser's take a second or two.

    Args:
        resolved: the settings of the run that is meant (workers, browser, headed).
        run_dir: where it is to write; need not exist.
        environ: the environment.
    """
    yield _python()
    yield from _browser(resolved, environ)
    yield _descriptors()
    yield _memory(resolved.settings.num_workers.least)
    yield _shared_memory()
    temp = Path(tempfile.gettempdir())
    yield _space("temporary files", temp)
    if len(str(temp)) > _LONGEST_TEMP:
        yield Check("temporary path", "warning", f"{temp} is long", "set TMPDIR to a shorter path")
    yield _space("run directory", run_dir)
    yield from long_run.expected(run_dir, resolved.settings.disk_reserve)
    yield _clock()
    yield from long_run.examine(Path("/"), environ, resolved.settings.num_workers.most)


def examine_site(site: str, root: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks of one site: its recipe, its secrets, and whether its server can be reached."""
    spec = recipes.absolute(site)
    try:
        recipe = recipes.load(spec, root, environ)
    except UserError as error:
        yield Check("recipe", "failed", str(error))
        return
    yield Check("recipe", "ok", f"{clean(recipe.name)}, {clean(recipe.start_url)}")
    try:
        recipes.secrets(recipe, environ)
    except UserError as error:
        yield Check("secrets", "failed", str(error))
    else:
        yield Check("secrets", "ok", ", ".join(recipe.secrets) or "none needed")
    yield _reach(recipe.start_url)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _PYTHON:
        return Check("python", "failed", found, "Python 3.11 or later is needed")
    return Check("python", "ok", found)


def _browser(resolved: Resolved, environ: Mapping[str, str]) -> Iterator[Check]:
    settings = resolved.settings
    try:
        browser = chromium.find(settings.browser, resolved.origins["browser"], headed=settings.headed, environ=environ)
    except UserError as error:
        yield Check("browser", "failed", str(error))
        return
    if browser is None:
        yield Check("browser", "failed", "none found", "start gets one by itself; or name one with --browser PATH")
        return
    yield Check("browser", "ok", f"{browser.path}, version {browser.version} ({browser.source})")
    root = os.geteuid() == 0
    sandboxed = not root and _launches(browser.path, [], environ) is None
    trouble = None if sandboxed else _launches(browser.path, ["--no-sandbox"], environ)
    if trouble is not None:
        yield Check("browser starts", "failed", trouble, "start it by hand to see why; often a library is missing")
        return
    yield Check("browser starts", "ok", "it showed a page")
    if sandboxed:
        yield Check("sandbox", "ok", "on")
    else:
        why = "this is root" if root else "the system forbids user namespaces"
        yield Check("sandbox", "warning", f"off: {why}", "run as an ordinary user where the site is not to be trusted")


def _launches(path: str, flags: list[str], environ: Mapping[str, str]) -> str | None:
    """Show a page; return what went wrong, None when nothing did."""
    with tempfile.TemporaryDirectory(prefix="nightfleet-doctor-", ignore_cleanup_errors=True) as profile:
        command = [path, "--headless", "--disable-gpu", "--disable-dev-shm-usage", *flags]
        command += [f"--user-data-dir={profile}", "--dump-dom", _PAGE]
        try:
            outcome = external.run(command, deadline=_LAUNCH_DEADLINE, environ=environ)
        except OSError as error:
            return str(error)
    if "ready</p>" in outcome.output:
        return None
    if outcome.code is None:
        return f"it showed no page within {_LAUNCH_DEADLINE:.0f} seconds"
    return f"it ended with exit code {outcome.code}: {clean(outcome.last_line)}"


def _descriptors() -> Check:
    soft, hard = host.descriptor_limits()
    unlimited = hard < 0
    found = f"{number(soft)}, can be raised to {'any number' if unlimited else number(hard)}"
    if not unlimited and hard < host.DESCRIPTORS_NEEDED:
        advice = f"at least {number(host.DESCRIPTORS_NEEDED)} are needed: ulimit -Hn, or LimitNOFILE= of the service"
        return Check("open files", "failed", found, advice)
    return Check("open files", "ok", found)


def _memory(workers: int) -> Check:
    available, needed = MachineWatch().memory() or 0, workers * _WORKER_MEMORY
    found = f"{size(available)} free for {workers} workers, which take about {size(needed)}"
    if available < _WORKER_MEMORY:
        return Check("memory", "failed", found, "not even one worker fits")
    if available < needed:
        return Check("memory", "warning", found, f"--workers {available // _WORKER_MEMORY} would fit")
    return Check("memory", "ok", found)


def _shared_memory() -> Check:
    """Say how much there is, which is little in a container, and that it matters to no browser as workers start it."""
    folder = Path("/dev/shm")  # noqa: S108 - the folder itself is what is looked at
    room = (
        f"{size(shutil.disk_usage(folder).free)} are free in {folder}" if folder.is_dir() else f"there is no {folder}"
    )
    return Check("shared memory", "ok", f"{room}; browsers are started so that they use none of it")


def _space(name: str, folder: Path) -> Check:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check(name, "failed", f"{place} cannot be written", "choose another folder")
    free = shutil.disk_usage(place).free
    level: Level = "failed" if free < _FAILS_BELOW else "warning" if free < _WARNS_BELOW else "ok"
    advice = "" if level == "ok" else "a run pauses when the disk is full"
    return Check(name, level, f"{size(free)} free in {place}", advice)


def _clock() -> Check:
    if time.time() < _EARLIEST:
        return Check("clock", "failed", time.strftime("it says %Y-%m-%d", time.gmtime()), "set it")
    kept = host.clock_is_kept()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if kept is False:
        return Check(
            "clock",
            "warning",
            f"{now}, kept right by nothing",
            "times in records, --finish-by and --quiet-hours go by it",
        )
    return Check("clock", "ok", now if kept is None else f"{now}, kept right")


def _reach(url: str) -> Check:
    try:
        parts = urlsplit(url)
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        with socket.create_connection(address, _REACH_DEADLINE):
            return Check("site", "ok", f"{address[0]}:{address[1]} can be reached")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Check("site", "failed", f"{clean(url)} cannot be reached: {reason}", "network, proxy, or a typing error")
