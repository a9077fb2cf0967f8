"""Room on the disks: a pause before one is full, and an early word when what is still to come will not fit."""

import os
from collections.abc import Iterator
from pathlib import Path

from supervisor.core.events import PauseRequested, ResumeRequested
from supervisor.shell.machine_watch import room
from supervisor.views.status import Snapshot
from supervisor.views.text import size

_ENOUGH = 1.25
"""A pause ends when this many times the reserve is free, so that it does not flap."""
_INODES = 2_000
"""Files that must still find a place: a browser's profile takes some hundreds, a reference a handful."""
_SHARE = 10
"""Of a small file system for temporary files no more than this part is kept free; of any one's files neither."""
_SAMPLE = 20
"""References that must be completed before their size says something about the others."""


class Space:
    """Looks at the file system of the run directory, and at that of temporary files where it is another one.

    Args:
        folder: the run directory.
        temp: where browsers keep their profiles and what they download.
        reserve: bytes to be kept free.
    """

    def __init__(self, folder: Path, temp: Path, reserve: int) -> None:
        self._folders = {"the disk": folder, "the disk of temporary files": temp}
        self._reserve = reserve
        self._warned = False

    def look(self) -> PauseRequested | ResumeRequested | None:
        """Return the pause that is due, or its end; None between the two, and while a disk cannot be asked."""
        enough, devices = True, set[int]()
        for name, folder in self._folders.items():
            try:
                device, found = os.stat(folder).st_dev, room(folder)  # noqa: PTH116 - beside statvfs
            except OSError:
                return None  # whoever writes next says what is wrong with it
            if device in devices:
                continue
            devices.add(device)
            kept = self._reserve if name == "the disk" else min(self._reserve, found.total // _SHARE)
            if found.free < kept:
                return PauseRequested("disk", f"{size(found.free)} are free on {name}, {size(kept)} are kept free")
            inodes = min(_INODES, found.all_inodes // _SHARE) if self._reserve else 0
            if found.inodes < inodes:
                return PauseRequested("disk", f"only {found.inodes} more files fit on {name}, {inodes} are kept free")
            enough &= found.free >= kept * _ENOUGH
            enough &= found.inodes >= inodes * _ENOUGH
        # Said each time: a document that met a full disk pauses the run as well.
        return ResumeRequested("disk") if enough else None

    def foresee(self, seen: Snapshot) -> Iterator[str]:
        """Yield a sentence when what is still to come does not fit any more, and another when it does again."""
        totals = seen.totals
        left = totals.total - totals.finished
        if totals.completed < _SAMPLE:
            return
        coming = seen.metrics.bytes * left // totals.completed
        try:
            free = max(room(self._folders["the disk"]).free - self._reserve, 0)
        except OSError:
            return  # as in `look`
        if coming > free and not self._warned:
            self._warned = True
            yield (
                f"about {size(coming)} of documents are still to come, and {size(free)} fit on the disk beside the"
                f" reserve: the run will pause before it is done"
            )
        elif self._warned and coming * _ENOUGH < free:
            self._warned = False
            yield f"the disk has room again for the {size(coming)} of documents that are still to come"
