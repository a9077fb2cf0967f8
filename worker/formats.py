"""Formats of documents: told by what is in a file, never by its name; each with the light check that it is whole.

Sources of the marks: ISO 32000-1 (PDF), ITU T.81 (JPEG), RFC 2083 (PNG), GIF89a, RFC 9649 (WebP), TIFF 6.0,
PKWARE's APPNOTE (ZIP), ECMA-376 and ISO 26300 (office files are archives), MS-CFB (the older ones), RTF 1.9.
"""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from worker import instead
from worker.protocol import Kind
from worker.site import SiteFailure

HEAD = 64 * 1024
"""Bytes of a file's beginning by which its format is told."""

ANY = "any"
"""The wish for whatever comes, known format or not."""

_HEADER_WINDOW = 1024  # bytes in which a reader looks for the header (ISO 32000-1, annex H, note 13)
_TRAILER_WINDOW = 2048  # bytes at the end that hold startxref and %%EOF, with room for what servers append
_MOST_UNPACKED = 2_000_000_000  # bytes that an archive may unpack to and still be read through: it may be a bomb
_PEDANTRY = re.compile(r"kid \d+ \(from -?\d+\)|not one plus the highest object number")
"""What qpdf says of pages that leave out what the standard demands, and of tables that count wrongly: many programs
write such files, every reader shows them, and no byte of them is missing."""

_MOST_PIXELS = 50_000_000
_LONGEST_JSON = 20_000_000  # bytes; a longer one is not parsed
_PASSWORD_FIELD = re.compile(rb"(?i)<input[^>]+type\s*=\s*[\"']?password")
_SCRIPTS = {"php", "asp", "aspx", "jsp", "do", "cgi", "ashx", "axd", "action", "bin", "dat", "tmp", "file", "download"}
"""Extensions that say how a file was served and not what it is."""


class Checked(msgspec.Struct, frozen=True):
    """What the check of a whole file found."""

    pages: int | None = None
    """Of a PDF that could be opened."""
    protected: bool = False
    """It opens with a password only: whole as far as anybody without it can tell."""


class Format(msgspec.Struct, frozen=True):
    """One format that a recipe can name."""

    name: str
    noun: str
    extensions: tuple[str, ...]
    check: Callable[[Path, bytes], Checked]
    """Takes the file and its first `HEAD` bytes; raises `Broken`."""


class Broken(Exception):  # noqa: N818 - an answer: it becomes a `SiteFailure` that names the document
    """The file is not whole; the clause says why, as in "invoice.pdf is cut off"."""


# ----------------------------------------------------------------------------------------------------- the checks
def check_pdf(path: Path, head: bytes) -> Checked:
    """Open a PDF without mending it: readers mend truncated files silently, so what needs mending counts as broken.

    Raises:
        Broken: it is cut off, damaged, or has no page.
    """
    del head
    if not _tail_has(path, b"startxref", b"%%EOF"):
        raise Broken("is cut off: the end of the PDF is missing")
    import pikepdf  # noqa: PLC0415 - a worker that starts has to be quick; its first document may wait a moment

    try:
        with pikepdf.open(path, attempt_recovery=False, suppress_warnings=True) as pdf:
            pages = len(pdf.pages)
            warnings = [text for text in map(str, pdf.get_warnings()) if not _PEDANTRY.search(text)]
    except pikepdf.PasswordError:
        return Checked(protected=True)
    except (pikepdf.PdfError, ValueError, RuntimeError) as error:  # qpdf's errors arrive as any of these
        raise Broken(f"is damaged: {str(error).replace(str(path), 'it')[:200]}") from error
    if warnings:
        raise Broken(f"is damaged: {warnings[0].replace(str(path), 'it')[:200]}")
    if pages == 0:
        raise Broken("has no page")
    return Checked(pages)


def check_image(path: Path, head: bytes) -> Checked:
    """Read an image to its end; one of too many pixels to hold them is believed by its beginning.

    Raises:
        Broken: it is cut off or damaged.
    """
    del head
    from PIL import Image  # noqa: PLC0415 - as pikepdf

    try:
        with Image.open(path) as image:
            if image.format == "PNG":
                image.verify()  # every checksum, without unpacking
            elif image.format == "JPEG" or image.width * image.height <= _MOST_PIXELS:
                image.draft("L", (1, 1))  # a JPEG is read to its end at an eighth of its size; others as they are
                image.load()
    except Image.DecompressionBombError:
        return Checked()
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's words for what is no image
        raise Broken(f"is damaged: {str(error).replace(str(path), 'it')[:200]}") from error
    return Checked()


