"""File names for documents: what a header or an address proposes, read as browsers read it, and made safe.

Sources: RFC 6266 (Content-Disposition), RFC 8187 and RFC 5987 (``filename*``), RFC 2047 (``=?utf-8?b?…?=``), and
Chromium's `net/http/http_content_disposition.cc` for what servers send in place of these.
"""

import contextlib
import re
import unicodedata
from email.header import decode_header, make_header
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

_LONGEST_NAME = 120  # bytes, well below every file system's 255
_LONGEST_EXTENSION = 10
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\ufffd\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+')
"""What some file system forbids, control characters, and those that make a name look like another."""

_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))', re.DOTALL)
_QUOTED_PAIR = re.compile(r'\\(["\\])')
"""Only these two: a lone backslash is the separator of somebody's Windows path."""

_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_ENCODED_WORD = re.compile(r"=\?[^?]+\?[bBqQ]\?[^?]*\?=")
_UNTITLED = "document"


def safe_name(name: str) -> str:
    """Return `name` as a plain file name that is safe on every file system; never empty, never hidden."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    name = _FORBIDDEN.sub("_", name).strip(" .")
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > _LONGEST_EXTENSION:  # longer than any extension: part of the name
        stem, extension = name, ""
    room = _LONGEST_NAME - len(extension.encode()) - 1
    stem = stem.encode()[:room].decode(errors="ignore").strip(" .") or _UNTITLED
    name = f"{stem}.{extension}" if extension else stem
    return f"_{name}" if _RESERVED.match(name) else name


def proposed_name(disposition: str, url: str) -> str:
    """Return the name that a Content-Disposition header or else the URL proposes, not yet made safe.

    `disposition` is the header as it came, its bytes read as ISO 8859-1.
    """
    if found := last_part(_from_header(disposition)):
        return found
    return last_part(_decoded(urlsplit(url).path)) or _UNTITLED


def last_part(path: str) -> str:
    """Return what follows the last separator, of either kind: a name says nothing about folders of ours."""
    return path.replace("\\", "/").rstrip("/ ").rpartition("/")[2].strip()


def repaired(text: str) -> str:
    """Return `text` with UTF-8 that was taken for ISO 8859-1 or Windows-1252 read as what it is, if it is that."""
    for encoding in ("latin-1", "cp1252"):
        with contextlib.suppress(UnicodeError):
            again = text.encode(encoding).decode()
            if again != text:
                return again
    with contextlib.suppress(UnicodeError):  # not UTF-8: then the bytes are somebody's Windows-1252
        if any("\x80" <= character <= "\x9f" for character in text):
            return text.encode("latin-1").decode("cp1252")
    return text


def _from_header(disposition: str) -> str:
    """Return the file name of the header; the extended form wins where it can be read (RFC 6266, section 4.3)."""
    given: dict[str, str] = {}
    for name, quoted, token in _PARAMETER.findall(
        ";" + disposition if "=" in disposition.partition(";")[0] else disposition
    ):
        given.setdefault(name.lower(), _QUOTED_PAIR.sub(r"\1", quoted) if quoted else token.strip())
    return _extended(given.get("filename*", "")) or _plain(given.get("filename") or _continued(given))


def _extended(value: str) -> str:
    charset, mark, rest = value.strip('"').partition("'")
    _, mark, encoded = rest.partition("'")
    if not mark:
        return ""
    try:
        return repaired(unquote_to_bytes(encoded).decode(charset.strip() or "utf-8"))
    except (LookupError, UnicodeError):
        return ""


def _continued(given: dict[str, str]) -> str:
    """Return a name that came in numbered pieces (RFC 2231, section 3), as mail software sends it."""
    pieces: list[str] = []
    while (piece := given.get(f"filename*{len(pieces)}") or given.get(f"filename*{len(pieces)}*")) is not None:
        pieces.append(piece)
    text = "".join(pieces)
    return _extended(text) or text


def _plain(value: str) -> str:
    if _ENCODED_WORD.search(value):
        with contextlib.suppress(LookupError, UnicodeError, ValueError):
            return str(make_header(decode_header(value)))
    return _decoded(repaired(value))


def _decoded(value: str) -> str:
    """Undo percent-encoding where it yields UTF-8; a name with an ordinary percent sign stays as it is."""
    if not _ESCAPED.search(value):
        return value
    try:
        return unquote(value, errors="strict")
    except UnicodeError:
        return repaired(unquote(value, encoding="latin-1"))


def numbered(name: str, number: int) -> str:
    """Return the name for another document of the same name: ``invoice-2.pdf``."""
    path = Path(name)
    return f"{path.stem}-{number}{path.suffix}"
