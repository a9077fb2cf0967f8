"""Publishing: what a worker staged is checked, flushed and renamed into place, or nothing of it is.

Only this module and `placement` write into documents/ and failures/. A worker knows neither place: when it is given up
for dead and wakes up again, its staging folder is gone or renamed, and there is nothing it could touch.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from supervisor.core.commands import Discard, DiscardErrand, Publish, Withdraw
from supervisor.core.events import Published, PublishFailed
from supervisor.shell import files, linux
from supervisor.shell.manifest import MANIFEST, Listed, Manifest, examine, open_folder, read_manifest, unsafe_name
from supervisor.shell.placement import place
from supervisor.shell.run_directory import RunDirectory, atomic_write, stamp
from worker.protocol import Kind

EVIDENCE_FILES = 20
EVIDENCE_BYTES = 20_000_000
"""The most that is kept of one failure."""
ERRANDS_KEPT = 20
"""Failed logins, and failed exports, of which there is evidence; a site that is down makes many alike."""
_ERRAND = re.compile(r"attempt-[1-9]\d{0,8}")
_FIRST = ("screenshot.png", "page.html", "stack.txt", "processes.txt", "log.txt")
_OPEN = 100
"""Files that are held open at a time, on their way to the disk."""
_FULL = {errno.ENOSPC, errno.EDQUOT}


class _Refused(Exception):  # noqa: N818 - an answer, not an error: it becomes a `PublishFailed`
    """What was staged is not what was reported."""


class Publisher:
    """Publishes and discards attempts. Its methods take as long as the disk does: call them in threads, any number."""

    def __init__(
        self,
        run_directory: RunDirectory,
        folder_of: Callable[[int], str],
        kept: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """`folder_of` gives a reference's folder by its id; `kept` is told of each folder with evidence."""
        self._run = run_directory
        self._folder_of = folder_of
        self._kept = kept

    def publish(self, command: Publish) -> Published | PublishFailed:
        """Check the staged documents of an attempt and put them into place, durably."""
        try:
            self._publish(command)
        except _Refused as refusal:
            return PublishFailed(command.attempt, Kind.PUBLISH_FAILED, str(refusal))
        except OSError as error:
            if error.errno in _FULL:
                return PublishFailed(command.attempt, Kind.DISK_FULL, "the disk is full")
            return PublishFailed(command.attempt, Kind.PUBLISH_FAILED, f"the documents cannot be published: {error}")
        return Published(command.attempt, command.documents)

    def _publish(self, command: Publish) -> None:
        staged = self._run.staging(command.attempt)
        manifest = Manifest(
            ref=command.ref,
            attempt=command.attempt,
            number=command.number,
            documents=tuple(
                Listed(d.name, d.url, d.bytes, d.sha256, d.pages, command.attempt, d.format, d.protected)
                for d in command.documents
            ),
        )
        if not command.documents:
            staged.mkdir(exist_ok=True)  # a worker that had nothing to write need not have made it
        try:
            folder = open_folder(staged)
        except FileNotFoundError as error:
            raise _Refused("the worker reported documents, but staged none") from error
        except NotADirectoryError as error:
            raise _Refused("what the worker staged is no folder") from error
        with contextlib.closing(_Flush()) as flush:
            try:
                _check(folder, manifest, flush)
                _clear(folder, staged, manifest)
                _write_manifest(folder, manifest, flush)
                flush.settle(folder)
            finally:
                os.close(folder)
        place(self._run, staged, self._folder_of(command.ref_id), manifest)

    def discard(self, command: Discard) -> str:
        """Keep the evidence of a failed attempt and remove its staging folder.

        May be repeated: an attempt whose discarding was interrupted gets one folder among the failures, not two.

        Returns:
            One sentence when something could not be kept or removed, else nothing. A run goes on all the same.
        """
        try:
            folder = keep_evidence(self._run, self._folder_of(command.ref_id), command)
            remove_staging(self._run.staging(command.attempt))
            self._kept(folder)
        except OSError as error:
            return (
                f"evidence of attempt {command.attempt} could not be kept, or its staging folder not removed: {error}"
            )
        return ""

    def withdraw(self, command: Withdraw, wall: float) -> Path | None:
        """Move what an attempt published into quarantine, durably, unless something newer is in its place.

        Args:
            command: the attempt.
            wall: now, seconds since the epoch.

        Returns:
            Where it is now; None when it was not in its place.

        Raises:
            OSError: it could not be moved. It is then set aside by the next start.
        """
        folder = self._run.documents / self._folder_of(command.ref_id)
        manifest = read_manifest(folder)
        if manifest is None or manifest.attempt != command.attempt:
            return None
        return self._run.set_aside(folder, stamp(wall))

    def discard_errand(self, command: DiscardErrand) -> str:
        """Keep the evidence of a login or export that came to nothing, and remove its staging folder.

        Returns:
            A sentence for the log: where the evidence is, or why it could not be kept.
        """
        try:
            folder = keep_errand_evidence(self._run, command)
            remove_staging(self._run.errand_staging(command.errand))
            self._kept(folder)
        except OSError as error:
            return f"the evidence of the failed {command.what} could not be kept: {error}"
        return f"the evidence of the failed {command.what} is in {folder.relative_to(self._run.path)}"


class _Flush:
    """Files that are to be on the disk, with the folder that they are in, before something goes on.

    All of them are on their way before one is waited for: the file system then writes its journal once, not for each.
    """

    def __init__(self) -> None:
        self.files: list[int] = []
        """Open descriptors, closed here."""

    def begin(self) -> None:
        """The last of the files is complete: have it written."""
        linux.begin_write(self.files[-1])
        if len(self.files) > _OPEN:
            self._wait()

    def settle(self, folder: int) -> None:
        """Wait until the folder and all its files are on the disk.

        Raises:
            OSError: the disk failed.
        """
        os.fsync(folder)
        self._wait()

    def _wait(self) -> None:
        for descriptor in self.files:
            os.fsync(descriptor)
        self.close()

    def close(self) -> None:
        """Give the descriptors back."""
        while self.files:
            os.close(self.files.pop())


