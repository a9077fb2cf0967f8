"""Has a website looked at by a browser in a process of its own, for the draft of a recipe."""

import functools
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from supervisor.children import worker_settings
from supervisor.config import Settings
from supervisor.errors import Exit, MachineError, UserError
from supervisor.shell import helper
from worker.sketching import messages as told

_MODULE = "worker.sketching"
_SILENCE = 180.0
"""Seconds: beyond all deadlines that the process has itself."""


class SiteError(UserError):
    """The website cannot be looked at; one sentence says why."""

    exit_code = Exit.SOME_FAILED


def address(text: str) -> str:
    """Return what a person typed as an absolute address; without a scheme it is https.

    Raises:
        UserError: it is none.
    """
    url = text.strip()
    if "://" not in url and url and not url.startswith(("/", ".")):
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise UserError(f"{text!r} is no address of a website: {error}") from error
    if parts.scheme not in {"http", "https"} or not host or port == 0 or any(letter.isspace() for letter in url):
        raise UserError(f"{text!r} is no address of a website; https://lot.example is one")
    if "@" in parts.netloc:
        raise UserError("the address holds a user or a password; leave them out, they do not belong into a recipe")
    return url


def look(url: str, settings: Settings, browser: str, environ: Mapping[str, str]) -> told.Found:
    """Return what there is at `url`, as from `address`, and on the login page behind it.

    Raises:
        SiteError: the site does not answer, or what it answers is no web page.
        MachineError: the browser does not start, or the process ended in the middle.
    """
    with helper.started(_MODULE, functools.partial(_order, url, settings, browser), environ) as child:
        for line in child.lines(_SILENCE):
            match msgspec.json.decode(line, type=told.Line):
                case told.Browser(pid=pid):
                    child.add_session(pid)
                case told.Problem(sentence=sentence, browser=blamed):
                    raise MachineError(sentence) if blamed else SiteError(sentence)
                case told.Found() as found:
                    return found
        raise MachineError(f"the process that looked at the site ended in the middle ({child.epitaph()})")


def _order(url: str, settings: Settings, browser: str, temp_dir: Path, marker: str) -> bytes:
    worker = worker_settings(
        settings,
        site="",
        browser=browser,
        temp_dir=temp_dir,
        log_file=temp_dir / "look.log",
        marker=marker,
        environment={},
    )
    return msgspec.json.encode(told.Order(worker, url))
