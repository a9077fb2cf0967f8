"""Work in a child process whose system calls are counted, and at one of which something happens to it.

ptrace(2) and seccomp(2) by ctypes: the kernel stops the child at each call that changes a file of a folder, those of
SQLite's C code as well, and asks what is to become of it. Linux on x86-64, where the registers are known here.
"""

import contextlib
import ctypes
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from supervisor.errors import UserError

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long
_TRACE_ME, _CONTINUE, _GET, _SET, _TO_THE_EXIT, _OPTIONS = 0, 7, 12, 13, 24, 0x4200  # <sys/ptrace.h>
_SYSGOOD, _SECCOMP_STOPS, _EXIT_KILL, _SECCOMP_EVENT = 1, 0x80, 0x100000, 7
_NAMES = {  # <asm/unistd_64.h>
    1: "write",
    18: "pwrite64",
    20: "writev",
    296: "pwritev",
    328: "pwritev2",
    40: "sendfile",
    326: "copy_file_range",
    285: "fallocate",
    76: "truncate",
    77: "ftruncate",
    74: "fsync",
    75: "fdatasync",
    2: "open",
    257: "openat",
    85: "creat",
    82: "rename",
    264: "renameat",
    316: "renameat2",
    87: "unlink",
    263: "unlinkat",
    84: "rmdir",
    83: "mkdir",
    258: "mkdirat",
    86: "link",
    265: "linkat",
    88: "symlink",
    266: "symlinkat",
    90: "chmod",
    91: "fchmod",
    268: "fchmodat",
}
_BY_DESCRIPTOR = {"write", "pwrite64", "ftruncate", "fsync", "fdatasync"}
_BY_PATH = {"open", "rename", "unlink", "rmdir", "mkdir", "truncate"}
_BY_FOLDER = {"openat", "renameat", "renameat2", "unlinkat", "mkdirat"}
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_HERE = -100  # AT_FDCWD
_REGISTERS = {"rdx": 12, "orig_rax": 15, "rax": 10}  # <sys/user.h>, by their places
_ARGUMENTS = (14, 13, 12, 7, 9, 8)  # rdi, rsi, rdx, r10, r8, r9
REFUSED, BROKEN = 3, 9

needs_tracing = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="ptrace is used with the registers of x86-64"
)


class Call(NamedTuple):
    """A system call that is about to change something."""

    name: str
    path: Path
    """The file or folder that it is about."""
    target: Path | None = None
    """Where a rename leads to."""
    flags: int = 0
    """Of an open."""
    data: bytes = b""
    """What is written."""
    at: int = 0
    """Where in the file; or how long it becomes."""


class Ending(NamedTuple):
    """How the work ended."""

    calls: int
    code: int
    """0, `REFUSED` by an error for people, or minus the signal."""
    said: str
    """What it wrote to standard error."""


Fate = str | int | None
"""``kill`` before the call, ``tear`` it: half is written, then kill; an errno in place of it; None to let it be."""


def carry_out(work: Callable[[], None], root: Path, fate: Callable[[int, Call], Fate] = lambda _n, _c: None) -> Ending:
    """Do some work of one thread in a child process; every call that changes something below `root` is asked about.

    Args:
        work: what to do.
        root: the folder.
        fate: gets the number of the call, 1 for the first, and the call.

    Raises:
        AssertionError: the work ended by an exception that is none for people.
    """
    said = os.memfd_create("said")
    child = os.fork()
    if child == 0:
        _be_the_child(work, said)
    try:
        calls, code = _follow(child, root, fate)
        text = os.pread(said, 100_000, 0).decode()
    finally:
        os.close(said)
    assert code != BROKEN, text
    return Ending(calls, code, text)


