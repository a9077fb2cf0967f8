"""The words of a selector, of any of Playwright's engines: by these the things of a page are compared with it."""

import re
from typing import Literal

import msgspec

Sort = Literal["id", "class", "name", "text", "tag"]

_ATTRIBUTES = r"name|type|for|href|title|placeholder|aria-label|data-[\w-]+"

_PATTERNS: tuple[tuple[Sort, re.Pattern[str]], ...] = (
    ("id", re.compile(r"#((?:[\w-]|\\.)+)")),
    ("id", re.compile(r"""@?\bid\s*[~|^$*]?=\s*["']?([^"'\]]+)""")),
    ("class", re.compile(r"\.((?:[A-Za-z_-]|\\.)(?:[\w-]|\\.)*)")),
    ("class", re.compile(r"""@?\bclass\s*(?:[~|^$*]?=|,)\s*["']?([^"'\])]+)""")),
    ("name", re.compile(rf"""@?\b(?:{_ATTRIBUTES})\s*[~|^$*]?=\s*["']?([^"'\]]+)""")),
    ("text", re.compile(r"""(?:has-text|text-is|text|text-matches)\(\s*["']?([^"')]+)""")),
    ("text", re.compile(r"""\btext\s*=\s*["'/]?([^"'/>]+)""")),
    ("text", re.compile(r"""internal:(?:text|label|attr|has-text)=[^"]*"([^"]*)\"""")),
    ("text", re.compile(r"""(?:text\(\)|contains\([^,]*,)\s*=?\s*["']([^"']+)""")),
    ("text", re.compile(r"""\[name="([^"]*)"[is]\]""")),
)  # fmt: skip
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_TAG = re.compile(r"(?:^|[\s>+~,(/])([a-z][a-z0-9-]*)(?=$|[\s>+~,.#\[:)/])")
_NO_CSS = re.compile(r"\[[^\]]*\]|\btext\s*=[^>]*")
_NO_TAGS = frozenset({"nth", "visible", "true", "false", "css", "xpath", "text", "internal", "and", "or", "not", "has"})


class Word(msgspec.Struct, frozen=True):
    """One thing that a selector asks for."""

    sort: Sort
    text: str


def words(selector: str) -> tuple[Word, ...]:
    """Return what `selector` asks for, the most telling first: ids, classes, names, texts, then tags."""
    found: dict[Word, None] = {}
    # A dot or a hash within quotation marks is no class and no id.
    bare = _QUOTED.sub('""', selector)
    for sort, pattern in _PATTERNS:
        subject = bare if pattern.pattern.startswith(("#", r"\.")) else selector
        for match in pattern.finditer(subject):
            if text := match[1].replace("\\", "").strip():
                found[Word(sort, text)] = None
    for match in _TAG.finditer(_NO_CSS.sub("", bare)):
        if match[1] not in _NO_TAGS:
            found[Word("tag", match[1])] = None
    return tuple(found)
