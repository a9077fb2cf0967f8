"""The log files of a run as one stream in the order of time, and on from there as they grow.

A line begins with its time: ``2026-11-24T22:10:59.123Z LEVEL worker=1 ref=A-1001 attempt=17 message``, or is a JSON
object with the key ``time``. A line without one (a traceback) belongs to the line before it.
"""

import heapq
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from supervisor.views.text import clean

_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?")
_JSON_TIME = re.compile(rb'"time"\s*:\s*"([^"]{10,40})"')
_LINE_LIMIT = 65_536
"""Bytes of one line that are read at once; the rest of a longer one counts as the next line."""
_SHOWN = 4_000
_WORKER_FILE = re.compile(r"worker-(\d+)\b")


def merged(folder: Path, worker: int | None = None) -> Iterator[str]:
    """Yield every line of the folder's log files, oldest first, made harmless for a terminal.

    Args:
        folder: the run's ``logs``.
        worker: only this worker's files; None for all of them and the supervisor's.
    """
    streams = [_entries(path, order) for order, path in enumerate(_files(folder, worker))]
    for _, _, lines in heapq.merge(*streams):
        yield from lines


def follow(folder: Path, wait: Callable[[], bool], worker: int | None = None) -> Iterator[str]:
    """Yield the lines that are added from now on, file by file, through rotations.

    Args:
        folder: the run's ``logs``.
        wait: waits a moment and says whether to go on.
        worker: as for `merged`.
    """
    tails: dict[Path, _Tail] = {}
    first = True
    while True:
        for path in _files(folder, worker):
            if not _is_rotated(path) and path not in tails:
                tails[path] = _Tail(path, from_end=first)
        first = False
        for tail in tails.values():
            yield from tail.lines()
        if not wait():
            return


class _Tail:
    """Reads what is added to one file; after a rotation the old file is read to its end before the new one."""

    def __init__(self, path: Path, *, from_end: bool) -> None:
        self._path = path
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

    def lines(self) -> Iterator[str]:
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
                yield _shown(line)
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


def _is_rotated(path: Path) -> bool:
    # loguru puts a file aside as worker-1.2026-11-24_22-10-59_123456.log
    return path.stem not in {"supervisor", "clerk", "demo-site"} and not re.fullmatch(r"worker-\d+", path.stem)


def _files(folder: Path, worker: int | None) -> list[Path]:
    try:
        found = sorted(path for path in folder.glob("*.log") if path.is_file())
    except FileNotFoundError:
        return []
    if worker is None:
        return found
    return [path for path in found if (match := _WORKER_FILE.match(path.stem)) and int(match[1]) == worker]


def _entries(path: Path, order: int) -> Iterator[tuple[str, int, list[str]]]:
    """Yield (time, order, lines) of one file: a line with a time together with the lines without one after it."""
    time, lines = "", list[str]()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return  # retention removed it after it was listed
    with file:
        while line := file.readline(_LINE_LIMIT):
            own = _time(line)
            if own is not None:
                if lines:
                    yield time, order, lines
                # Within a file the order of lines stands, even where the wall clock was set back.
                time, lines = max(own, time), []
            lines.append(_shown(line))
            if len(lines) >= 1000:  # noqa: PLR2004 - a file without any times must not be held in memory
                yield time, order, lines
                lines = []
    if lines:
        yield time, order, lines


def _time(line: bytes) -> str | None:
    match = _JSON_TIME.search(line[:4096]) if line.startswith(b"{") else _TIME.match(line)
    return match[match.re.groups].decode(errors="replace").rstrip("Z").ljust(26, "0") if match else None


def _shown(line: bytes) -> str:
    text = line.rstrip(b"\r\n").decode(errors="replace")
    if text.startswith("{"):
        try:
            # A JSON line is for machines: it stays one, with what could move a cursor escaped.
            return json.dumps(json.loads(text))
        except ValueError:
            pass  # cut off or damaged: shown as any other text
    return clean(text.replace("\t", "    "), _SHOWN)