def check_archive(path: Path, head: bytes) -> Checked:
    """Read an archive's directory and, unless it unpacks to more than 2 GB, the checksum of everything in it.

    Raises:
        Broken: its end is missing, or something in it is damaged.
    """
    del head
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            protected = any(entry.flag_bits & 1 for entry in entries)
            readable = not protected and sum(entry.file_size for entry in entries) <= _MOST_UNPACKED
            damaged = archive.testzip() if readable else None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise Broken(f"is cut off or damaged: {error}") from error
    if damaged:
        raise Broken(f"is damaged: {damaged[:100]!r} in it has another checksum than it should")
    return Checked(protected=protected)


def check_rtf(path: Path, head: bytes) -> Checked:
    """Look for the brace that closes the document.

    Raises:
        Broken: it is missing.
    """
    del head
    if not _tail_has(path, b"}"):
        raise Broken("is cut off: the end of the document is missing")
    return Checked()


def check_json(path: Path, head: bytes) -> Checked:
    """Parse it.

    Raises:
        Broken: it is no JSON, or only a part of it.
    """
    del head
    if path.stat().st_size > _LONGEST_JSON:
        return Checked()
    try:
        json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Broken(f"is no whole JSON: {error}") from error
    return Checked()


def unchecked(path: Path, head: bytes) -> Checked:
    """Believe a format that has no mark of its end: its length was compared with the promised one before."""
    del path, head
    return Checked()


def _tail_has(path: Path, *marks: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TRAILER_WINDOW))
        tail = file.read()
    return all(mark in tail for mark in marks)


FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        Format("pdf", "a PDF", ("pdf",), check_pdf),
        Format("jpg", "a JPEG image", ("jpg", "jpeg", "jpe", "jfif"), check_image),
        Format("png", "a PNG image", ("png",), check_image),
        Format("gif", "a GIF image", ("gif",), check_image),
        Format("webp", "a WebP image", ("webp",), check_image),
        Format("tiff", "a TIFF image", ("tif", "tiff"), check_image),
        Format("docx", "a Word document", ("docx", "docm"), check_archive),
        Format("xlsx", "an Excel workbook", ("xlsx", "xlsm"), check_archive),
        Format("pptx", "a PowerPoint presentation", ("pptx", "pptm"), check_archive),
        Format("odt", "an OpenDocument text", ("odt",), check_archive),
        Format("ods", "an OpenDocument spreadsheet", ("ods",), check_archive),
        Format("zip", "a ZIP archive", ("zip",), check_archive),
        Format("doc", "an older Word document", ("doc",), unchecked),
        Format("xls", "an older Excel workbook", ("xls",), unchecked),
        Format("rtf", "an RTF document", ("rtf",), check_rtf),
        Format("html", "a web page", ("html", "htm"), unchecked),
        Format("xml", "an XML file", ("xml",), unchecked),
        Format("json", "a JSON file", ("json",), check_json),
        Format("csv", "a table of text", ("csv", "tsv"), unchecked),
        Format("txt", "plain text", ("txt",), unchecked),
    )
}
"""By the name that a recipe uses. Texts have no mark: which of them a text is, name and wish decide together."""

_MARKS = tuple(
    (re.compile(mark, re.DOTALL | re.IGNORECASE if name == "html" else re.DOTALL), name)
    for mark, name in (
        (rb"\xff\xd8\xff", "jpg"),
        (rb"\x89PNG\r\n\x1a\n", "png"),
        (rb"GIF8[79]a", "gif"),
        (rb"RIFF....WEBP", "webp"),
        (rb"II\*\0|MM\0\*", "tiff"),
        (rb"PK\x03\x04|PK\x05\x06", "zip"),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"),
        (rb"\{\\rtf", "rtf"),
        (rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<body|<!--|<script)", "html"),
    )
)
"""What files of a format begin with."""

_TEXTS = ("json", "csv", "txt")
_OPEN_DOCUMENTS = {
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
}
_OFFICE_FOLDERS = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"))
_OLD_OFFICE = ("doc", "xls")
_BY_EXTENSION = {extension: known.name for known in FORMATS.values() for extension in known.extensions}


