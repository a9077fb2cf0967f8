"""Staging of documents: safe names, written and flushed, and accepted only when they are whole.

Every check is the worker's own; the supervisor checks names, sizes and hashes again before it publishes. A document
comes into a hidden file of the staging folder first, and gets its name when its content is known.
"""

import asyncio
import hashlib
import os
import shutil
from pathlib import Path

from worker.formats import HEAD, Checked, examine, fitting_name, invalid, is_html, refuse_login_page
from worker.names import numbered, repaired, safe_name
from worker.protocol import Document, Kind
from worker.site import SiteFailure

CHUNK = 1024 * 1024


class Staging:
    """The staging folder of one attempt or errand, and the names given out in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: set[str] = {"evidence", "manifest.json", "previous"}
        self._arrivals = 0

    def create(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def reserve(self, name: str) -> Path:
        """Return a path for `name`, made safe and, where it is taken, numbered: ``name-2.pdf``."""
        wanted = safe_name(name)
        candidate, number = wanted, 2
        while candidate.casefold() in self._names:
            candidate = numbered(wanted, number)
            number += 1
        self._names.add(candidate.casefold())
        return self.folder / candidate

    def arrival(self) -> Path:
        """Return a path for something that is on its way; no document is ever called so."""
        self._arrivals += 1
        return self.folder / f".arriving-{self._arrivals}"


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


async def stage(
    arrival: Path, staging: Staging, answer: Answer, *, proposed: str, shown_url: str, expected: tuple[str, ...]
) -> Document:
    """Flush and verify what has come as `arrival`, in a thread, so that the pulse goes on, and give it its name.

    Args:
        arrival: a file in the staging folder; it is gone afterwards.
        staging: gives the name out.
        answer: what the site said about it.
        proposed: the name that it should have, as the site or the recipe has it.
        shown_url: where it came from, secrets masked.
        expected: formats of `worker.formats` that the recipe expects.

    Raises:
        SiteFailure: `DOCUMENT_INVALID` or `SESSION_EXPIRED`, saying what came instead.
        OSError: the disk is full or the like.
    """
    name = safe_name(repaired(proposed))
    try:
        size, digest, format_name, checked = await asyncio.to_thread(_verify, arrival, answer, name, expected)
        target = staging.reserve(fitting_name(name, format_name))
        await asyncio.to_thread(arrival.rename, target)
    except BaseException:
        await asyncio.to_thread(arrival.unlink, missing_ok=True)
        raise
    return Document(target.name, shown_url, size, digest, checked.pages, format_name, checked.protected)


def _verify(arrival: Path, answer: Answer, name: str, expected: tuple[str, ...]) -> tuple[int, str, str, Checked]:
    size, digest, head = measure(arrival)
    if answer.length is not None and size != answer.length:
        raise invalid(name, f"has {size} bytes where the site promised {answer.length}")
    if size == 0:
        raise invalid(name, "is empty")
    return size, digest, *examine(arrival, head, name, expected)


def measure(path: Path) -> tuple[int, str, bytes]:
    """Flush a file to disk; return its size in bytes, its sha256 and its first 64 KiB."""
    size, digest, head = 0, hashlib.sha256(), b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            head = head or chunk[:HEAD]
            size += len(chunk)
            digest.update(chunk)
        os.fsync(file.fileno())
    return size, digest.hexdigest(), head


def copy(source: Path, target: Path, limit: int) -> None:
    """Write the new file `target` with the content of `source`, which may be on another disk.

    Raises:
        SiteFailure: `DOCUMENT_INVALID`, it has more than `limit` bytes.
    """
    size = source.stat().st_size
    if size > limit:
        raise SiteFailure(Kind.DOCUMENT_INVALID, f"the document has {size} bytes, and {limit} are allowed")
    with source.open("rb") as original, target.open("xb") as made:
        shutil.copyfileobj(original, made, CHUNK)


def accept_file(arrival: Path, target: Path, answer: Answer) -> None:
    """Give a file that is no document, such as the export, its name, if it came whole and is no web page.

    Raises:
        SiteFailure: `EXPORT_INVALID` or `SESSION_EXPIRED`; `arrival` is gone then as well.
    """
    try:
        size, _, head = measure(arrival)
        refuse_login_page(target.name, head)
        if is_html(head):
            message = f"{target.name} is not the file that was asked for but a web page"
            raise SiteFailure(Kind.EXPORT_INVALID, message, url=answer.url)
        if size == 0 or (answer.length is not None and answer.length != size):
            promised = f" of {answer.length}" if answer.length else ""
            raise SiteFailure(Kind.EXPORT_INVALID, f"{target.name} came with {size}{promised} bytes", url=answer.url)
        arrival.rename(target)
    finally:
        arrival.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
