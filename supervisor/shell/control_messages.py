"""What is said over the control socket: one JSON object a line, a request and then its one answer.

The socket lies in the run directory and belongs to its owner alone. Its path may be longer than an address of a Unix
socket can be (108 bytes, unix(7)), so both sides reach it through the descriptor of its folder.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from supervisor.fleet_size import MOST

REQUEST_LIMIT = 1_000_000
"""Bytes of a request; many thousand references by name."""
PATIENCE = 30.0
"""Seconds after which a request that takes longer is answered with how far it has come."""

Text = Annotated[str, msgspec.Meta(max_length=4096)]


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    """Base of what may be asked."""


class Ping(_Request, frozen=True, tag="ping"):
    """Is somebody there?"""


class Pause(_Request, frozen=True, tag="pause"):
    """Hand out nothing more; what is in flight is finished."""


class Resume(_Request, frozen=True, tag="resume"):
    """Hand out again."""


class Scale(_Request, frozen=True, tag="scale"):
    """Have so many workers; those too many leave when they have finished what they hold."""

    workers: Annotated[int, msgspec.Meta(ge=1, le=MOST)]


class Stop(_Request, frozen=True, tag="stop"):
    """End the run, resumable; `now` breaks off what is in flight, uncounted."""

    now: bool = False


class Restart(_Request, frozen=True, tag="restart"):
    """Give a slot a fresh worker when it has finished what it holds."""

    slot: Annotated[int, msgspec.Meta(ge=1)]


class Retry(_Request, frozen=True, tag="retry"):
    """Queue failed references again: those named, or all of one kind, or (with neither) all."""

    refs: tuple[Text, ...] = ()
    kind: Text = ""


Request = Ping | Pause | Resume | Scale | Stop | Restart | Retry


class Answer(msgspec.Struct, frozen=True):
    """The one answer to a request."""

    ok: bool
    """False: refused, and nothing was changed."""
    done: bool
    """False with `ok`: under way, and the sentence says how far."""
    sentence: str


@contextlib.contextmanager
def address(socket_file: Path) -> Iterator[str]:
    """Give an address by which the socket can be bound or connected, however long its path is.

    Raises:
        OSError: its folder cannot be opened.
    """
    folder = os.open(socket_file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{socket_file.name}"
    finally:
        os.close(folder)
