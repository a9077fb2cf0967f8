"""Words and figures as people read them on a terminal; what comes from a site is made harmless first."""

import json
import unicodedata
from pathlib import Path

import msgspec

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_THOUSAND = 1000
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of letters that are none: they move a cursor, change a colour, reverse a line."""


def clean(text: str, limit: int = 200) -> str:
    """Return text that cannot move a cursor, change a colour, reverse a line or flood the screen."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join("�" if unicodedata.category(letter) in _INVISIBLE else letter for letter in cut)


def json_text(value: object, indent: int = 2) -> str:
    """Return JSON for a terminal or a program: what `clean` replaces is escaped in it, so that nothing is lost.

    Args:
        value: what is to be told.
        indent: 0 for one line.
    """
    encoded = msgspec.json.encode(value)
    text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        json.dumps(letter)[1:-1] if unicodedata.category(letter) in _INVISIBLE and letter != "\n" else letter
        for letter in text
    )


def as_typed(path: Path) -> str:
    """Return an absolute path as one would type it here: relative, where it is below the present folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def is_text(text: str) -> bool:
    """Say whether it can be written as UTF-8: a command line and the name of a file may hold bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def duration(seconds: float) -> str:
    """Return a duration in at most two units: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < 10 * _MINUTE:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def size(count: int) -> str:
    """Return a size in bytes with a decimal unit and at most three digits: ``412 MB``, ``2.1 GB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if round(value) < _THOUSAND:
            return f"{value:.0f} {unit}" if round(value, 1) >= 10 or unit == "B" else f"{value:.1f} {unit}"  # noqa: PLR2004
        value /= _THOUSAND
    return f"{value:.1f} TB"


def number(count: int) -> str:
    """Return a count with its thousands marked."""
    return f"{count:,}"


def noun(count: int, one: str) -> str:
    """Return a noun in the number that belongs to a count; `one` is its singular, to which an s is added."""
    return one if count == 1 else f"{one}s"


def plural(count: int, one: str) -> str:
    """Return a count with its noun in the right number, as `noun`."""
    return f"{number(count)} {noun(count, one)}"
