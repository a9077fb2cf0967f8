"""What all tests share: the demo website and nights against it, which always end, and the order of the tests."""

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from supervisor import bytecode
from tests.end_to_end.harness import Night, Site, night, website
from tests.order import spread
from tests.terminal import Terminal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what it runs in the background. What the tests start would inherit it, and be deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
bytecode.keep()  # for the processes that the tests start, some of which are no program's
# The tests start hundreds of browsers, and each one's driver would be compiled anew: a fifth of what its start takes.
os.environ.setdefault("NODE_COMPILE_CACHE", str(Path(sys.prefix) / "node"))
# How long an example takes says how busy the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(trylast=True)  # what the marks deselect is gone then
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests between the others."""
    long = [item for item in items if item.get_closest_marker("long") is not None]
    rest = [item for item in items if item.get_closest_marker("long") is None]
    items[:] = spread(long, [list(group) for _, group in itertools.groupby(rest, lambda item: item.path)])


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
