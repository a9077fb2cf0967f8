"""In whatever order the tests are, each is there once."""

import pytest

from tests.order import spread


@pytest.mark.parametrize("long", range(12))
@pytest.mark.parametrize("files", range(5))
def test_every_test_is_there_once(long: int, files: int) -> None:
    """However many long ones and files there are; a file stays together, and what is long keeps its order."""
    others = [[f"{file}.{number}" for number in range(3)] for file in range(files)]
    slow = [f"long {number}" for number in range(long)]
    order = spread(slow, others)
    assert sorted(order) == sorted([*slow, *(one for file in others for one in file)])
    assert [one for one in order if one in slow] == slow
    assert all(order[order.index(file[0]) :][: len(file)] == file for file in others)


def test_long_ones_are_spread_evenly() -> None:
    """Processes that begin at different places of the list have as many of them."""
    assert "".join(spread("abcde", ["12", "3", "45", "67"])) == "a12b3c45de67"
    assert "".join(spread("ab", ["12", "3", "45", "67"])) == "12a345b67"
