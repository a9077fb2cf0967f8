"""What is done now and then beside the run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.events import MachineMeasured, MachineSlept, PauseRequested, ResumeRequested
from supervisor.finish_by import FinishBy
from supervisor.quiet_hours import QuietHours
from supervisor.shell.inbox import Inbox
from supervisor.shell.run_directory import RunDirectory
from supervisor.shell.upkeep import Upkeep


class _NoWorkers:
    """Nobody is at work."""

    def direct(self) -> frozenset[int]:
        return frozenset()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


def _upkeep(inbox: Inbox, quiet: str) -> Upkeep:
    nothing: Any = None
    workers: Any = _NoWorkers()
    return Upkeep(
        directory=RunDirectory(Path("/nowhere")),
        workers=workers,
        inbox=inbox,
        journal=nothing,
        service=nothing,
        finish_by=FinishBy("", 0.0),
        disk_reserve=0,
        spare=False,
        quiet_hours=QuietHours(quiet),
    )


def test_quiet_hours_begin_and_end_once_whatever_the_clock_does(inbox: Inbox) -> None:
    """The clock may jump over them or back into them; each change is told once."""
    upkeep = _upkeep(inbox, "07:00-09:00")
    told = []
    for hour, minute in ((6, 59), (7, 0), (7, 1), (8, 59), (9, 0), (9, 1), (8, 0), (12, 0), (3, 0)):
        upkeep._look_at_clock(datetime(2026, 3, 1, hour, minute, tzinfo=UTC))
        told.append(list(inbox.take()))
    begins, ends = [PauseRequested("quiet hours", "quiet hours until 09:00")], [ResumeRequested("quiet hours")]
    assert told == [[], begins, [], [], ends, [], begins, ends, []]
    upkeep.close()


def test_a_suspend_of_the_machine_is_told_once(inbox: Inbox) -> None:
    """The clock by which the loop goes does not count it, and another one does."""
    upkeep = _upkeep(inbox, "")
    since = upkeep._slept
    told = []
    for asleep in (0.01, 0.02, 1800.0, 1800.01, 1804.0, 1810.0):
        upkeep._look_for_sleep(since + asleep)
        told += [round(event.seconds) for event in inbox.take() if isinstance(event, MachineSlept)]
    assert told == [1800, 6]
    upkeep.close()


def test_what_is_left_of_the_machine_is_told(inbox: Inbox) -> None:
    """Memory and descriptors at least can be measured anywhere."""
    upkeep = _upkeep(inbox, "")
    upkeep._look_at_machine()
    (event,) = inbox.take()
    assert isinstance(event, MachineMeasured)
    assert event.left["memory"] > 0
    assert event.left["descriptors"] > 0
    upkeep.close()
