"""Facts about this machine: how many descriptors, and whether its clock is kept."""

import ctypes
import resource

DESCRIPTORS_NEEDED = 4096
"""With too few, a browser's launch is silent for many seconds and then fails."""
_TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than struct timex has on any Linux."""


def descriptor_limits() -> tuple[int, int]:
    """Return the soft and the hard limit of open files."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def clock_is_kept() -> bool | None:
    """Say whether something (NTP, the host) keeps the clock right; None where the kernel does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    state: int = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR
