"""What the look at a website is ordered to do and what it tells: one JSON object a line, shared with the supervisor."""

import msgspec

from worker.settings import WorkerSettings


class Order(msgspec.Struct, frozen=True):
    """The first line of standard input."""

    worker: WorkerSettings
    url: str


class Control(msgspec.Struct, frozen=True):
    """A field, a button or a link, as the page describes it: untrusted."""

    selector: str
    """CSS; matches this element alone."""
    label: str = ""
    """What a person reads on it or beside it."""
    href: str = ""
    """Absolute, of a link."""
    kind: str = ""
    """``text``, ``email``, ``password``, ``checkbox``, ``select``, ``link``, ``button`` …"""


class LoginForm(msgspec.Struct, frozen=True):
    """The form that asks for a password."""

    url: str
    title: str
    password: Control
    user: Control | None = None
    submit: Control | None = None
    others: tuple[Control, ...] = ()
    """Further fields that a person sees in it."""
    opener: Control | None = None
    """What had to be clicked on the page before the form showed; None when it was there at once."""
    captcha: bool = False
    """There is a puzzle for people beside it."""


class Told(msgspec.Struct, frozen=True, tag_field="t"):
    """Base of what is told."""


class Browser(Told, frozen=True, tag=True):
    """A browser runs; its main process leads a session of its own."""

    pid: int


class Problem(Told, frozen=True, tag=True):
    """There is nothing to be found; one sentence says why."""

    sentence: str
    browser: bool = False
    """The browser is to blame, and not the site."""


class Found(Told, frozen=True, tag=True):
    """What there is."""

    asked: str
    """The address that was given."""
    url: str
    """Where the address that was given led to, without the login."""
    title: str
    login: LoginForm | None
    exports: tuple[Control, ...] = ()
    """What may start an export of the inventory."""
    ways_out: tuple[Control, ...] = ()
    """What is called log out: a proof of being logged in."""
    lists: tuple[Control, ...] = ()
    """Links that may lead to the inventory."""
    basic: bool = False
    """The site asks for user and password by HTTP itself, and not with a form."""


Line = Browser | Problem | Found
