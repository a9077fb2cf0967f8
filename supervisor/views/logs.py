"""The log files of a run as one stream in the order of time, and on from there as they grow.

A line begins with its time: ``2026-11-24T22:10:59.123Z LEVEL worker=1 ref=A-1001 attempt=17 message``, or is a JSON
object with the keys ``time``, ``level``, ``worker`` and ``ref``. A line without a time (a traceback) belongs to the
line before it, and is shown or left out with it.
"""

import contextlib
import heapq
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from supervisor.views.text import clean

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""From the least to the most important."""

_HEAD = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z?(?: (?P<level>[A-Z]+)\b)?(?: supervisor)?"
    r"(?: worker=(?P<worker>\d+))?(?: ref=(?P<ref>\"(?:[^\"\\]|\\.)*\"|\S+))?"
)
"""What a line begins with; a reference that is not one plain word is written as a JSON string."""
_JSON_TIME = re.compile(rb'"time"\s*:\s*"([^"]{10,40})"')
_LINE_LIMIT = 65_536
"""Bytes of one line that are read at once; the rest of a longer one counts as the next line."""
_SHOWN = 4_000
_TIME_WIDTH = 26
"""Digits of a time in microseconds; shorter ones are filled up, so that they compare as text."""
_ROTATED = re.compile(r"\.\d{4}(-\d\d){2}_\d\d(-\d\d){2}_\d{6}\b")
"""In the name of a file that loguru has put aside: worker-1.2026-11-24_22-10-59_123456.log."""
_WORKER_FILE = re.compile(r"worker-(\d+)\b")


class Head(msgspec.Struct, frozen=True):
    """What a line says about itself."""

    time: str
    level: str = ""
    worker: int = 0
    """0 where the line is about no worker in particular."""
    ref: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """Which lines are wanted; everything that is None does not matter."""

    worker: int | None = None
    """Lines that this worker wrote, or that the supervisor wrote about it."""
    ref: str | None = None
    """Lines about an attempt at this reference."""
    level: str | None = None
    """Lines of this level, one of `LEVELS`, or a more important one."""

    def takes(self, head: Head) -> bool:
        """Say whether a line that begins like this is wanted."""
        if self.worker is not None and head.worker != self.worker:
            return False
        if self.ref is not None and head.ref != self.ref:
            return False
        return self.level is None or (head.level in LEVELS and LEVELS.index(head.level) >= LEVELS.index(self.level))


def merged(folder: Path, wanted: Wanted) -> Iterator[str]:
    """Yield the wanted lines of the folder's log files, oldest first, made harmless for a terminal.

    Args:
        folder: the run's ``logs``.
        wanted: which lines.
    """
    streams = [_entries(path, order, wanted) for order, path in enumerate(_files(folder, wanted))]
    for _, _, lines in heapq.merge(*streams):
        yield from lines


def follow(folder: Path, wait: Callable[[], bool], wanted: Wanted) -> Iterator[str]:
    """Yield the wanted lines that are added from now on, through rotations; those of one round in the order of time.

    Args:
        folder: the run's ``logs``.
        wait: waits a moment and says whether to go on.
        wanted: which lines.
    """
    tails: dict[Path, _Tail] = {}
    first = True
    while True:
        for path in _files(folder, wanted):
            if not _ROTATED.search(path.name) and path not in tails:
                tails[path] = _Tail(path, wanted, from_end=first)
        first = False
        # A line is in its file at once, but another process's earlier one may come a round later.
        fresh = [found for order, tail in enumerate(tails.values()) for found in tail.entries(order)]
        for _, _, lines in sorted(fresh, key=lambda entry: entry[0]):
            yield from lines
        if not wait():
            return


class _Tail:
    """Reads what is added to one file; after a rotation the old file is read to its end before the new one."""

    def __init__(self, path: Path, wanted: Wanted, *, from_end: bool) -> None:
        self._path = path
        self._sieve = _Sieve(path, wanted)
        self._file: BinaryIO | None = None
        self._open(from_end=from_end)

    def _open(self, *, from_end: bool) -> None:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self._file = None  # between the two steps of a rotation
            return
        if from_end:
            self._file.seek(0, os.SEEK_END)

    def entries(self, order: int) -> Iterator[tuple[str, int, list[str]]]:
        for line in self._lines():
            if self._sieve.takes(line):
                yield self._sieve.time, order, [_shown(line)]

    def _lines(self) -> Iterator[bytes]:
        while True:
            if self._file is None:
                self._open(from_end=False)
            if self._file is None:
                return
            here = self._file.tell()
            while line := self._file.readline(_LINE_LIMIT):
                if not line.endswith(b"\n") and len(line) < _LINE_LIMIT:
                    self._file.seek(here)  # half a line: its end is still to be written
                    break
                here = self._file.tell()
                yield line
            if not self._was_replaced():
                return
            self._file.close()
            self._file = None

    def _was_replaced(self) -> bool:
        assert self._file is not None  # noqa: S101 - only asked while it is open; for the type checker
        ours = os.fstat(self._file.fileno())
        try:
            present = self._path.stat()
        except FileNotFoundError:
            return False
        return (present.st_dev, present.st_ino) != (ours.st_dev, ours.st_ino)


class _Sieve:
    """Decides line by line of one file; what has no head of its own shares the fate of the line before it."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self._wanted = wanted
        match = _WORKER_FILE.match(path.stem)
        self._worker = int(match[1]) if match else 0
        self._open = wanted == Wanted()
        self.time = ""
        """Of the last line that had one. Within a file the order stands, even where the wall clock was set back."""
        self.is_head = False
        """The last line had a time."""

    def takes(self, line: bytes) -> bool:
        head = head_of(line)
        self.is_head = head is not None
        if head is not None:
            self.time = max(head.time, self.time)
            if self._worker and not head.worker:
                head = msgspec.structs.replace(head, worker=self._worker)
            self._open = self._wanted.takes(head)
        return self._open


