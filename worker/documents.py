"""Staging of documents: safe names, written and flushed, and accepted only when they are whole.

Every check is the worker's own; the supervisor checks names, sizes and hashes again before it publishes.
"""

import asyncio
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from email.message import Message
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from worker.protocol import Document, Kind
from worker.site import SiteFailure

CHUNK = 1024 * 1024
_HEAD = 64 * 1024  # bytes kept of each file, to tell a login page from another
_HEADER_WINDOW = 1024  # bytes in which a reader looks for the header (ISO 32000-1, annex H, note 13)
_TRAILER_WINDOW = 2048  # bytes at the end that hold startxref and %%EOF, with room for what servers append
_LONGEST_NAME = 120
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ufffd]+')
_PASSWORD_FIELD = re.compile(rb"(?i)<input[^>]+type\s*=\s*[\"']?password")


def safe_name(name: str) -> str:
    """Return `name` as a plain file name that is safe on every file system; never empty, never hidden."""
    name = unicodedata.normalize("NFC", name).encode("utf-8", "replace").decode()
    name = _FORBIDDEN.sub("_", name).strip(" .")
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10:  # noqa: PLR2004 - longer than any extension: part of the name
        stem, extension = name, ""
    room = _LONGEST_NAME - len(extension) - 1
    while len(stem.encode()) > room:
        stem = stem[:-1]
    stem = stem.strip(" .") or "document"
    name = f"{stem}.{extension}" if extension else stem
    return f"_{name}" if _RESERVED.match(name) else name


def proposed_name(disposition: str, url: str) -> str:
    """Return the name that a Content-Disposition header (RFC 6266) or else the URL proposes, not yet made safe."""
    if disposition:
        header = Message()
        header["Content-Disposition"] = disposition
        if found := header.get_filename():
            return PurePosixPath(found.replace("\\", "/")).name
    return PurePosixPath(unquote(urlsplit(url).path)).name or "document"


class Staging:
    """The staging folder of one attempt or errand, and the names given out in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: set[str] = {"evidence", "manifest.json", "previous"}

    def create(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def reserve(self, name: str) -> Path:
        """Return a path for `name`, made safe and, where it is taken, numbered: ``name-2.pdf``."""
        wanted = Path(safe_name(name))
        candidate, number = wanted.name, 2
        while candidate.casefold() in self._names:
            candidate = f"{wanted.stem}-{number}{wanted.suffix}"
            number += 1
        self._names.add(candidate.casefold())
        return self.folder / candidate


class Answer:
    """What is known of a download from its HTTP answer: all of it untrusted, all of it optional."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.url = url
        self.headers = headers or {}

    @property
    def length(self) -> int | None:
        """The promised size in bytes; None without one or under a Content-Encoding, whose length is another."""
        value = self.headers.get("content-length", "")
        if "content-encoding" in self.headers or not (value.isascii() and value.isdigit()):
            return None
        return int(value)

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


async def stage(
    source: bytes | Path, target: Path, answer: Answer, *, limit: int, shown_url: str, expect_pdf: bool
) -> Document:
    """Write `source` to `target`, flush it to disk and verify it. Runs in a thread, so that the pulse goes on.

    Raises:
        SiteFailure: `DOCUMENT_INVALID` or `SESSION_EXPIRED`, saying what came instead; the target is removed.
        OSError: the disk is full or the like.
    """
    return await asyncio.to_thread(
        _stage, source, target, answer, limit=limit, shown_url=shown_url, expect_pdf=expect_pdf
    )


def _stage(
    source: bytes | Path, target: Path, answer: Answer, *, limit: int, shown_url: str, expect_pdf: bool
) -> Document:
    try:
        size, digest, head = write(target, chunks(source), limit)
        pages = _verify(target, size, head, answer, expect_pdf=expect_pdf)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Document(target.name, shown_url, size, digest, pages)


def _verify(target: Path, size: int, head: bytes, answer: Answer, *, expect_pdf: bool) -> int | None:
    if answer.length is not None and size != answer.length:
        raise invalid(target.name, f"has {size} bytes where the site promised {answer.length}")
    if size == 0:
        raise invalid(target.name, "is empty")
    extension = target.suffix.lower()
    refuse_html(target.name, head, Kind.DOCUMENT_INVALID, allowed=extension in {".html", ".htm"})
    if expect_pdf or answer.content_type == "application/pdf" or extension == ".pdf":
        return count_pages(target, head)
    return None


def chunks(source: bytes | Path) -> Iterator[bytes]:
    """Yield what is to be written: bytes as they are, a file in pieces of `CHUNK` bytes."""
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def write(target: Path, chunks: Iterable[bytes], limit: int) -> tuple[int, str, bytes]:
    """Write a new file and flush it to disk; return its size in bytes, its sha256 and its first 64 KiB.

    Raises:
        SiteFailure: `DOCUMENT_INVALID`, it is larger than `limit` bytes.
    """
    size, digest, head = 0, hashlib.sha256(), b""
    with target.open("xb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise invalid(target.name, f"is larger than the {limit} bytes that are allowed")
            digest.update(chunk)
            head = head if len(head) >= _HEAD else (head + chunk)[:_HEAD]
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest(), head


def count_pages(path: Path, head: bytes) -> int | None:
    """Return the number of pages of a whole PDF, or None when it is protected by a password.

    A file that a reader would have to mend counts as broken: readers mend truncated files silently.

    Raises:
        SiteFailure: `DOCUMENT_INVALID`, saying what is wrong.
    """
    if b"%PDF-" not in head[:_HEADER_WINDOW]:
        raise invalid(path.name, f"is not a PDF: it begins with {head[:16]!r}")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TRAILER_WINDOW))
        tail = file.read()
    if b"startxref" not in tail or b"%%EOF" not in tail:
        raise invalid(path.name, "is cut off: the end of the PDF is missing")
    import pikepdf  # noqa: PLC0415 - a worker that starts has to be quick; its first document may wait a moment

    try:
        with pikepdf.open(path, attempt_recovery=False, suppress_warnings=True) as pdf:
            pages, warnings = len(pdf.pages), pdf.get_warnings()
    except pikepdf.PasswordError:
        return None
    except (pikepdf.PdfError, ValueError, RuntimeError) as error:  # qpdf's errors arrive as any of these
        raise invalid(path.name, f"is damaged: {str(error).replace(str(path), path.name)[:200]}") from error
    if warnings:
        raise invalid(path.name, f"is damaged: {str(warnings[0]).replace(str(path), path.name)[:200]}")
    if pages == 0:
        raise invalid(path.name, "has no page")
    return pages


def refuse_html(name: str, head: bytes, kind: Kind, *, allowed: bool = False) -> None:
    """Raise when the first bytes of a file are a web page, as servers send in place of what was asked for.

    Raises:
        SiteFailure: `SESSION_EXPIRED` for a page that asks for a password, otherwise `kind`.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<!--", b"<script")):
        return
    if _PASSWORD_FIELD.search(head):
        raise SiteFailure(Kind.SESSION_EXPIRED, f"the login page came in place of {name}")
    if not allowed:
        raise SiteFailure(kind, f"{name} is not the file that was asked for but a web page")


def invalid(name: str, complaint: str) -> SiteFailure:
    """Return the failure of a document that is not what it should be."""
    return SiteFailure(Kind.DOCUMENT_INVALID, f"{name} {complaint}")


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
