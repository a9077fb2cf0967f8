"""Fixtures that several folders of tests share: the demo website and nights against it, which always end."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import Night, Site, night, website
from tests.terminal import Terminal


@pytest.fixture
def open_site() -> Iterator[Callable[..., Site]]:
    """Start demo websites that end with the test."""
    with contextlib.ExitStack() as stack:

        def start(vehicles: int, faults: str = "none") -> Site:
            return stack.enter_context(website(vehicles, faults))

        yield start


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Night]]:
    """Make nights that are over, with every process, at the end of the test."""
    with contextlib.ExitStack() as stack:

        def make(url: str, site: str = "demo", name: str = "night", **options: str | float) -> Night:
            return stack.enter_context(night(tmp_path / name, url, site, **options))

        yield make


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in a folder of its own."""
    one = Terminal(tmp_path)
    yield one
    one.close()
