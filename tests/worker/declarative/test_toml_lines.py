"""The line of every key is found, however TOML lets it be written."""

import tomllib
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sites.declarative.toml_lines import Path, line_of, lines_of

TEXT = '''# a comment with [brackets] = "and quotes"
name = "lot" # [not.a.table]
"quoted key" = 1
'literal.key' = 2
dotted.key.deep = 3

[login]
url = """
[fake]
fake = 1
"""
steps = [
    { fill = "#user", secret = "A" },
    # a comment between

    { fill = "#pass]word", secret = "B" },
]

[references.listing]
literal = \'\'\'
[also.fake]\'\'\'
numbers = [[1, 2], [
  3]]
inline = { a = { b = [1,
  { c = "}" }] }, d.e = 5 }

[[fruit]]
name = "apple"
[fruit.physical]
color = "red"
[[fruit.variety]]
name = "one"
[[fruit.variety]]
name = "two"
[[fruit]]
name = "banana"
escaped = "a \\" [b] = 1"
"tab\\tkey" = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("quoted key",), 3),
        (("literal.key",), 4),
        (("dotted",), 5),
        (("dotted", "key", "deep"), 5),
        (("login",), 7),
        (("login", "url"), 8),
        (("login", "steps"), 12),
        (("login", "steps", 0, "secret"), 13),
        (("login", "steps", 1), 16),
        (("login", "steps", 1, "secret"), 16),
        (("references",), 19),
        (("references", "listing", "literal"), 20),
        (("references", "listing", "numbers", 1, 0), 23),
        (("references", "listing", "inline", "a", "b", 1, "c"), 25),
        (("references", "listing", "inline", "d", "e"), 25),
        (("fruit", 0, "name"), 28),
        (("fruit", 0, "physical", "color"), 30),
        (("fruit", 0, "variety", 0, "name"), 32),
        (("fruit", 0, "variety", 1, "name"), 34),
        (("fruit", 1, "name"), 36),
        (("fruit", 1, "escaped"), 37),
        (("fruit", 1, "tab\tkey"), 38),
    ],
)
def test_each_key_has_its_line(path: Path, line: int) -> None:
    """Tables, arrays of tables, dotted keys, inline tables and strings that look like keys."""
    assert lines_of(TEXT)[path] == line


def test_what_is_missing_has_the_line_of_what_is_around_it() -> None:
    """A key that is not there is shown at its table; in an empty text everything is on line 1."""
    assert line_of(lines_of(TEXT), ("login", "submit")) == 7
    assert line_of(lines_of(TEXT), ("login", "steps", 1, "value")) == 16
    assert line_of(lines_of(""), ("base_url",)) == 1


def paths(value: object, path: Path = ()) -> list[Path]:
    match value:
        case dict():
            table = cast("dict[str, object]", value)
            return [path, *(one for key, inner in table.items() for one in paths(inner, (*path, key)))]
        case list():
            array = cast("list[object]", value)
            return [path, *(one for number, inner in enumerate(array) for one in paths(inner, (*path, number)))]
        case _:
            return [path]


def test_no_path_of_the_parsed_text_is_without_a_line() -> None:
    """What tomllib finds, the locator finds as well."""
    known = lines_of(TEXT)
    assert [path for path in paths(tomllib.loads(TEXT)) if path and path not in known] == []


KEYS = st.text(st.characters(codec="utf-8"), max_size=8)
SCALARS = st.integers(-9, 9) | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)


def written(value: Any) -> str:
    """Return a value as TOML on one line."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return quoted(value)
        case list():
            return "[ " + ", ".join(map(written, value)) + " ]"
        case _:
            return "{ " + ", ".join(f"{quoted(key)} = {written(inner)}" for key, inner in value.items()) + " }"


def quoted(text: str) -> str:
    plain = (
        character if character.isprintable() and character not in '"\\' else f"\\U{ord(character):08x}"
        for character in text
    )
    return '"' + "".join(plain) + '"'


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_every_key_of_any_document_is_found_on_its_line(data: dict[str, Any]) -> None:
    """One key a line, so that line N is the N-th key with all that it holds."""
    text = "\n".join(f"{quoted(key)} = {written(value)}" for key, value in data.items())
    assert tomllib.loads(text) == data
    known = lines_of(text)
    for number, (key, value) in enumerate(data.items(), 1):
        for path in paths(value, (key,)):
            assert known[path] == number
