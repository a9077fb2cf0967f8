"""Nights with much work in them: what a worker, its temporary files and the supervisor hold does not grow."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import mean

import psutil
import pytest

from tests.benchmarks import soak
from tests.end_to_end.harness import Night, Site, until

Begin = Callable[..., Night]
OpenSite = Callable[..., Site]


@pytest.mark.long
def test_workers_replaced_again_and_again_leave_nothing_behind(begin: Begin, open_site: OpenSite) -> None:
    """Each makes two references: the supervisor's descriptors, its dead children and the temporary folders stay few."""
    site = open_site(32)
    run = begin(site.url, recycle_after=2, step_patience=0)
    run.start()
    seen = []
    for completed in (8, 16, 24):
        run.wait_for_completed(completed)
        site.order("hold")
        site.wait_until_held(2)
        until(lambda: _settled(run), "nobody is being replaced")
        assert run.process is not None
        supervisor = psutil.Process(run.process.pid)
        dead = [one for one in supervisor.children() if one.status() == psutil.STATUS_ZOMBIE]
        seen.append((supervisor.num_fds(), len(dead), len(list(run.temporary.glob("nightfleet-*/*")))))
        site.order("release")
    assert run.end() == 0, run.said + run.log
    assert run.log.count(" starts") >= 15
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}
    assert all(abs(later - earlier) <= 4 for (earlier, *_), (later, *_) in pairwise(seen)), seen
    assert all(dead == 0 and folders <= 4 for _, dead, folders in seen), seen


def _settled(run: Night) -> bool:
    """Say whether both workers have waited for their page for some time, and the spare is ready or none is wanted."""
    status = run.status
    return status is not None and all(worker.state == "busy" and worker.step_seconds > 3 for worker in status.workers)


@pytest.mark.long
def test_hundreds_of_references_take_no_more_room_than_a_few(tmp_path: Path) -> None:
    """Memory and descriptors of workers that are never recycled, the supervisor's, and temporary files stay flat."""
    vehicles = 250
    parts = soak.tenths(soak.run(tmp_path / "run", vehicles, 2), vehicles)
    early, late = parts[1], parts[-1]
    assert mean(one.memory for one in late) < 1.3 * mean(one.memory for one in early)
    assert mean(one.supervisor for one in late) < 1.2 * mean(one.supervisor for one in early)
    assert mean(one.descriptors for one in late) < 1.1 * mean(one.descriptors for one in early)
    assert max(one.temporary for one in late) < 50_000_000