def _files(folder: Path, wanted: Wanted) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == ".log" and path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []
    if wanted.worker is None:
        return found
    # The supervisor writes about every worker, another worker only about itself.
    matches = [(path, _WORKER_FILE.match(path.stem)) for path in found]
    return [path for path, match in matches if match is None or int(match[1]) == wanted.worker]


def _entries(path: Path, order: int, wanted: Wanted) -> Iterator[tuple[str, int, list[str]]]:
    """Yield (time, order, lines) of one file: a line with a time together with the lines without one after it."""
    sieve = _Sieve(path, wanted)
    time, lines = "", list[str]()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return  # retention removed it after it was listed
    with file:
        while line := file.readline(_LINE_LIMIT):
            takes = sieve.takes(line)
            if sieve.is_head:
                if lines:
                    yield time, order, lines
                time, lines = sieve.time, []
            if takes:
                lines.append(_shown(line))
            if len(lines) >= 1000:  # noqa: PLR2004 - a file without any times must not be held in memory
                yield time, order, lines
                lines = []
    if lines:
        yield time, order, lines


def head_of(line: bytes) -> Head | None:
    """Return what a line says about itself, None for one that belongs to the line before it."""
    if line.startswith(b"{"):
        return _json_head(line)
    match = _HEAD.match(line[:_SHOWN].decode(errors="replace"))
    if match is None:
        return None
    return Head(_wide(match["time"]), match["level"] or "", int(match["worker"] or 0), _name(match["ref"] or ""))


def _name(word: str) -> str:
    if word.startswith('"'):
        with contextlib.suppress(ValueError):  # it only looked like one
            return str(json.loads(word))
    return word


def _json_head(line: bytes) -> Head | None:
    with contextlib.suppress(ValueError, RecursionError):  # cut off or damaged: its time may be there all the same
        fields = json.loads(line)
        time, worker = fields.get("time"), fields.get("worker")
        if isinstance(time, str):
            number = worker if isinstance(worker, int) else 0
            return Head(_wide(time), str(fields.get("level") or ""), number, str(fields.get("ref") or ""))
    match = _JSON_TIME.search(line[:_SHOWN])
    return Head(_wide(match[1].decode(errors="replace"))) if match else None


def _wide(time: str) -> str:
    return time.rstrip("Z").ljust(_TIME_WIDTH, "0")


def _shown(line: bytes) -> str:
    text = line.rstrip(b"\r\n").decode(errors="replace")
    if text.startswith("{"):
        try:
            # A JSON line is for machines: it stays one, with what could move a cursor escaped.
            return json.dumps(json.loads(text))
        except ValueError:
            pass  # cut off or damaged: shown as any other text
    return clean(text.replace("\t", "    "), _SHOWN)