# ------------------------------------------------------------------------------------------------- which one it is
def identify(path: Path, head: bytes, extension: str = "") -> str:
    """Return the name of the format that a file has by its content, or nothing when it has none that we know.

    `extension` (lower case, no point) decides only between formats whose content looks alike.
    """
    name = next((name for mark, name in _MARKS if mark.match(head)), "")
    if not name:
        return "pdf" if b"%PDF-" in head[:_HEADER_WINDOW] else _text(head, extension)
    if name == "doc" and extension in _OLD_OFFICE:
        return extension
    return _archive(path) if name == "zip" else name


def is_html(head: bytes) -> bool:
    """Say whether a file begins like a web page, as servers send in place of what was asked for."""
    return _MARKS[-1][0].match(head) is not None


def _archive(path: Path) -> str:
    """Tell an office file from another archive by what is in it; a broken one is an archive, as its check will say."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < _HEADER_WINDOW:
                kind = archive.read("mimetype").decode("ascii", "replace")
                return _OPEN_DOCUMENTS.get(kind, "zip")
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        return "zip"
    if "[Content_Types].xml" in names:
        for folder, name in _OFFICE_FOLDERS:
            if any(entry.startswith(folder) for entry in names):
                return name
    return "zip"


def _text(head: bytes, extension: str) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", "ignore")
    elif b"\0" in head or not head:
        return ""
    else:
        text = head.decode("utf-8", "replace")
    if sum(character < " " and character not in "\t\r\n\f\x1b" for character in text) > len(text) // 100:
        return ""
    if text.removeprefix("\ufeff").lstrip().startswith("<?xml"):
        return "xml"
    named = _BY_EXTENSION.get(extension, "")
    return named if named in (*_TEXTS, "xml") else "txt"


def examine(path: Path, head: bytes, name: str, expected: tuple[str, ...]) -> tuple[str, Checked]:
    """Return format and check of a whole file that is proposed to be called `name`, if it is an `expected` one.

    Raises:
        SiteFailure: `SESSION_EXPIRED` for the login page, else `DOCUMENT_INVALID`, saying what it is instead.
    """
    format_name = identify(path, head, extension_of(name))
    refuse_login_page(name, head)
    if format_name in _TEXTS and format_name not in expected:  # a table that somebody calls .txt, say
        format_name = next((wish for wish in expected if wish in _TEXTS), format_name)
    if format_name not in expected and ANY not in expected:
        is_what = FORMATS[format_name].noun if format_name else f"of no known kind: it begins with {head[:16]!r}"
        says = instead.of_file(head) if is_html(head) else ""
        if says and (title := instead.title_of(head)):
            is_what = f"{is_what} with the title {title!r}"
        failure = invalid(name, f"is {is_what}, and what the recipe expects is {', '.join(expected)}")
        failure.instead = says
        raise failure
    try:
        return format_name, FORMATS[format_name].check(path, head) if format_name else Checked()
    except Broken as broken:
        raise invalid(name, str(broken)) from broken


def refuse_login_page(name: str, head: bytes) -> None:
    """Raise when the first bytes of a file are a page that asks for a password.

    Raises:
        SiteFailure: `SESSION_EXPIRED`.
    """
    if is_html(head) and _PASSWORD_FIELD.search(head):
        raise SiteFailure(Kind.SESSION_EXPIRED, f"the login page came in place of {name}")


def fitting_name(name: str, format_name: str) -> str:
    """Return `name` with an extension that its format has, so that people can open the file."""
    if not format_name:
        return name
    extensions = FORMATS[format_name].extensions
    extension = extension_of(name)
    if extension in extensions:
        return name
    if extension in _SCRIPTS or extension in _BY_EXTENSION:
        name = name[: -len(extension) - 1]
    elif format_name in _TEXTS and extension:
        return name  # a .log is a text, and any other name for one is as good
    return f"{name}.{extensions[0]}"


def extension_of(name: str) -> str:
    """Return the extension in lower case, without its point."""
    return Path(name).suffix.lower().removeprefix(".")


def invalid(name: str, complaint: str) -> SiteFailure:
    """Return the failure of a document that is not what it should be."""
    return SiteFailure(Kind.DOCUMENT_INVALID, f"{name} {complaint}")
