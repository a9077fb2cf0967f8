"""A night with a time by which to be done, and somebody to tell of its end."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.end_to_end.harness import Night, Site


@pytest.mark.long
def test_a_night_ends_in_good_order_when_its_time_comes(
    begin: Callable[..., Night], open_site: Callable[..., Site], tmp_path: Path
) -> None:
    """Exit code 3 with nothing left behind; a command was told, with the report at hand."""
    told = tmp_path / "told.json"
    site = open_site(60)
    run = begin(site.url, on_finish=f"tee {told}", worker_delay=2)
    soon = datetime.now(UTC) + timedelta(seconds=14)
    assert run.run("--finish-by", soon.isoformat()) == 3, run.said
    assert "the time by which to be done" in run.log
    run.check_nothing_left()
    summary = json.loads(told.read_text())
    assert (summary["event"], summary["exit_code"]) == ("finish", 3)
    assert "the time by which to be done" in summary["reason"]
    assert Path(summary["report"]).is_file()
    totals = run.tracking.totals
    assert (totals.in_progress, totals.completed < 60) == (0, True)
