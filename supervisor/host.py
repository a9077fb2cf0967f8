"""Facts about this machine: how much memory, how many descriptors, and whether its clock is kept."""

import ctypes
import resource
from pathlib import Path

DESCRIPTORS_NEEDED = 4096
"""With too few, a browser's launch is silent for many seconds and then fails."""
_TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than struct timex has on any Linux."""


def descriptor_limits() -> tuple[int, int]:
    """Return the soft and the hard limit of open files."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def memory_available() -> int:
    """Return the bytes that can still be taken: what the kernel says, or less where a cgroup allows less."""
    available = 0
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    left = _cgroup_memory_left()
    return available if left is None else min(available, left)


def _cgroup_memory_left() -> int | None:
    """Return what the nearest cgroup leaves, None where there is no limit (cgroup v2, then v1)."""
    for folder, limit, used, cache in (
        ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
    ):
        try:
            left = int(Path(folder, limit).read_text("ascii")) - int(Path(folder, used).read_text("ascii"))
            lines = Path(folder, "memory.stat").read_text("ascii").splitlines()
        except (OSError, ValueError):
            continue  # there is no such file, or it says "max"
        # Files in the page cache count as used, but give way.
        return max(left + sum(int(line.split()[1]) for line in lines if line.startswith(cache)), 0)
    return None


def clock_is_kept() -> bool | None:
    """Say whether something (NTP, the host) keeps the clock right; None where the kernel does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    state: int = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR
