"""References out of a file that a person or a site wrote: lines, or one column of a CSV. Every byte is untrusted."""

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from supervisor.errors import UserError

LINE_LIMIT = 64 * 1024
"""Characters that a line may have."""
REFERENCE_LIMIT = 1_000
"""Characters that a reference may have."""
_HTML = ("<!doctype", "<html", "<head", "<body", "<?xml")
_HALF = re.compile("[\ud800-\udfff]")
_SEPARATORS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}


class ReferencesError(UserError):
    """The file holds no references; one sentence says what was found and what is allowed."""


class ReferenceList(msgspec.Struct, frozen=True):
    """References in the order in which they came, each once."""

    names: list[str]
    duplicates: int
    """References that were there already and are left out."""
    blanks: int
    """Lines or rows without a reference."""


def read_references(
    data: BinaryIO | Path, *, column: str | None, delimiter: str = ",", encoding: str = "utf-8-sig"
) -> ReferenceList:
    """Read references, one a line, or with `column` out of that column of a CSV whose first row names the columns.

    White space around a reference does not belong to it. A byte order mark and any kind of line end are fine; a file
    that begins with the mark of UTF-16 is read as such.

    Args:
        data: the file, or its path.
        column: name of the column; upper and lower case count only where both occur.
        delimiter: between the fields of the CSV.
        encoding: of the text.

    Raises:
        ReferencesError: it cannot be read, is no such text, or there is no reference in it.
    """
    if len(delimiter) != 1 or delimiter in '\r\n"\0' or not delimiter.isascii():
        raise ReferencesError(f"{delimiter!r} cannot separate the fields of a CSV; give one character, such as , or ;")
    name = str(data) if isinstance(data, Path) else str(getattr(data, "name", "the input"))
    name = "standard input" if name == "<stdin>" else name
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(data.open("rb")) if isinstance(data, Path) else data
            text = _as_text(file, encoding, name)
            stack.callback(text.detach)  # or standard input would be closed with the wrapper
            source = _Source(text, name)
            found = source.lines() if column is None else _cells(source, column, delimiter)
            return _collect(found, source)
        except OSError as error:
            raise ReferencesError(f"{name} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise ReferencesError(
                f"{name} is no text in {error.encoding}: there is a byte 0x{byte:02x} in it"
            ) from error
        except UnicodeError as error:
            raise ReferencesError(f"{name} is no text in {encoding}: {error}") from error


def _as_text(file: BinaryIO, encoding: str, name: str) -> io.TextIOWrapper:
    try:
        encoding = codecs.lookup(encoding).name
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)  # there are codecs from bytes to bytes, too
    except (LookupError, ValueError) as error:
        raise ReferencesError(f"{encoding[:60]!r} is no text encoding; utf-8 and cp1252 are common ones") from error
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(_Unbuffered(file))
    start = buffered.peek(4)[:4]
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif encoding == "utf-8":
        encoding = "utf-8-sig"
    if not start:
        raise ReferencesError(f"{name} is empty; one reference a line, or a CSV, is expected")
    return io.TextIOWrapper(buffered, encoding=encoding, newline="")


class _Unbuffered(io.RawIOBase):
    """Any binary file as what `io.BufferedReader` wants; it is not closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # the base class takes any buffer
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Source:
    """The lines of a text, none of them longer than is sensible, with the number of the one that was read last."""

    def __init__(self, text: io.TextIOWrapper, name: str) -> None:
        self.name = name
        self.number = 0
        self._text = text

    def lines(self) -> Iterator[str]:
        while line := self._text.readline(LINE_LIMIT + 1):
            self.number += 1
            if len(line) > LINE_LIMIT:
                raise self.wrong(f"is longer than {LINE_LIMIT} characters; this is no list of references")
            if "\0" in line:
                raise self.wrong("holds a zero byte: the file is binary, and text is expected")
            if self.number <= 3 and line.lstrip().casefold().startswith(_HTML):  # noqa: PLR2004 - past blank lines
                raise ReferencesError(f"{self.name} is a web page (HTML), and a list of references is expected")
            yield line

    def wrong(self, what: str) -> ReferencesError:
        return ReferencesError(f"line {self.number} of {self.name} {what}")


def _cells(source: _Source, column: str, delimiter: str) -> Iterator[str]:
    # Strict, because a quote that is never closed would swallow the rest of the file without a word.
    rows = csv.reader(source.lines(), delimiter=delimiter, strict=True)
    try:
        header = next((row for row in rows if any(cell.strip() for cell in row)), None)
        if header is None:
            raise ReferencesError(f"{source.name} holds blank lines alone; a CSV is expected")
        place = _place_of(column, header, source, delimiter)
        for row in rows:
            yield row[place] if place < len(row) else ""
    except csv.Error as error:
        raise source.wrong(f"is no sound CSV: {error}") from error


def _place_of(column: str, header: list[str], source: _Source, delimiter: str) -> int:
    names = [cell.strip() for cell in header]
    for wanted, known in ((column.strip(), names), (column.strip().casefold(), [name.casefold() for name in names])):
        if known.count(wanted) == 1:
            return known.index(wanted)
        if wanted in known:
            raise ReferencesError(f"the column {column!r} is there {known.count(wanted)} times in {source.name}")
    if len(names) == 1:
        for separator, called in _SEPARATORS.items():
            if separator != delimiter and separator in names[0]:
                raise ReferencesError(
                    f"{source.name} has no column {column!r}; its first line has one field, {names[0][:200]!r}: "
                    f"are the fields separated by {called}?"
                )
    there = ", ".join(repr(name[:60]) for name in names[:20]) + (", …" if len(names) > 20 else "")  # noqa: PLR2004
    raise ReferencesError(f"{source.name} has no column {column!r}; there are {there}")


def _collect(found: Iterator[str], source: _Source) -> ReferenceList:
    names: dict[str, None] = {}
    total = blanks = 0
    for cell in found:
        reference = cell.strip()
        if not reference:
            blanks += 1
            continue
        if len(reference) > REFERENCE_LIMIT:
            raise source.wrong(
                f"holds a reference of {len(reference)} characters; at most {REFERENCE_LIMIT} are allowed"
            )
        if _HALF.search(reference):
            raise source.wrong("holds half a character, which some encodings can write; the file is damaged")
        total += 1
        names[reference] = None
    if not names:
        raise ReferencesError(f"{source.name} holds no reference")
    return ReferenceList(list(names), total - len(names), blanks)
