"""Whatever dies, freezes or refuses to end: the worker goes on, or it is gone with everything that belongs to it."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest

from tests.worker.child import Child, gone
from tests.worker.lot_site import LotSite
from worker.exits import Exit
from worker.protocol import Assign, Failed, Kind, Ready, Succeeded

pytestmark = pytest.mark.browser

Start: TypeAlias = Callable[..., Child]

_numbers = itertools.count(2)


def begin(child: Child, lot: LotSite, ref: str = "idle", deadline: float = 60.0) -> None:
    """Hand out a reference and wait until the browser is at work on it."""
    lot.idle.clear()
    lot.arrived.clear()
    child.send(Assign(1, ref, 1, False, str(child.folder / "staging-1"), deadline))
    assert (lot.idle if ref == "idle" else lot.arrived).wait(20), child.said()


def works(child: Child) -> bool:
    number = next(_numbers)
    child.send(Assign(number, "plain", 1, False, str(child.folder / f"staging-{number}"), 30.0))
    answer = child.next()
    assert isinstance(answer, Succeeded), child.said()
    return True


def logged_in(start: Start) -> Child:
    child = start()
    child.ready()
    child.log_in()
    return child


def renderers(child: Child) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(child.launched(1).pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # short-lived helpers come and go
            if "--type=renderer" in process.cmdline():
                found.append(process)
    return found


def test_a_crashed_page_is_replaced(start: Start, lot: LotSite) -> None:
    """The crash itself ends the attempt: no call on the page would."""
    child = logged_in(start)
    begin(child, lot)
    for process in renderers(child):
        process.kill()
    answer = child.expect(Failed)
    assert (answer.kind, answer.ready) == (Kind.PAGE_CRASHED, False), answer
    child.expect(Ready)
    assert works(child)


def test_a_killed_browser_is_replaced_with_its_session(start: Start, lot: LotSite) -> None:
    """In the middle of an attempt and between two; nobody has to log in again."""
    child = logged_in(start)
    logins = lot.logins
    begin(child, lot)
    os.killpg(child.launched(1).pid, signal.SIGKILL)
    answer = child.expect(Failed)
    assert (answer.kind, answer.ready) == (Kind.BROWSER_LOST, False), answer
    child.expect(Ready)
    assert works(child)
    os.killpg(child.launched(2).pid, signal.SIGKILL)
    child.launched(3)
    assert works(child)
    assert lot.logins == logins


def test_a_frozen_browser_is_killed_and_replaced(start: Start, lot: LotSite) -> None:
    """It answers nothing, not even that it is closed."""
    child = logged_in(start)
    begin(child, lot, deadline=2.0)
    os.killpg(child.launched(1).pid, signal.SIGSTOP)
    answer = child.expect(Failed)
    assert answer.kind is Kind.TIMEOUT, answer
    child.expect(Ready, 60)
    assert works(child)


def test_the_child_ends_when_its_driver_dies(start: Start, lot: LotSite) -> None:
    """Playwright does not notice and cannot start another, so the whole tree goes."""
    child = logged_in(start)
    begin(child, lot)
    tree = child.tree()
    os.kill(child.launched(1).driver_pid, signal.SIGKILL)
    assert child.exit_code() == Exit.DRIVER_LOST
    assert gone(tree) == []


def test_the_end_of_the_pipe_ends_everything(start: Start, lot: LotSite) -> None:
    """The supervisor is gone: so are child, driver and browser, in the middle of the work."""
    child = logged_in(start)
    begin(child, lot)
    tree = child.tree()
    child.connection.close()
    assert child.exit_code() == Exit.SUPERVISOR_LOST
    assert gone(tree) == []


def test_garbage_from_the_supervisor_ends_the_child(start: Start) -> None:
    """Nothing after it could be trusted."""
    child = start()
    child.ready()
    os.write(child.connection.fileno(), b"\xc1 this is not msgpack")
    assert child.exit_code() == Exit.PROTOCOL


def test_sigterm_ends_the_child_cleanly_in_the_middle_of_the_work(start: Start, lot: LotSite) -> None:
    """Browser and driver are closed first; SIGINT is the supervisor's and changes nothing."""
    child = logged_in(start)
    begin(child, lot)
    tree = child.tree()
    pid = child.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    child.beat()
    os.kill(pid, signal.SIGTERM)
    assert child.exit_code() == Exit.CLEAN
    assert gone(tree) == []


def test_a_recipe_that_refuses_to_end_costs_the_process(start: Start) -> None:
    """The failure is told first; then the child gives itself up, because the recipe could touch anything."""
    child = logged_in(start)
    tree = child.tree()
    child.send(Assign(1, "stubborn", 1, False, str(child.folder / "staging-1"), 1.0))
    answer = child.expect(Failed)
    assert (answer.kind, answer.ready) == (Kind.TIMEOUT, False), answer
    assert child.exit_code() == Exit.UNRECOVERABLE
    assert gone(tree) == []


def test_a_recipe_that_cannot_be_loaded_is_the_last_line_of_the_log(start: Start) -> None:
    """With an exit code of its own."""
    child = start(site="/no/such/recipe.py:Lot")
    assert child.exit_code() == Exit.RECIPE
    assert "the recipe /no/such/recipe.py does not exist" in child.said()


def test_a_browser_that_does_not_start_is_told_by_the_exit_code(start: Start) -> None:
    """With what the system said."""
    child = start(browser="/bin/false")
    assert child.exit_code() == Exit.BROWSER
    assert "the browser does not start" in child.said()


SUPERVISOR = """
import sys, threading
from pathlib import Path
from tests.worker.child import Child
if __name__ == "__main__":
    child = Child(Path(sys.argv[1]), sys.argv[2])
    child.ready()
    child.log_in()
    print(*(process.pid for process in child.tree()), child.temp, flush=True)
    threading.Event().wait()
"""


def test_a_killed_supervisor_takes_child_driver_and_browser_along(lot: LotSite, tmp_path: Path) -> None:
    """Although the browser has a session of its own, and nobody could tell anybody anything."""
    script = tmp_path / "supervisor.py"
    script.write_text(SUPERVISOR, "utf-8")
    command = [sys.executable, str(script), str(tmp_path / "child"), lot.url]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as supervisor:
        assert supervisor.stdout is not None
        *pids, temp = supervisor.stdout.readline().split()
        tree = [psutil.Process(int(pid)) for pid in pids]
        supervisor.kill()
    try:
        assert len(tree) > 3
        assert gone(tree) == []
    finally:
        shutil.rmtree(temp, ignore_errors=True)
