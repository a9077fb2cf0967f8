"""Parsed TOML against the schema: every problem with its path, what was found and what is expected.

msgspec would stop at the first problem and cannot say in which element of an array it is; a recipe's author needs both.
"""

import difflib
import re
from typing import Any

import msgspec
from msgspec import inspect

from worker.sites.declarative.schema import Recipe
from worker.sites.declarative.toml_lines import Path

_LONGEST = 80


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong in a recipe."""

    path: Path
    found: str
    expected: str
    found_path: Path | None = None
    """Where the text has it, when that is another place than `path`."""


class Value(msgspec.Struct, frozen=True):
    """A text in the recipe that is of the right type, and the form that it must have (see `schema`)."""

    path: Path
    text: str
    form: str
    expected: str


def shown(value: object) -> str:
    """Return what was found in a few words."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
            return f"the text {text!r}"
        case int() | float():
            return f"the number {str(value)[:_LONGEST]}"
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return f"the {type(value).__name__} {str(value)[:_LONGEST]}"


def key_path(path: Path) -> str:
    """Return a path as people write it: ``vehicle.steps[0].click``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text[:200]


def examine(data: dict[str, Any]) -> tuple[list[Problem], list[Value]]:
    """Return what the schema has against `data`, and the texts whose form is still to be judged."""
    checker = _Checker()
    checker.check(inspect.type_info(Recipe), data, ())
    return checker.problems, checker.values


class _Checker:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.values: list[Value] = []

    def check(self, kind: inspect.Type, value: Any, path: Path, extra: dict[str, Any] | None = None) -> None:
        extra = extra or {}
        match kind:
            case inspect.Metadata():
                self.check(kind.type, value, path, extra | (kind.extra or {}))
            case inspect.UnionType():
                inner = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
                self.check(inner, value, path, extra)
            case inspect.StructType():
                self._table(kind, value, path)
            case inspect.VarTupleType():
                self._array(kind, value, path)
            case inspect.DictType():
                self._names(value, path)
            case inspect.StrType():
                self._text(kind, value, path, extra)
            case inspect.BoolType():
                if not isinstance(value, bool):
                    self._wrong(path, value, "true or false")
            case inspect.IntType() | inspect.FloatType():
                self._number(kind, value, path)
            case _:
                raise TypeError(f"the schema has a type that is not checked: {kind}")

    def _table(self, kind: inspect.StructType, value: Any, path: Path) -> None:
        if not isinstance(value, dict):
            self._wrong(path, value, f"a table with {_listed([field.name for field in kind.fields])}")
            return
        fields = {field.name: field for field in kind.fields}
        for name, inner in value.items():
            if name in fields:
                self.check(fields[name].type, inner, (*path, name))
            else:
                self.problems.append(Problem((*path, name), "an unknown key", _nearest(name, list(fields))))
        for field in kind.fields:
            if field.required and field.name not in value:
                expected = f"{_expected(field.type)}, because this key is needed"
                self.problems.append(Problem((*path, field.name), "nothing", expected, path))

    def _array(self, kind: inspect.VarTupleType, value: Any, path: Path) -> None:
        if not isinstance(value, list):
            self._wrong(path, value, f"an array, each element {_expected(kind.item_type)}")
            return
        if len(value) < (kind.min_length or 0):
            self.problems.append(Problem(path, "an empty array", f"an array, each element {_expected(kind.item_type)}"))
        for number, inner in enumerate(value):
            self.check(kind.item_type, inner, (*path, number))

    def _names(self, value: Any, path: Path) -> None:
        if not isinstance(value, dict):
            self._wrong(path, value, "a table of texts")
            return
        for name, inner in value.items():
            if not isinstance(inner, str):
                self._wrong((*path, name), inner, "a text")

    def _text(self, kind: inspect.StrType, value: Any, path: Path, extra: dict[str, Any]) -> None:
        expected = extra.get("expected") or _text_expected(kind)
        if (
            not isinstance(value, str)
            or len(value) < (kind.min_length or 0)
            or len(value) > (kind.max_length or len(value))
            or (kind.pattern is not None and not re.search(kind.pattern, value))
        ):
            self._wrong(path, value, expected)
        else:
            self.values.append(Value(path, value, extra.get("form", ""), expected))

    def _number(self, kind: inspect.IntType | inspect.FloatType, value: Any, path: Path) -> None:
        whole = isinstance(kind, inspect.IntType)
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        low = kind.gt is not None and number and value > kind.gt if kind.ge is None else number and value >= kind.ge
        high = kind.le is None or (number and value <= kind.le)
        if not (number and low and high):
            self._wrong(path, value, _expected(kind))

    def _wrong(self, path: Path, value: object, expected: str) -> None:
        self.problems.append(Problem(path, shown(value), expected))


def _expected(kind: inspect.Type, extra: dict[str, Any] | None = None) -> str:
    extra = extra or {}
    match kind:
        case inspect.Metadata():
            return _expected(kind.type, extra | (kind.extra or {}))
        case inspect.UnionType():
            return _expected(next(one for one in kind.types if not isinstance(one, inspect.NoneType)), extra)
        case inspect.StrType():
            return str(extra.get("expected") or _text_expected(kind))
        case inspect.IntType() | inspect.FloatType():
            noun = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
            low = f"at least {kind.ge:g}" if kind.ge is not None else f"above {kind.gt:g}"
            return f"{noun}, {low} and at most {kind.le:g}"
        case inspect.StructType():
            return f"a table with {_listed([field.name for field in kind.fields])}"
        case _:
            return "true or false" if isinstance(kind, inspect.BoolType) else "an array or a table"


def _text_expected(kind: inspect.StrType) -> str:
    if kind.max_length == 1:
        return "one character"
    at_least = "that is not empty, " if kind.min_length else ""
    return f"a text {at_least}of at most {kind.max_length} characters"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{near[0]} (did you mean that?)" if near else f"one of {_listed(known)}"


def _listed(names: list[str]) -> str:
    return ", ".join(names)
