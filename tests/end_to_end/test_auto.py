"""A real night whose number of workers is its own business, until somebody knows better."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.shell.ledger_reader import LedgerReader
from tests.end_to_end.harness import LONGEST, ROOT, night, until, website


@pytest.mark.browser
@pytest.mark.long
def test_a_run_begins_small_and_says_so_and_the_operator_takes_over(tmp_path: Path) -> None:
    """With ``auto:1-3`` one worker begins; `status` shows the number wanted; after `scale` it stays as told."""
    with website(600) as site, night(tmp_path / "night", site.url, workers="auto:1-3") as run:
        run.start()
        run.wait_for_completed(1)
        seen = run.status
        assert seen is not None
        assert seen.run.workers_auto
        assert 1 <= seen.run.workers_wanted <= 3
        words = [sys.executable, str(ROOT / "run.py"), "scale", str(run.folder), "2"]
        told = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LONGEST)
        assert told.stdout == "2 workers\n"

        def taken_over() -> bool:
            now = run.status
            return now is not None and not now.run.workers_auto and now.run.workers_wanted == 2

        until(taken_over, "status.json shows what the operator wants")
        run.send(signal.SIGTERM)
        assert run.end() == 3
    with LedgerReader(tmp_path / "night" / "ledger.db") as ledger:
        told_of = [row.detail for row in ledger.incidents() if row.what == "scaled"]
    assert told_of[-1] == "the operator wants 2 workers, and they are no longer scaled automatically"
