"""Finds the browser, makes sure that it is one, and gets one where there is none.

Search order: what was named (``--browser``, the environment, the settings file), Playwright's own build,
``chromium-headless-shell``, ``chromium``, ``google-chrome``. Playwright itself is not imported: where it keeps its
builds is documented (https://playwright.dev/python/docs/browsers, "Managing browser binaries").
"""

import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from supervisor import external
from supervisor.errors import MachineError, UserError

_VERSION = re.compile(r"(?:Chrom|Edge|Brave|Opera|Vivaldi)[^\n]*?\b(\d+(?:\.\d+){1,3})")
_VERSION_DEADLINE = 20.0
_HEADLESS = ("chromium-headless-shell",)
_FULL = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
_DOWNLOAD_DEADLINE, _DOWNLOAD_SILENCE = 900.0, 60.0
_PACKAGES = ("chromium-headless-shell", "chromium")


class Browser(msgspec.Struct, frozen=True):
    """A browser that answered when it was asked for its version."""

    path: str
    version: str
    source: str
    """Where it was found, for people."""


class NotABrowserError(UserError):
    """The path that was named is not a browser."""


class NoBrowserError(MachineError):
    """There is no browser and none could be got."""


def find(named: str, origin: str, *, headed: bool, environ: Mapping[str, str]) -> Browser | None:
    """Return the first browser of the search order that answers, None when there is none.

    Args:
        named: the path that was given, empty for none.
        origin: where that path came from, for the message.
        headed: windows are wanted, which the headless shell does not have.
        environ: the environment (PATH, PLAYWRIGHT_BROWSERS_PATH, HOME, XDG_CACHE_HOME).

    Raises:
        NotABrowserError: `named` is not one.
    """
    if named:
        return _named(named, origin, environ)
    for path, source in _candidates(headed=headed, environ=environ):
        version = _version(path, environ)
        if isinstance(version, str):
            return Browser(path, version, source)
    return None


def obtain(*, headed: bool, environ: Mapping[str, str], say: Callable[[str], None]) -> Browser:
    """Get a browser onto this machine: Playwright's download, else (as root on Debian or Ubuntu) the package.

    Args:
        headed: a full Chromium is wanted.
        environ: as for `find`.
        say: is told in a sentence what happens; it takes a minute or two.

    Raises:
        NoBrowserError: neither was possible; the sentence says what to do.
    """
    name = "chromium" if headed else "chromium-headless-shell"
    say(f"no browser found: getting Playwright's own build of {name} (about 100 MB)")
    troubles = []
    try:
        # What is half downloaded when it fails, or is killed, lies in the temporary folder: it gets one of its own.
        with tempfile.TemporaryDirectory(prefix="nightfleet-download-") as folder:
            outcome = external.run(
                [sys.executable, "-m", "playwright", "install", name],
                deadline=_DOWNLOAD_DEADLINE,
                silence=_DOWNLOAD_SILENCE,
                environ={**environ, "TMPDIR": folder, "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000"},
            )
    except OSError as error:
        troubles.append(f"Playwright's installer does not start ({error.strerror})")
    else:
        browser = find("", "", headed=headed, environ=environ)
        if browser is not None:
            return browser
        troubles.append(f"Playwright's download failed ({_cause(outcome)})")
    troubles.append(_install_package(headed=headed, environ=environ, say=say))
    browser = find("", "", headed=headed, environ=environ)
    if browser is None:
        raise NoBrowserError(
            f"there is no browser on this machine and none could be got: {'; '.join(filter(None, troubles))}. "
            "Install Chromium and name it with --browser PATH"
        )
    return browser


def _install_package(*, headed: bool, environ: Mapping[str, str], say: Callable[[str], None]) -> str:
    """Install the distribution's package; return what went wrong, empty when nothing did."""
    apt = shutil.which("apt-get", path=environ.get("PATH"))
    if apt is None:
        return "this is no Debian or Ubuntu, whose package could be taken"
    if os.geteuid() != 0:
        return "the system's package can only be installed by root (apt-get install chromium-headless-shell)"
    quiet = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
    last = ""
    say("that did not work: installing the system's package with apt-get")
    for command in [["update"], *(["install", "-y", "--no-install-recommends", name] for name in _PACKAGES)]:
        if headed and command[-1] in _HEADLESS:
            continue
        try:
            outcome = external.run([apt, *command], deadline=_DOWNLOAD_DEADLINE, silence=180.0, environ=quiet)
        except OSError as error:
            return f"apt-get does not start ({error.strerror})"
        if command[0] == "install" and outcome.code == 0:
            return ""
        last = f"apt-get {' '.join(command)} failed ({_cause(outcome)})" if outcome.code != 0 else last
    return last


