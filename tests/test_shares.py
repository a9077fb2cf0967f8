import argparse

import pytest

from tests.shares import share, taken


def test_all_shares_together_are_everything_once() -> None:
    """Whatever the number of tests and of shares is, and none is much larger than another."""
    for count in range(30):
        for shares in range(1, 8):
            parts = [taken(range(count), number, shares) for number in range(1, shares + 1)]
            assert sorted(one for part in parts for one in part) == list(range(count))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_what_is_no_share_is_refused() -> None:
    """With what is allowed."""
    assert share("2/4") == (2, 4)
    for text in ("", "0/4", "5/4", "1", "1/", "/2", "-1/2", "a/b", "1/2/3"):
        with pytest.raises(argparse.ArgumentTypeError, match="it must be K/N"):
            share(text)
