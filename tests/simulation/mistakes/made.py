"""The list of mistakes, and how one is added to it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from supervisor.core.failures import RULES
from supervisor.core.state import RunState
from tests.simulation.trouble import Night, Trouble
from worker.protocol import Kind

Patch = pytest.MonkeyPatch
Apply = Callable[[Patch], None]
MISTAKES: dict[str, tuple[Apply, Night | None]] = {}
"""By name: how to make it, and the kind of night in which it matters; None for those that any seed gives."""


def mistake(apply: Apply, one: Night | None = None) -> Apply:
    """Add one to the list, under its name."""
    MISTAKES[apply.__name__] = (apply, one)
    return apply


def mistake_in(*troubles: Trouble, references: int = 40, workers: int = 3) -> Callable[[Apply], Apply]:
    """Add one that shows only in nights with just these troubles."""
    return lambda apply: mistake(apply, Night(0, references, workers, frozenset(troubles)))


def without_records(patch: Patch, kind: type, unless: Callable[[Any], bool] = lambda _: False) -> None:
    """Have the core forget the records of a kind."""
    write = RunState.write

    def forgetful(run: RunState, record: Any) -> None:
        if not isinstance(record, kind) or unless(record):
            write(run, record)

    patch.setattr(RunState, "write", forgetful)


def change_rule(patch: Patch, kind: Kind, **changes: Any) -> None:
    """Change what the core's table says of a kind of failure."""
    patch.setitem(RULES, kind, msgspec.structs.replace(RULES[kind], **changes))
