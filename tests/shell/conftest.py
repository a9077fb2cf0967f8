"""A run directory, and processes for the tests of those who find, measure and kill them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.shell import linux
from supervisor.shell.processes import Processes, Target, WorkerProcess
from tests.shell import fake_children as fake
from tests.shell.stores import Store

Spawn = Callable[[Target], WorkerProcess]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A run directory with its ledger."""
    store = Store(tmp_path / "run")
    yield store
    store.close()


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Start children; whatever a test has noted of them is dead when it is over."""
    children: list[WorkerProcess] = []

    def start(target: Target) -> WorkerProcess:
        children.append(Processes(target).spawn(1, 1, fake.settings(tmp_path)))
        return children[-1]

    yield start
    for child in children:
        assert fake.tree_of(child).kill(fake.PATIENCE)
        fake.exit_code(child)
        child.close()


@pytest.fixture
def stranger() -> Iterator[linux.Stat]:
    """A process that belongs to nobody's tree and must never be touched."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    found = linux.stat(process.pid)
    assert found is not None
    yield found
    assert process.poll() is None, "a stranger was killed"
    process.kill()
    process.communicate()