def _cause(outcome: external.Outcome) -> str:
    if outcome.code is None:
        return "it took too long"
    errors = [line.strip() for line in outcome.output.splitlines() if line.startswith(("E:", "Error:"))]
    return errors[-1][:200] if errors else outcome.last_line


def _named(named: str, origin: str, environ: Mapping[str, str]) -> Browser:
    path = named if os.sep in named else shutil.which(named, path=environ.get("PATH")) or named
    found = _version(path, environ)
    if isinstance(found, _Unfit):
        raise NotABrowserError(f"the browser {named} ({origin}) is not one: {found.reason}")
    return Browser(str(Path(path).absolute()), found, origin)


class _Unfit(msgspec.Struct, frozen=True):
    reason: str


def _version(path: str, environ: Mapping[str, str]) -> str | _Unfit:
    """Ask a program for its version, as only a browser answers it; twice, as a busy machine may spoil one answer."""
    file = Path(path)
    if not file.exists():
        return _Unfit("there is no such file")
    if not file.is_file() or not os.access(file, os.X_OK):
        return _Unfit("it is not a program that can be run")
    found = _ask_version(path, environ)
    return found if isinstance(found, str) else _ask_version(path, environ)


def _ask_version(path: str, environ: Mapping[str, str]) -> str | _Unfit:
    try:
        outcome = external.run([path, "--version"], deadline=_VERSION_DEADLINE, environ=environ)
    except OSError as error:
        return _Unfit(f"it cannot be run ({(error.strerror or str(error)).lower()})")
    found = _VERSION.search(outcome.output)
    if outcome.code == 0 and found:
        return found.group(1)
    if outcome.code is None:
        return _Unfit(f"asked for its version it gave no answer within {_VERSION_DEADLINE:.0f} seconds")
    return _Unfit(f"asked for its version it answered {outcome.last_line!r} (exit code {outcome.code})")


def _candidates(*, headed: bool, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path in _playwright_builds(headed=headed, environ=environ):
        yield str(path), "Playwright's own build"
    for name in (*(() if headed else _HEADLESS), *_FULL):
        found = shutil.which(name, path=environ.get("PATH"))
        if found:
            yield found, f"{name} of this system"


def _playwright_builds(*, headed: bool, environ: Mapping[str, str]) -> list[Path]:
    """Return Playwright's builds that are there: of its own revision first, then newer before older."""
    package = _playwright_package()
    if package is None:
        return []
    place = environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    if place == "0":
        root = package / ".local-browsers"
    elif place:
        root = Path(place)
    else:
        cache = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".cache")
        root = Path(cache) / "ms-playwright"
    try:
        listed = json.loads((package / "browsers.json").read_bytes())["browsers"]
        own = {str(browser["revision"]) for browser in listed if browser["name"].startswith("chromium")}
    except (OSError, ValueError, LookupError, TypeError):
        own = set()  # another layout of the package: the newest build will do
    kinds: list[tuple[str, tuple[str, ...]]] = [("chromium-", ("chrome",))]
    if not headed:
        kinds.insert(0, ("chromium_headless_shell-", ("chrome-headless-shell", "headless_shell")))
    builds = []
    for preference, (prefix, names) in enumerate(kinds):
        for folder in root.glob(f"{prefix}[0-9]*"):
            revision = folder.name.removeprefix(prefix)
            program = next((file for name in names for file in folder.glob(f"*/{name}")), None)
            if program is not None and revision.isdigit():
                builds.append(((revision not in own, preference, -int(revision)), program))
    return [program for _, program in sorted(builds)]


def _playwright_package() -> Path | None:
    specification = importlib.util.find_spec("playwright")
    if specification is None or not specification.submodule_search_locations:
        return None
    return Path(specification.submodule_search_locations[0]) / "driver" / "package"