def _be_the_child(work: Callable[[], None], said: int) -> None:
    code = BROKEN
    try:
        os.dup2(said, 2)
        _ptrace(_TRACE_ME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        _ask_about_calls()
        work()
        code = 0
    except UserError as error:
        os.write(2, str(error).encode())
        code = REFUSED
    except BaseException:  # noqa: BLE001 - the parent tells of it
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _ask_about_calls() -> None:
    """Have the kernel stop this process at the calls of the table (linux/seccomp.h)."""
    program = [_instruction(0x20, 0, 0, 0)]  # load the call's number
    program += [_instruction(0x15, len(_NAMES) - place, 0, number) for place, number in enumerate(_NAMES)]
    program += [_instruction(0x06, 0, 0, 0x7FFF0000), _instruction(0x06, 0, 0, 0x7FF00000)]  # allow; trace
    code = ctypes.create_string_buffer(b"".join(program))
    header = (ctypes.c_ulong * 2)(len(program), ctypes.addressof(code))
    if _LIBC.prctl(38, 1, 0, 0, 0) or _LIBC.prctl(22, 2, header, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def _instruction(code: int, if_so: int, if_not: int, value: int) -> bytes:
    return code.to_bytes(2, "little") + bytes((if_so, if_not)) + value.to_bytes(4, "little")


def _follow(child: int, root: Path, fate: Callable[[int, Call], Fate]) -> tuple[int, int]:
    calls = 0
    os.waitpid(child, 0)
    _ptrace(_OPTIONS, child, 0, _SYSGOOD | _SECCOMP_STOPS | _EXIT_KILL)
    passed_on = 0
    while True:
        with contextlib.suppress(ProcessLookupError):  # it was just killed, and is waited for
            _ptrace(_CONTINUE, child, 0, passed_on)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            return calls, os.waitstatus_to_exitcode(status)
        passed_on = 0
        if status >> 16 != _SECCOMP_EVENT:
            passed_on = os.WSTOPSIG(status)
            continue
        registers = (ctypes.c_ulong * 27)()
        _ptrace(_GET, child, 0, ctypes.addressof(registers))
        call = _describe(child, registers)
        if call is None or not any(p is not None and p.is_relative_to(root) for p in (call.path, call.target)):
            continue
        calls += 1
        _impose(child, registers, fate(calls, call))


def _impose(child: int, registers: "ctypes.Array[ctypes.c_ulong]", fate: Fate) -> None:
    match fate:
        case None:
            return
        case "kill":
            os.kill(child, signal.SIGKILL)
        case "tear":
            registers[_REGISTERS["rdx"]] //= 2
            _ptrace(_SET, child, 0, ctypes.addressof(registers))
            _ptrace(_TO_THE_EXIT, child, 0, 0)
            os.waitpid(child, 0)
            os.kill(child, signal.SIGKILL)
        case int():
            registers[_REGISTERS["orig_rax"]] = 2**64 - 1  # no call
            registers[_REGISTERS["rax"]] = 2**64 - fate
            _ptrace(_SET, child, 0, ctypes.addressof(registers))
        case _:
            raise AssertionError(fate)


def _describe(child: int, registers: "ctypes.Array[ctypes.c_ulong]") -> Call | None:
    """Return the call that the child is about to make; None for one that changes nothing."""
    name = _NAMES[registers[_REGISTERS["orig_rax"]]]
    first, second, third, fourth = (ctypes.c_long(registers[place]).value for place in _ARGUMENTS[:4])
    if name in _BY_DESCRIPTOR:
        path = _opened(child, first)
        if name == "ftruncate":
            return Call(name, path, at=second)
        if name in {"fsync", "fdatasync"}:
            return Call(name, path)
        return Call(
            name, path, data=_memory(child, second, third), at=fourth if name == "pwrite64" else _at(child, first)
        )
    if name in _BY_FOLDER:
        path = _path(child, first, second)
        if name == "openat":
            return Call("open", path, flags=third) if third & _CHANGING else None
        if name in {"renameat", "renameat2"}:
            return Call("rename", path, _path(child, third, fourth))
        if name == "unlinkat":
            return Call("rmdir" if third & 0x200 else "unlink", path)
        return Call("mkdir", path)
    if name in _BY_PATH:
        path = _path(child, _HERE, first)
        if name == "open":
            return Call(name, path, flags=second) if second & _CHANGING else None
        return Call(name, path, _path(child, _HERE, second) if name == "rename" else None, at=second)
    # One that nothing here makes so far: whoever adds it teaches the model what it does.
    return Call(name, _opened(child, first) if first < 2**20 else _path(child, _HERE, first))


def _opened(child: int, descriptor: int) -> Path:
    return Path(f"/proc/{child}/fd/{descriptor}").readlink()


def _at(child: int, descriptor: int) -> int:
    fields = Path(f"/proc/{child}/fdinfo/{descriptor}").read_text().split()
    return int(fields[1])


def _path(child: int, folder: int, address: int) -> Path:
    text = os.fsdecode(_memory(child, address, 4096, text=True))
    above = Path(f"/proc/{child}/cwd").readlink() if ctypes.c_int(folder).value == _HERE else _opened(child, folder)
    return above / text


def _memory(child: int, address: int, size: int, *, text: bool = False) -> bytes:
    with open(f"/proc/{child}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - it is no path of ours
        content = b""
        while len(content) < size and (not text or b"\0" not in content):
            step = min(size - len(content), 4096 - (address + len(content)) % 4096)  # the next page may not be there
            memory.seek(address + len(content))
            content += memory.read(step)
    return content.partition(b"\0")[0] if text else content


def _ptrace(request: int, child: int, address: int, data: int) -> None:
    ctypes.set_errno(0)
    if _LIBC.ptrace(request, child, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
