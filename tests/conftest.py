"""What all tests share: the demo website and nights against it, which always end, and the share of the long tests."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor import bytecode
from tests.end_to_end.harness import Night, Site, night, website
from tests.shares import share, taken
from tests.terminal import Terminal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what it runs in the background. What the tests start would inherit it, and be deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
bytecode.keep()  # for the processes that the tests start, some of which are no program's


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", metavar="K/N", type=share, default=(1, 1), help="of the long tests, the K-th N-th only")


def pytest_report_header(config: pytest.Config) -> str | None:
    number, shares = config.getoption("share")
    return f"share {number} of {shares} of the long tests" if shares > 1 else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    long = [item for item in items if item.get_closest_marker("long") is not None]
    left = set(long) - set(taken(long, *config.getoption("share")))
    if left:
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]


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
