"""On what machine a figure was measured: without it a figure means nothing."""

import os
import platform
from pathlib import Path

import psutil


def describe() -> str:
    """Return one line: processors, memory, kernel, Python."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} x {model}, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"
