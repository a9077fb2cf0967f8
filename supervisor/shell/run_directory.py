"""The run directory: its layout, who holds it, and files that are replaced as a whole or not at all."""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, BinaryIO, Self

import msgspec

from supervisor.errors import MachineError, UserError
from supervisor.shell import files, linux
from supervisor.views.text import is_text

_PRIVATE = ".nightfleet"
_LOCK_TRIES = 25
_LOCK_PAUSE = 0.02
_CAREFULLY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OWNER_LIMIT = 4096
_UNWRITABLE = {
    errno.EROFS: "it is on a read-only file system",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
}


class RunDirectoryError(UserError):
    """The path cannot be used as a run directory; one sentence says what was found and what is allowed."""


class RunDirectoryUnwritableError(RunDirectoryError, MachineError):
    """The run directory is where nothing can be written, or read: read-only, no permission, full."""


class Owner(msgspec.Struct, frozen=True):
    """The supervisor that holds a run directory: pid and start time together name exactly one process."""

    pid: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    start_time: int
    """Clock ticks since boot, field 22 of ``/proc/<pid>/stat``."""
    locked_at: float
    """Seconds since the epoch."""


class InUse(MachineError):  # noqa: N818 - a state of affairs that the commands tell, rather than an error
    """Another supervisor holds the run directory."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(
            f"{path} is in use by the supervisor with pid {pid or 'unknown'}; stop it, or wait for its end"
        )
        self.pid = pid


class Lock:
    """The exclusive hold on a run directory, until `release` or the end of the process, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in. The file stays, so that two starters never lock different files."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class RunDirectory:
    """Names every place in a run directory. The constructor touches nothing; `create` and `lock` do."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.documents = self.path / "documents"
        self.failures = self.path / "failures"
        self.logs = self.path / "logs"
        self.ledger = self.path / "ledger.db"
        self.tracking = self.path / "tracking.json"
        self.status = self.path / "status.json"
        self.inventory = self.path / "inventory.csv"
        self.report = self.path / "report.html"
        self.failures_csv = self.path / "failures.csv"
        self.private = self.path / _PRIVATE
        self.staging_root = self.private / "staging"
        self.replaced = self.private / "replaced"
        """Where a reference's former documents stand for the moment in which new ones take their place."""
        self.quarantine = self.private / "quarantine"
        """Documents that the ledger does not account for; nothing is ever deleted there."""
        self.pages = self.private / "pages"
        """What the workers' browsers show at present, for the status page; there only while one is served."""
        self.processes = self.private / "processes.json"
        self.login = self.private / "login.json"
        self.control = self.private / "control.sock"
        self.lock_file = self.private / "lock"

    @classmethod
    def existing(cls, path: Path) -> Self:
        """Return the run directory at this path.

        Raises:
            RunDirectoryError: as `check`.
        """
        directory = cls(path)
        directory.check()
        return directory

    def staging(self, attempt: int) -> Path:
        """Return the folder into which the worker of this attempt writes."""
        return self.staging_root / str(attempt)

    def errand_staging(self, errand: int) -> Path:
        """Return the folder into which the worker of this login or export writes."""
        return self.staging_root / f"errand-{errand}"

    def page(self, slot: int) -> Path:
        """Return where the worker of this slot leaves a picture of its page now and then."""
        return self.pages / f"worker-{slot}.jpg"

    def evidence(self, attempt: int) -> Path:
        """Return the folder for evidence against an attempt, until `Publisher.discard` moves it to the failures."""
        return self.staging(attempt) / "evidence"

    def create(self) -> None:
        """Make the folders that are missing.

        Raises:
            RunDirectoryError: the path is a file, a folder of something else, or no text.
            RunDirectoryUnwritableError: it cannot be written there.
        """
        self._check_name()
        try:
            self._make()
            if not self._is_ours() and (found := min(self.path.iterdir(), default=None)) is not None:
                raise RunDirectoryError(
                    f"{self.path} is no run directory and is not empty (there is {found.name!r} in it); "
                    "give a new or an empty directory"
                )
            self._check_places()
            # The private folder comes first: with it, a directory whose making was interrupted is known as ours.
            for folder in (self.private, self.staging_root, self.documents, self.failures, self.logs):
                folder.mkdir(exist_ok=True)
            fsync_directory(self.path)
        except (FileExistsError, NotADirectoryError) as error:
            raise RunDirectoryError(f"{error.filename} is a file, and a directory is needed there") from error
        except OSError as error:
            raise self._unwritable(error) from error

    def _make(self) -> None:
        """Make the directory itself, and what is missing above it, so that a power cut does not take it away."""
        missing = [folder for folder in (self.path, *self.path.parents) if not os.path.lexists(folder)]
        self.path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            fsync_directory(folder.parent)

    def check(self) -> None:
        """Check that this is a run directory, for those who only read it.

        Raises:
            RunDirectoryError: there is nothing, a file, or a folder of something else; or its path is no text.
            RunDirectoryUnwritableError: it cannot be looked at.
        """
        self._check_name()
        try:
            if not self.path.exists():
                raise RunDirectoryError(f"{self.path} does not exist")
            if not self.path.is_dir():
                raise RunDirectoryError(f"{self.path} is a file, and a run directory is needed")
            if not self._is_ours():
                raise RunDirectoryError(f"{self.path} is no run directory: there is no ledger.db in it")
        except OSError as error:
            raise self._unwritable(error, "read") from error

    def lock(self) -> Lock:
        """Take the run directory for this process alone.

        Raises:
            InUse: another process has it.
            RunDirectoryError: something in it is not what it was, and would lead elsewhere.
            RunDirectoryUnwritableError: the lock cannot be written.
        """
        self._check_places()
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | _CAREFULLY, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error
        lock = Lock(descriptor)
        if not self._flock(descriptor):
            lock.release()
            owner = self._read_owner()
            raise InUse(self.path, owner.pid if owner else 0)
        myself = linux.stat(os.getpid())
        owner = Owner(os.getpid(), myself.start_time if myself else 0, time.time())
        try:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(owner) + b"\n", 0)
        except OSError as error:
            lock.release()
            raise self._unwritable(error) from error
        return lock

    def _flock(self, descriptor: int) -> bool:
        """Take the lock; say whether that was possible. Who only asks for the owner holds it for a moment."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = self._read_owner()
                if owner is not None and linux.is_running(owner.pid, owner.start_time):
                    return False
                time.sleep(_LOCK_PAUSE)  # to wait in flock itself has no time limit
            else:
                return True
        return False

    def owner(self) -> Owner | None:
        """Return the supervisor that holds the run directory now, None when nobody does."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDONLY | _CAREFULLY)
        except OSError:
            return None  # no lock was ever taken here, or we may not look
        with Lock(descriptor):
            try:
                # Shared, so that two who ask at the same moment do not take each other for a supervisor.
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._read_owner() or Owner(0, 0, 0.0)
        return None

    def free_bytes(self) -> int:
        """Return how many bytes can still be written into the run directory."""
        return shutil.disk_usage(self.path).free

    def set_aside(self, path: Path, stamp: str) -> Path:
        """Move something the ledger does not account for into quarantine; return where it is now.

        Args:
            path: a file or folder within the run directory.
            stamp: UTC time of the occasion; what is set aside at the same occasion stands together.

        Raises:
            OSError: it could not be moved.
        """
        folder = self.quarantine / stamp
        make_folder(self.quarantine)
        make_folder(folder)
        target, number = folder / path.name, 1
        while target.exists() or target.is_symlink():
            number += 1
            target = folder / f"{path.name}~{number}"
        path.rename(target)
        fsync_directory(folder)
        fsync_directory(path.parent)
        return target

    def _check_name(self) -> None:
        """Linux allows any bytes in a path; SQLite, JSON and HTML, in which ours would stand, do not."""
        if not is_text(str(self.path)):
            raise RunDirectoryError(f"the path {self.path} is no text in UTF-8, as that of a run directory must be")

    def _is_ours(self) -> bool:
        return self.private.is_dir() or self.ledger.exists()

    def _read_owner(self) -> Owner | None:
        try:
            return msgspec.json.decode(files.read(self.lock_file, _OWNER_LIMIT), type=Owner)
        except (OSError, msgspec.DecodeError):
            return None  # it is being written at this moment, or somebody emptied it

    def _check_places(self) -> None:
        """Check that everything there is what it must be: through a link one would write, or tidy up, elsewhere.

        Raises:
            RunDirectoryError: something is not; it is named.
            RunDirectoryUnwritableError: it cannot be looked at.
        """
        try:
            for folder in (self.private, self.staging_root, self.replaced, self.quarantine, self.pages):
                self._check_folder(folder)
            for folder in (self.documents, self.failures, self.logs):
                self._check_folder(folder)
            logs = list(self.logs.iterdir()) if self.logs.is_dir() else []
            for file in (self.lock_file, self.processes, self.login, *logs):
                if os.path.lexists(file) and not stat.S_ISREG(file.lstat().st_mode):
                    raise RunDirectoryError(f"{file} is no ordinary file, and one is needed there")
            for file in (self.tracking, self.status, self.report, self.failures_csv, self.inventory):
                if file.is_dir() and not file.is_symlink():
                    raise RunDirectoryError(f"{file} is a folder, and a file is needed there")
        except OSError as error:
            raise self._unwritable(error) from error

    @staticmethod
    def _check_folder(folder: Path) -> None:
        if folder.is_symlink():
            raise RunDirectoryError(f"{folder} is a link, and the folder itself has to be there")
        if folder.exists() and not folder.is_dir():
            raise RunDirectoryError(f"{folder} is a file, and a folder is needed there")

    def _unwritable(self, error: OSError, how: str = "written") -> RunDirectoryUnwritableError:
        cause = _UNWRITABLE.get(error.errno or 0, error.strerror or str(error))
        return RunDirectoryUnwritableError(f"the run directory {self.path} cannot be {how}: {cause}")


def stamp(wall: float) -> str:
    """Return the UTC time that names a folder in quarantine; `wall` is in seconds since the epoch."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H%M%SZ")


def fsync_directory(path: Path) -> None:
    """Make durable which names a folder holds: renames and new files in it.

    Raises:
        OSError: the folder is gone or the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder, where there is none, that lasts: a power cut does not take it away with what is moved into it.

    Raises:
        OSError: it cannot be made, or the disk failed.
    """
    path.mkdir(exist_ok=True)
    fsync_directory(path.parent)


@contextlib.contextmanager
def replacing(path: Path, *, via: Path | None = None) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the place of `path`, durably, when the block ends without an exception.

    It is written in the folder `via` of the same disk, or else beside `path`; there a crash leaves it. The next start
    clears such files from the run directory itself, not from the folders in it.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what was at `path` is still there.
    """
    beside = (via or path.parent) / f".{path.name}.{os.getpid()}-{threading.get_ident()}.new"
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # whatever it is, nothing half written stays
        beside.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def atomic_write(path: Path, content: bytes, *, via: Path | None = None) -> None:
    """Put `content` in the place of whatever is at `path`: durable when this returns, and never half of it.

    `via` as for `replacing`.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path, via=via) as file:
        file.write(content)
