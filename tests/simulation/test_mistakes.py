"""The simulator is worth what it finds: every deliberate mistake, within a bounded number of nights."""

import msgspec
import pytest

from tests.simulation.mistakes import MISTAKES
from tests.simulation.nights import play
from tests.simulation.trouble import night

_NIGHTS = 400


@pytest.mark.parametrize("name", MISTAKES)
def test_finds_the_mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A core with this mistake breaks a promise that the simulator sees."""
    apply, pattern = MISTAKES[name]
    apply(monkeypatch)
    for seed in range(_NIGHTS):
        one = night(seed, 40) if pattern is None else msgspec.structs.replace(pattern, seed=seed)
        if play(one).error:
            return
    pytest.fail(f"{_NIGHTS} nights, and nobody noticed")


def test_there_are_enough_of_them() -> None:
    """The list is long enough to mean something."""
    assert len(MISTAKES) >= 50
