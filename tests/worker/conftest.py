"""Fixtures for the worker's tests: the test site and children that always end."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.child import Child
from tests.worker.lot_site import LotSite


@pytest.fixture(scope="module")
def lot() -> Iterator[LotSite]:
    """The test site, running."""
    with LotSite() as site:
        yield site


@pytest.fixture
def start(lot: LotSite, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Start children that are killed at the end of the test, whatever happened."""
    children: list[Child] = []

    def start(**changes: Any) -> Child:
        child = Child(tmp_path / f"child-{len(children)}", lot.url, **changes)
        children.append(child)
        return child

    yield start
    for child in children:
        child.end()
