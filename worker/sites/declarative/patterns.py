"""Texts with placeholders, such as ``/vehicle/{ref}``: which there may be where, and how they are filled in."""

from collections.abc import Mapping
from string import Formatter
from urllib.parse import quote

NAME_FIELDS = ("filename", "stem", "extension", "text", "number", "ref")
"""What a pattern for the name of a saved file may hold."""

_FORMATTER = Formatter()


def placeholders(pattern: str) -> list[str]:
    """Return the names that stand in braces in `pattern`, in their order; ``{{`` and ``}}`` are braces themselves.

    Raises:
        ValueError: the braces do not match, or hold more than a name.
    """
    names = []
    for _, name, spec, conversion in _FORMATTER.parse(pattern):
        if name is None:
            continue
        if spec or conversion or not name.isidentifier():
            raise ValueError("braces hold more than a name")
        names.append(name)
    return names


def filled(pattern: str, values: Mapping[str, str]) -> str:
    """Return `pattern` with its placeholders replaced and doubled braces made single."""
    return "".join(
        literal + ("" if name is None else values[name]) for literal, name, _, _ in _FORMATTER.parse(pattern)
    )


def in_url(value: str) -> str:
    """Return `value` as it must stand within a segment or a query of a URL: nothing in it has a meaning there."""
    return quote(value, safe="")


def in_selector(value: str) -> str:
    """Return `value` as it must stand between the quotes of a selector."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
