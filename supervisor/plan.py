"""What a run was asked to do, resolved and checked: everything that `night.run` needs to begin."""

from pathlib import Path
from typing import Literal

import msgspec

from supervisor.config import Settings
from supervisor.shell.login_memory import Credentials
from supervisor.shell.service import Manager

Show = Literal["live", "plain", "quiet"]
"""How the run shows itself: redrawn in place on a terminal, one line now and then, or not at all."""


class Plan(msgspec.Struct, frozen=True):
    """One run. The browser answers, the recipe loads and its secrets are there: the command line has checked that."""

    settings: Settings
    site: str
    """``demo``, ``/abs/path/site.toml`` or ``/abs/path/file.py:ClassName``."""
    site_name: str
    """As the recipe names itself."""
    run_dir: Path
    """Absolute; need not exist."""
    refs: list[str] | None
    """References that were given; None to have the site export its inventory."""
    refresh: float | None
    """Hours after which what was done is done again; None for never."""
    browser: str
    """Path of a browser that was seen to answer."""
    environment: dict[str, str]
    """Added to the environment of every worker."""
    show: Show
    credentials: Credentials
    """What the login is tried with, unreadable."""
    try_login_again: bool = False
    """Also when the site refused it before."""
    own_logins: bool = False
    """Each worker logs in for itself."""
    manager: Manager | None = None
    """The service manager that started us and wants to be told how it goes."""
