"""The commands that read a run directory, called in this process, as somebody who is not root."""

import contextlib
import ctypes
import io
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import msgspec
import pytest

from supervisor import cli, night
from supervisor.config import Settings
from supervisor.core.commands import Finish
from supervisor.errors import UserError
from supervisor.plan import Plan
from supervisor.shell import login_memory
from supervisor.shell.inbox import Signals
from supervisor.shell.run_directory import RunDirectory

_LIBC = ctypes.CDLL(None, use_errno=True)
_VERSION = 0x20080522  # <linux/capability.h>
_OVERRIDES = 0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
PATIENCE = 60
"""Seconds; a command that needs longer hangs."""
LOOKING = (
    ("status",),
    ("status", "--json"),
    ("verify",),
    ("explain",),
    ("explain", "--json"),
    ("explain", "A-1"),
    ("explain", "F"),
    ("explain", "F", "--json"),
    ("explain", "nobody"),
    ("logs",),
    ("logs", "--ref", "F", "--level", "WARNING"),
    ("stop",),
    ("pause",),
)
"""They change nothing."""
DOING = (("report",), ("retry", "--failed"), ("retry", "P"), ("verify", "--repair"))


class Answer(msgspec.Struct, frozen=True):
    """What a person sees."""

    code: int
    output: str
    complaint: str


class Hangs(BaseException):
    """A command did not come back."""


def call(path: Path, *words: str) -> Answer:
    """Carry out a command on a run directory.

    Raises:
        AssertionError: it ended by an exception that is none of those for people.
    """
    command, *rest = words
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)  # as strict as a terminal's
    complaint = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    with as_anybody(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(complaint):
        code = cli.main([command, str(path), *rest])
    texts = [stream.buffer.getvalue().decode() for stream in (output, complaint)]
    return Answer(code, *texts)


def start(path: Path) -> Answer:
    """Begin a run as `start` does, up to the moment at which the first worker would be started."""
    complaint = io.StringIO()  # loguru, too, complains there
    with as_anybody(), contextlib.redirect_stderr(complaint):
        directory = RunDirectory(path)
        try:
            directory.create()
            tried = login_memory.credentials(directory, "lot", (), {})
            plan = Plan(Settings(), "lot", "", path, None, None, "", {}, "quiet", tried)
            return Answer(night.run(plan), "", complaint.getvalue())
        except UserError as error:
            sentence, code = cli._verdict(error)
            return Answer(code, "", f"{complaint.getvalue()}{sentence}\n")


def up_to_the_first_worker(one: night._Night, _signals: Signals) -> Finish:
    """Stand in for the work of a night: what is read before it begins, and nothing else."""
    backlog = one._ledger.backlog(0.0)
    night._metrics(one._directory)
    return Finish(3, f"{len(backlog.entries)} references would be handed out")


@contextlib.contextmanager
def as_anybody() -> Iterator[None]:
    """Let permissions count, also where the tests run as root; and do not wait for ever."""
    former = signal.signal(signal.SIGALRM, _ring)
    signal.alarm(PATIENCE)
    powers = _powers()
    _take_powers((powers[0] & ~_OVERRIDES, *powers[1:]))
    try:
        yield
    finally:
        _take_powers(powers)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def _powers() -> tuple[int, ...]:
    """Return the capabilities of this thread, as capget(2) does: effective, permitted, inheritable, twice."""
    data = (ctypes.c_uint32 * 6)()
    if _LIBC.capget((ctypes.c_uint32 * 2)(_VERSION, 0), data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    return tuple(data)


def _take_powers(powers: tuple[int, ...]) -> None:
    if _LIBC.capset((ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)(*powers)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _ring(_number: int, _frame: FrameType | None) -> None:
    raise Hangs


def raise_what_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an exception that is told as an error of the program fail the test."""

    def fail(error: BaseException) -> str:
        raise AssertionError(f"an error of the program: {error!r}") from error

    monkeypatch.setattr(cli, "_crash_sentence", fail)
    monkeypatch.setattr(night, "_prepare_process", lambda: None)  # it concerns the whole process, which is the tests'
    monkeypatch.setattr(night._Night, "_work", up_to_the_first_worker)
