"""What a folder of documents holds: its manifest, and whether the files are what the manifest or the ledger says.

The folders were written by workers and lie where people can reach them, so nothing in them is believed: links are not
followed, special files are not opened for long, and a manifest is only data.
"""

import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from worker.protocol import Document

MANIFEST = "manifest.json"
PREVIOUS = "previous"
"""Folder in a reference's folder for documents that newer ones have replaced."""

_CHUNK = 256 * 1024
_rooms = threading.local()
_MANIFEST_LIMIT = 16 * 1024 * 1024
_PDF_WINDOW = 1024  # bytes within which readers look for the header (ISO 32000-1, annex H, note 13)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_NAME_LIMIT = 255


class Listed(msgspec.Struct, frozen=True):
    """One document as a manifest lists it."""

    name: str
    url: str
    bytes: int
    sha256: str
    pages: int | None
    attempt: int
    format: str = ""
    """By its content, as `worker.formats` names it; empty for none that is known."""
    protected: bool = False
    """It opens with a password only."""


class Former(msgspec.Struct, frozen=True):
    """A document that a newer one has replaced, or that the site no longer has: it is kept."""

    name: str
    path: str
    """Where it is, within the folder of the reference."""
    bytes: int
    sha256: str
    attempt: int


class Manifest(msgspec.Struct, frozen=True):
    """The content of manifest.json."""

    ref: str
    attempt: int
    number: int
    documents: tuple[Listed, ...]
    """The newest, as the site had them at the last fetch."""
    former: tuple[Former, ...] = ()
    """What was there before and differs; the newest first."""

    def encode(self) -> bytes:
        """Return the bytes of manifest.json, readable for people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def contents(self) -> set[tuple[str, int, str]]:
        """Return name, size and sha256 of each document: what makes two sets of documents the same."""
        return {(document.name, document.bytes, document.sha256) for document in self.documents}

    def as_documents(self) -> tuple[Document, ...]:
        """Return the documents as a worker would report them."""
        return tuple(Document(d.name, d.url, d.bytes, d.sha256, d.pages, d.format, d.protected) for d in self.documents)


def unsafe_name(name: str, taken: Iterable[str] = ()) -> str:
    """Return what is wrong with the name of a document as a file name, or nothing.

    Args:
        name: as a worker reported it.
        taken: names of the same folder, in any case.
    """
    if not name or len(name.encode("utf-8", "replace")) > _NAME_LIMIT:
        return "is empty or too long"
    if _FORBIDDEN.search(name) or name[0] == "." or name[-1] in ". " or _RESERVED_DEVICE.fullmatch(name):
        return "is no safe file name"
    if name.casefold() in {MANIFEST, PREVIOUS, "evidence"}:
        return "is reserved"
    if name.casefold() in {other.casefold() for other in taken}:
        return "is there twice"
    return ""


def open_folder(path: Path) -> int:
    """Return a descriptor of a folder that is really there, not behind a link.

    Raises:
        OSError: it is missing, a file, or a link.
    """
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def examine(folder: int, document: Document | Listed, held: list[int] | None = None) -> str:
    """Read a whole document and return what is wrong with it, or nothing.

    Args:
        folder: descriptor of the folder it is in.
        document: what it should be.
        held: where to leave the descriptor of a sound document, for its flushing; None to close it.

    Raises:
        OSError: it cannot be read. (That it is missing or a link is an answer.)
    """
    try:
        # Without O_NONBLOCK the opening of a pipe would wait for somebody to write into it.
        descriptor = os.open(document.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return "is missing"
    except PermissionError:
        return "cannot be read"
    except OSError:
        return "is no ordinary file"
    kept = False
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return "is no ordinary file"
        if facts.st_size != document.bytes:
            return f"has {facts.st_size} bytes in place of {document.bytes}"
        wrong = _compare(descriptor, document)
        if held is not None and not wrong:
            held.append(descriptor)
            kept = True
    finally:
        if not kept:
            os.close(descriptor)
    return wrong


def _compare(descriptor: int, document: Document | Listed) -> str:
    digest, head, size = hashlib.sha256(), b"", 0
    room = _room()
    # One byte more than promised is read at most, however fast the file may grow.
    while size <= document.bytes and (count := os.readv(descriptor, [room[: document.bytes + 1 - size]])):
        head = head or bytes(room[: min(count, _PDF_WINDOW)])
        digest.update(room[:count])
        size += count
    if size != document.bytes or digest.hexdigest() != document.sha256:
        return "has another sha256 than was reported"
    is_pdf = document.pages is not None or document.name.casefold().endswith(".pdf")
    return "is no PDF" if is_pdf and b"%PDF-" not in head else ""


def _room() -> memoryview:
    """Return this thread's room for a piece of a file: fresh memory for each would cost more than what is read."""
    room: memoryview | None = getattr(_rooms, "room", None)
    if room is None:
        room = _rooms.room = memoryview(bytearray(_CHUNK))
    return room


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder; None when there is none, or none that can be understood.

    Raises:
        OSError: the disk failed.
    """
    try:
        descriptor = os.open(folder / MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        if (folder / MANIFEST).is_symlink():
            return None
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MANIFEST_LIMIT:
            return None
        content = b"".join(iter(lambda: os.read(descriptor, _CHUNK), b""))
    finally:
        os.close(descriptor)
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def formers(folder: Path, newest: Manifest, arriving: tuple[str, Manifest] | None = None) -> tuple[Former, ...]:
    """Return the former documents that are kept in a folder and are not among its `newest`.

    Args:
        folder: of a reference.
        newest: what is in place there.
        arriving: a folder that is about to stand in ``previous/``, by its name there, with its manifest.

    Raises:
        OSError: the disk failed.
    """
    sets = [arriving] if arriving else []
    previous = folder / PREVIOUS
    names = sorted((path.name for path in previous.iterdir()), reverse=True) if _is_folder(previous) else []
    sets += [(name, manifest) for name in names if (manifest := read_manifest(previous / name)) is not None]
    known = newest.contents()
    found: list[Former] = []
    for name, manifest in sets:
        for document in manifest.documents:
            what = (document.name, document.bytes, document.sha256)
            if what not in known and not unsafe_name(document.name):
                known.add(what)
                found.append(Former(document.name, f"{PREVIOUS}/{name}/{document.name}", *what[1:], document.attempt))
    return tuple(found)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def unlisted(folder: int, names: Iterable[str]) -> list[str]:
    """Return what is in a folder besides these documents, its manifest and its previous documents, by name."""
    return sorted(set(os.listdir(folder)).difference(names, (MANIFEST, PREVIOUS)))


class Condition(msgspec.Struct, frozen=True):
    """How a folder compares to the documents that it should hold."""

    missing: bool = False
    """There is no such folder."""
    wrong: tuple[str, ...] = ()
    """One clause for each document that is not what it should be."""
    extra: tuple[str, ...] = ()
    """Names of what does not belong there."""

    @property
    def sound(self) -> bool:
        """Say whether the folder holds exactly its documents."""
        return not (self.missing or self.wrong or self.extra)


def condition(folder: Path, documents: Iterable[Document | Listed]) -> Condition:
    """Compare a folder to its documents; reads all of them.

    Raises:
        OSError: the disk failed.
    """
    try:
        descriptor = open_folder(folder)
    except FileNotFoundError:
        return Condition(missing=True)
    except OSError:
        if folder.is_symlink() or not folder.is_dir():
            return Condition(wrong=("the folder is a file or a link",))
        raise
    try:
        documents = list(documents)
        # The names are those of a ledger or a manifest, in which anybody may have written.
        wrong = tuple(
            f"{d.name} {fault}" for d in documents if (fault := unsafe_name(d.name) or examine(descriptor, d))
        )
        return Condition(wrong=wrong, extra=tuple(unlisted(descriptor, (d.name for d in documents))))
    finally:
        os.close(descriptor)


def unrecorded(folder: Path, manifest: Manifest, names: Iterable[str]) -> list[str]:
    """Return those of these files of a folder that are documents by its manifest, and are as that says.

    Raises:
        OSError: the disk failed.
    """
    wanted = set(names)
    listed = [document for document in manifest.documents if document.name in wanted]
    return [document.name for document in listed if not condition(folder, [document]).wrong]


def quick_faults(folder: Path, documents: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Compare names and sizes alone, without opening a file: one system call a document.

    Returns:
        One clause for each document that is not what it should be.
    """
    place = str(folder)  # a start looks at every document of the run, and building paths would cost more than that
    return tuple(f"{name} {fault}" for name, size in documents if (fault := _quick_fault(place, name, size)))


def _quick_fault(place: str, name: str, size: int) -> str:
    if _FORBIDDEN.search(name):
        return "is no safe file name"
    try:
        facts = os.lstat(f"{place}/{name}")
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    if not stat.S_ISREG(facts.st_mode):
        return "is no ordinary file"
    return "" if facts.st_size == size else f"has {facts.st_size} bytes in place of {size}"
