"""On which line of a TOML text each key stands, for messages. The text has been parsed by `tomllib` already.

A path is a tuple of keys and, in arrays, numbers counted from 0: ``("vehicle", "steps", 0, "click")``. The rules are
those of TOML 1.0: headers, arrays of tables, dotted and quoted keys, inline tables, four kinds of strings.
"""

import re
from collections.abc import Mapping

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}\r\n#]*")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"""(?:"{0,2})', re.DOTALL),
    re.compile(r"'''.*?'''(?:'{0,2})", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([btnfr"\\]))')
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def lines_of(text: str) -> Mapping[Path, int]:
    """Return the line, counted from 1, of every key and array element of `text`, which is valid TOML."""
    return _Scanner(text).scan()


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of `path`, or of the nearest thing around it that the text has; 1 for nothing at all."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}
        """How many tables each array of tables has so far."""

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self._skip(_BETWEEN)
            if self._at >= len(self._text):
                return self._lines
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        array = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if array else 1
        keys = self._key()
        self._at += 2 if array else 1
        path: Path = ()
        for number, key in enumerate(keys):
            path = (*path, key)
            last = number == len(keys) - 1
            if last and array:
                self._lines.setdefault(path, line)
                self._tables[path] = self._tables.get(path, -1) + 1
            if path in self._tables:
                path = (*path, self._tables[path])
            self._lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._key():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            keys.append(self._name())
            self._skip(_SPACE)
            if self._text[self._at : self._at + 1] != ".":
                return keys
            self._at += 1

    def _name(self) -> str:
        start = self._at
        if self._string():
            quoted = self._text[start : self._at]
            return _ESCAPE.sub(_unescape, quoted[1:-1]) if quoted[0] == '"' else quoted[1:-1]
        if not self._skip(_BARE):
            raise ValueError(f"no key at offset {start}: the text is no TOML")
        return self._text[start : self._at]

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        first = self._text[self._at : self._at + 1]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        elif not self._string():
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        number = 0
        while True:
            self._skip(_BETWEEN)
            if self._text[self._at : self._at + 1] in {"]", ""}:
                self._at += 1
                return
            self._lines.setdefault((*path, number), self._line())
            self._value((*path, number))
            number += 1
            self._skip(_BETWEEN)
            if self._text[self._at : self._at + 1] == ",":
                self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while True:
            self._skip(_BETWEEN)
            if self._text[self._at : self._at + 1] in {"}", ""}:
                self._at += 1
                return
            self._pair(path)
            self._skip(_BETWEEN)
            if self._text[self._at : self._at + 1] == ",":
                self._at += 1

    def _string(self) -> bool:
        return any(self._skip(pattern) for pattern in _STRINGS)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found is None:
            return False
        moved = found.end() > self._at
        self._at = found.end()
        return moved

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1


def _unescape(match: re.Match[str]) -> str:
    short, long, plain = match.groups()
    return _ESCAPED[plain] if plain else chr(int(short or long, 16))