def _check(folder: int, manifest: Manifest, flush: _Flush) -> None:
    names: list[str] = []
    for document in manifest.documents:
        wrong = unsafe_name(document.name, names) or examine(folder, document, flush.files)
        if wrong:
            raise _Refused(f"the document {document.name[:200]!r} {wrong}")
        flush.begin()
        names.append(document.name)


def _clear(folder: int, staged: Path, manifest: Manifest) -> None:
    """Remove what is no document: evidence of trouble that was overcome, and anything else that a worker left."""
    for name in set(os.listdir(folder)).difference(document.name for document in manifest.documents):
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            continue
        except IsADirectoryError:
            shutil.rmtree(staged / name)


def _write_manifest(folder: int, manifest: Manifest, flush: _Flush) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(MANIFEST, flags, 0o644, dir_fd=folder)
    flush.files.append(descriptor)
    content = memoryview(manifest.encode())
    while content:
        content = content[os.write(descriptor, content) :]
    flush.begin()


def keep_evidence(run: RunDirectory, folder: str, attempt: Discard) -> Path:
    """Move the evidence of an attempt to the failures, with an error.txt that names attempt, kind and message.

    Returns:
        The folder that it is in: ``attempt-<number>``, or with a suffix where an earlier attempt that was not counted
        had the same number.

    Raises:
        OSError: it could not be moved; what was moved is where it belongs, and the rest can be moved later.
    """
    headline = f"attempt {attempt.attempt} (number {attempt.number})"
    target = _evidence_folder(run.failures / folder / f"attempt-{attempt.number}", headline)
    _move_evidence(run, run.evidence(attempt.attempt), target, f"{headline}: {attempt.kind}: {attempt.message}")
    return target


def keep_errand_evidence(run: RunDirectory, errand: DiscardErrand) -> Path:
    """Move the evidence of a failed login, export or control to ``failures/_login``, ``_export`` or ``_control``.

    No reference has such a folder: see `folders.candidates`. The last `ERRANDS_KEPT` of each are kept.

    Returns:
        The folder that it is in.

    Raises:
        OSError: as `keep_evidence`.
    """
    place = run.failures / f"_{errand.what}"
    place.mkdir(exist_ok=True)
    kept = sorted(
        (path for path in place.iterdir() if _ERRAND.fullmatch(path.name)),
        key=lambda path: int(path.name.rpartition("-")[2]),
    )
    for old in kept[: max(0, len(kept) - ERRANDS_KEPT + 1)]:
        shutil.rmtree(old)
    number = int(kept[-1].name.rpartition("-")[2]) + 1 if kept else 1
    target = place / f"attempt-{number}"
    target.mkdir()
    headline = f"attempt {errand.errand} (number {number}): {errand.kind}: {errand.message}"
    _move_evidence(run, run.errand_staging(errand.errand) / "evidence", target, headline)
    return target


def _move_evidence(run: RunDirectory, evidence: Path, target: Path, headline: str) -> None:
    files, dropped = _evidence_files(evidence)
    error_text = target / "error.txt"
    if not error_text.exists():
        text = f"{headline}\n"
        if dropped:
            text += f"({dropped} more files of evidence were too many or too large to be kept)\n"
        atomic_write(error_text, text.encode("utf-8", "replace") + _read_error_text(evidence), via=run.path)
    for file in files:
        file.rename(target / file.name)


def remove_staging(staging: Path) -> None:
    """Remove a staging folder with everything in it; that it is gone already is fine.

    Raises:
        OSError: something in it could not be removed.
    """
    if staging.is_dir() and not staging.is_symlink():
        shutil.rmtree(staging)
    else:
        staging.unlink(missing_ok=True)


def _evidence_folder(wanted: Path, headline: str) -> Path:
    """Return the folder of this very attempt, made when it is new."""
    candidate, number = wanted, 1
    while candidate.exists():
        try:
            if files.read(candidate / "error.txt", len(headline) + 1) == f"{headline}:".encode():
                return candidate
        except FileNotFoundError:
            return candidate  # made a moment before a crash, or by hand: there is nothing to confuse it with
        number += 1
        candidate = wanted.with_name(f"{wanted.name}.{number}")
    candidate.mkdir(parents=True)
    return candidate


def _evidence_files(evidence: Path) -> tuple[list[Path], int]:
    """Return the files to keep, the most telling first, and how many are left behind by the limits."""
    if evidence.is_symlink() or not evidence.is_dir():
        return [], 0
    rank = {name: place for place, name in enumerate(_FIRST)}
    with os.scandir(evidence) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False).st_size) for entry in entries if _is_evidence(entry)]
    kept: list[Path] = []
    room = EVIDENCE_BYTES
    for name, size in sorted(found, key=lambda file: (rank.get(file[0], len(rank)), file[0])):
        if len(kept) < EVIDENCE_FILES - 1 and size <= room:  # one is error.txt
            kept.append(evidence / name)
            room -= size
    return kept, len(found) - len(kept)


def _is_evidence(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and entry.name != "error.txt" and not unsafe_name(entry.name)


def _read_error_text(evidence: Path) -> bytes:
    """Return what the worker and the watchdog wrote about the failure."""
    try:
        descriptor = os.open(evidence / "error.txt", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""  # there is none, or it is no file: the headline says what there is to say
    try:
        return b"\n" + os.read(descriptor, 1024 * 1024) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)
