"""What a check is ordered to do and what it tells: plain data, one JSON object a line, shared with the supervisor."""

from typing import Literal

import msgspec

from worker.settings import WorkerSettings

Stage = Literal["browser", "log in", "inventory", "vehicle", "recover"]


class Order(msgspec.Struct, frozen=True):
    """The first line of standard input."""

    worker: WorkerSettings
    folder: str
    """Absolute, exists: documents, evidence and the export go there."""
    task_timeout: float
    """Seconds for the vehicle, as for an attempt of a run."""
    errand_timeout: float
    """Seconds for the login and for the export."""
    ref: str = ""
    """The reference to try; empty for the one that the answer to `Exported` names."""


class Choice(msgspec.Struct, frozen=True):
    """The answer to `Exported`, one line of standard input."""

    ref: str
    """The reference to try; empty when there is none, and the check ends."""


class Told(msgspec.Struct, frozen=True, tag_field="t"):
    """Base of what a check tells. Everything in it is masked, and untrusted: much of it comes from the site."""


class Began(Told, frozen=True, tag=True):
    """A stage begins."""

    stage: Stage


class Browser(Told, frozen=True, tag=True):
    """A browser runs; its main process leads a session of its own."""

    pid: int
    version: str


class StepBegan(Told, frozen=True, tag=True):
    """The recipe says what it does now."""

    name: str


class Waits(Told, frozen=True, tag=True):
    """A call has been waiting for some seconds for what its selector names."""

    call: str
    selector: str


class Called(Told, frozen=True, tag=True):
    """A call with a selector has succeeded."""

    call: str
    selector: str
    matches: int | None
    """Elements that the selector matches; None where the call does not say."""
    seconds: float


class Opened(Told, frozen=True, tag=True):
    """The recipe opened an address."""

    url: str
    status: int
    title: str
    seconds: float
    logged_in: bool
    """It is a page of somebody who is logged in, as the recipe sees it; False for the pages of the login itself."""


class Proof(Told, frozen=True, tag=True):
    """The recipe was asked whether the page belongs to somebody who is logged in, and its answer has changed."""

    logged_in: bool
    url: str
    title: str


class Brought(Told, frozen=True, tag=True):
    """A document is there and was verified."""

    name: str
    url: str
    bytes: int
    pages: int | None
    seconds: float
    format: str = ""
    """By its content, in lower case; empty for none that is known."""
    protected: bool = False


class Saved(Told, frozen=True, tag=True):
    """A file that is no document is there."""

    name: str
    bytes: int
    seconds: float


class Exported(Told, frozen=True, tag=True):
    """The export lies there; answered by a `Choice`."""

    path: str
    column: str
    delimiter: str
    encoding: str


class Passed(Told, frozen=True, tag=True):
    """The stage is over and all is well."""

    stage: Stage
    seconds: float
    documents: int = 0


class Thing(msgspec.Struct, frozen=True):
    """Something that the page does have."""

    selector: str
    """By which it is found."""
    what: str
    """What a person sees: ``link "Export CSV"``."""
    count: int = 1
    """How many there are of the kind."""


class Overlooked(Told, frozen=True, tag=True):
    """The page of the vehicle has links or buttons that look like documents and that the recipe does not use."""

    things: tuple[Thing, ...]


class Mismatch(msgspec.Struct, frozen=True):
    """A selector that did not do, and what comes nearest to it."""

    selector: str
    matches: int | None
    """How many elements it matches; None when it is no selector at all."""
    nearest: tuple[Thing, ...]


class Failure(Told, frozen=True, tag=True):
    """The stage came to nothing."""

    stage: Stage
    kind: str
    message: str
    seconds: float
    url: str = ""
    """Of the page at that moment."""
    title: str = ""
    place: str = ""
    """Where in the recipe: ``lot.py:31``, or a line of the TOML."""
    screenshot: str = ""
    """Path of it, empty when there is none."""
    evidence: str = ""
    """Folder with all that was kept of the failure, empty when nothing was."""
    mismatches: tuple[Mismatch, ...] = ()
    """The selectors that may explain it, the most likely one first."""
    asks_password: bool = False
    """The page has a field for a password."""


class Finished(Told, frozen=True, tag=True):
    """The last line, told when the browser is closed."""


Line = (
    Began
    | Browser
    | StepBegan
    | Waits
    | Called
    | Opened
    | Proof
    | Brought
    | Saved
    | Exported
    | Passed
    | Overlooked
    | Failure
    | Finished
)
