"""The evidence of a whole run is bounded, in attempts and in bytes: what tells least goes first.

Thinning an attempt leaves its error.txt, cut to its beginning, with a line that says so; screenshot, page and the rest
go. First go those of references that were completed after all, then earlier attempts at the others, and last of all
the last attempt at a reference that is not completed. Within each of these the commonest kind of failure goes first,
because its other cases tell the same, and of a kind the oldest.
"""

import contextlib
import re
import threading
from collections import defaultdict, deque
from pathlib import Path

import msgspec

from supervisor.shell import files
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.run_directory import RunDirectory

_HEADLINE = re.compile(rb"attempt (\d+) \(number \d+\): ([a-z_]+)")
"""Of an error.txt, as the publisher writes it."""
_TEXT_KEPT = 4096
"""Bytes of error.txt that stay."""
_NOTE = b"\n(the rest was removed to keep within evidence_limit and evidence_bytes)\n"
_SHARE = 0.9
"""Down to so much of the limits, so that it is not done again for every attempt."""


class Evidence(msgspec.Struct, frozen=True):
    """What was kept of one attempt, unless it was thinned already."""

    folder: Path
    kind: str
    attempt: int
    """Its id; 0 where it is not known."""
    bytes: int
    modified: float


class EvidenceLimits:
    """Called in the store's threads, after the evidence of an attempt was put in its place."""

    def __init__(self, directory: RunDirectory, attempts: int, size: int) -> None:
        """Keep the evidence of so many attempts at most, and so many bytes."""
        self._directory = directory
        self._attempts = attempts
        self._bytes = size
        self._lock = threading.Lock()
        self._count: int | None = None
        self._size = 0

    def added(self, folder: Path) -> int:
        """Count what was put into `folder`; thin when it is too much. Returns how many attempts were thinned.

        Raises:
            OSError: something could not be looked at or removed.
            LedgerError: the ledger cannot be read.
        """
        with self._lock:
            if self._count is None:
                found = self._survey()
                self._count, self._size = len(found), sum(one.bytes for one in found)
            elif (one := _look(folder)) is not None:
                self._count, self._size = self._count + 1, self._size + one.bytes
            if self._count <= self._attempts and self._size <= self._bytes:
                return 0
            return self._thin()

    def _thin(self) -> int:
        found = self._survey()
        count, size, thinned = len(found), sum(one.bytes for one in found), 0
        for one in self._by_worth(found):
            if count <= self._attempts * _SHARE and size <= self._bytes * _SHARE:
                break
            _thin(one.folder)
            thinned, count, size = thinned + 1, count - 1, size - one.bytes
        self._count, self._size = count, size
        return thinned

    def _survey(self) -> list[Evidence]:
        """Return the evidence that there is in full, the oldest first."""
        references = [path for path in self._directory.failures.iterdir() if path.is_dir()]
        folders = [folder for reference in references for folder in reference.iterdir() if folder.is_dir()]
        found = [one for folder in folders if (one := _look(folder)) is not None]
        return sorted(found, key=lambda one: one.modified)

    def _by_worth(self, found: list[Evidence]) -> list[Evidence]:
        """Return them in the order in which they may go."""
        with LedgerReader(self._directory.ledger) as reader:
            standing = {row.folder: (row.state, row.attempt) for row in reader.references()}
        ranks: dict[int, dict[str, deque[Evidence]]] = defaultdict(lambda: defaultdict(deque))
        for one in found:
            state, last = standing.get(one.folder.parent.name, ("", one.attempt))
            rank = 0 if state == "completed" else 2 if one.attempt == last else 1
            ranks[rank][one.kind].append(one)
        ordered = []
        for _, kinds in sorted(ranks.items()):
            while kinds:
                commonest = max(kinds, key=lambda kind: (len(kinds[kind]), kind))
                ordered.append(kinds[commonest].popleft())
                if not kinds[commonest]:
                    del kinds[commonest]
        return ordered


def _look(folder: Path) -> Evidence | None:
    """Return what a folder holds; None where that is no more than error.txt."""
    stats = {}
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # somebody tidies up, or puts a text into its place
            stats[path.name] = path.stat(follow_symlinks=False)
    if not stats.keys() - {"error.txt"}:
        return None
    try:
        match = _HEADLINE.match(files.read(folder / "error.txt", 200))
    except OSError:
        match = None  # somebody removed it, or put something else there
    kind, attempt = (match[2].decode(), int(match[1])) if match else ("", 0)
    size, modified = sum(one.st_size for one in stats.values()), max(one.st_mtime for one in stats.values())
    return Evidence(folder, kind, attempt, size, modified)


def _thin(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "error.txt":
            path.unlink()
    try:
        with (folder / "error.txt").open("r+b") as file:
            text = file.read(_TEXT_KEPT)
            file.truncate(len(text))
            file.seek(0, 2)
            file.write(_NOTE)
    except FileNotFoundError:
        return  # somebody removed it by hand
