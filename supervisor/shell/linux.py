"""What the supervision needs of Linux, with the standard library alone: the guardian runs without site-packages.

A process is identified by its pid and its start time (clock ticks since boot, field 22 of ``/proc/<pid>/stat``, see
proc(5)), because pids are used again. Everything in /proc may vanish between two reads: that is an answer (None,
nothing), never an error.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_SYNC_FILE_RANGE_WRITE = 2  # <linux/fs.h>
_WHOLE = ctypes.c_int64(0)  # from the beginning, and so many bytes: 0 for all
_PIECE = 65_536
_SHORT = 1_024  # bytes; a file in /proc of which a read gives fewer has been read to its end (seq_file, in the kernel)
_LIBC = ctypes.CDLL(None, use_errno=True)
_FIELDS = 22  # of /proc/<pid>/stat after the name, as far as they are used


class Stat(NamedTuple):
    """One process as ``/proc/<pid>/stat`` shows it."""

    pid: int
    start_time: int
    """Clock ticks since boot."""
    name: str
    """The kernel's name for it, at most 15 characters."""
    rss: int
    """Resident bytes."""
    state: str
    """One letter: R, S, D, T, t, Z, X, I."""
    parent: int
    session: int
    threads: int

    @property
    def dead(self) -> bool:
        """Tell whether nothing of it runs any more.

        A leader whose other threads still run is shown as a zombie too, but with more than one thread.
        """
        return self.state in "Xx" or (self.state == "Z" and self.threads <= 1)

    @property
    def stopped(self) -> bool:
        """Tell whether a signal or a debugger stopped it."""
        return self.state in "Tt"


def stat(pid: int) -> Stat | None:
    """Return the process that has this pid now, None when there is none."""
    data = _read(pid, "stat", 4096)
    # The name may hold blanks and parentheses, so the fields are counted from the last parenthesis.
    opening, closing = data.find(b"("), data.rfind(b")")
    fields = data[closing + 2 :].split()
    if closing < 0 or len(fields) < _FIELDS:
        return None
    return Stat(
        pid=pid,
        start_time=int(fields[19]),
        name=data[opening + 1 : closing].decode("utf-8", "replace"),
        rss=int(fields[21]) * PAGE,
        state=fields[0].decode("ascii", "replace"),
        parent=int(fields[1]),
        session=int(fields[3]),
        threads=int(fields[17]),
    )


def processes() -> Iterator[Stat]:
    """Yield every process that is visible here. Not atomic: a scan may miss one that is just being forked."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (found := stat(int(entry.name))) is not None:
                yield found


def start_time(pid: int) -> int | None:
    """Return the start time of the process with this pid in clock ticks since boot, None when there is none."""
    found = stat(pid)
    return None if found is None else found.start_time


def is_running(pid: int, started: int) -> bool:
    """Tell whether exactly this process still runs."""
    found = stat(pid)
    return found is not None and found.start_time == started and not found.dead


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process; empty when it is gone, a zombie, or not ours to read."""
    data = _read(pid, "cmdline", 131_072)
    return [part.decode("utf-8", "replace") for part in data.split(b"\0") if part]


def environment_has(pid: int, name: str, value: str) -> bool:
    """Tell whether a process was started with this variable; what it set for itself later is not seen."""
    entry = os.fsencode(f"{name}={value}")
    return entry in _read(pid, "environ", 4_194_304).split(b"\0")


def memory(process: Stat) -> int:
    """Return its proportional set size in bytes, its resident size where the kernel does not tell (Linux < 4.14)."""
    for line in _read(process.pid, "smaps_rollup", 16_384).splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return process.rss


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has installed a handler for a signal, so that it would survive it."""
    for line in _read(pid, "status", 16_384).splitlines():
        if line.startswith(b"SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def send_signal(pid: int, started: int, number: signal.Signals) -> bool:
    """Send a signal to exactly this process; False when it is gone or not ours, True when it was sent.

    The pidfd is taken before the start time is compared, so what was compared is what gets the signal.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    except OSError:
        # No pidfd (old kernel, a seccomp filter, no descriptor left): the start time alone has to do.
        descriptor = -1
    try:
        if start_time(pid) != started:
            return False
        if descriptor >= 0:
            signal.pidfd_send_signal(descriptor, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return True


def reap(pid: int) -> bool:
    """Take the exit status of this one child if it has ended; False when it has not or is no child of ours."""
    with contextlib.suppress(ChildProcessError):  # somebody else took it: just as well
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False


def become_subreaper() -> None:
    """Let orphaned descendants of this process become its children, instead of those of pid 1 (prctl(2)).

    Raises:
        OSError: the kernel refused (Linux < 3.4).
    """
    if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot adopt orphaned processes: {os.strerror(number)}")


def begin_write(descriptor: int) -> None:
    """Have the kernel begin to write a file to the disk, and wait for nothing (sync_file_range(2)).

    It makes a later fsync cheaper and promises nothing: where the kernel or the file system cannot, nothing happens.
    """
    _LIBC.sync_file_range(descriptor, _WHOLE, _WHOLE, _SYNC_FILE_RANGE_WRITE)


def world() -> str:
    """Return what names this boot and this pid namespace: pids of another world mean nothing here."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"


def _read(pid: int, name: str, limit: int) -> bytes:
    """Return at most `limit` bytes of ``/proc/<pid>/<name>``, none when it is gone or not ours to read.

    Plain descriptors, because a scan reads several hundred of these files.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
    try:
        data = os.read(descriptor, min(limit, _PIECE))
        if len(data) < _SHORT:  # what is so short comes in one piece
            return data
        pieces, size = [data], len(data)
        while size < limit and (piece := os.read(descriptor, min(limit - size, _PIECE))):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
    finally:
        os.close(descriptor)
