"""A part of the long tests: each run of the checks takes another one, so that all are run every few commits."""

import argparse
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def share(text: str) -> tuple[int, int]:
    """Read ``K/N``, the K-th of N shares.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    number, _, shares = text.partition("/")
    if not (number.isdecimal() and shares.isdecimal() and 1 <= int(number) <= int(shares)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share, it must be K/N with 1 <= K <= N, such as 2/4")
    return int(number), int(shares)


def taken(items: Iterable[T], number: int, shares: int) -> list[T]:
    """Return every `shares`-th item, beginning with the `number`-th: neighbours, which are alike, go apart."""
    return list(items)[number - 1 :: shares]
