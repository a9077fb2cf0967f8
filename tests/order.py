"""The order of the tests: long ones, most of whose time is waiting, stand between files of others, which compute."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(long: Sequence[T], files: Sequence[Sequence[T]]) -> list[T]:
    """Return all items, the long ones evenly before the files: no fixture of a file has to be made twice."""
    if not files:
        return list(long)
    order: list[T] = []
    for number, file in enumerate(files):
        order += long[number * len(long) // len(files) : (number + 1) * len(long) // len(files)]
        order += file
    return order
