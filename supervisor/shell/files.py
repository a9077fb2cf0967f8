"""Reading files that may not be what they were: what lies in a run directory lies where people can reach it.

Standard library alone, because the guardian uses it without site-packages.
"""

import errno
import os
import stat
from pathlib import Path


def read(path: Path, limit: int) -> bytes:
    """Return the first `limit` bytes of an ordinary file; a link is followed, a pipe is not waited for.

    Raises:
        OSError: there is none, it cannot be read, or it is no ordinary file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        content = bytearray()
        while len(content) < limit and (piece := os.read(descriptor, min(limit - len(content), 1024 * 1024))):
            content += piece
    finally:
        os.close(descriptor)
    return bytes(content)
