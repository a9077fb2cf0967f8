"""The rehearsal that users are offered: everything at once, from one seed, with a verdict."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.harness import ROOT


@pytest.mark.long
def test_a_short_rehearsal_is_clean(tmp_path: Path) -> None:
    """Faults of the site, deaths and freezes of everything: nothing lost, twice, wrong or left behind."""
    command = [sys.executable, str(ROOT / "run.py"), "demo", "--faults", "--chaos", "--vehicles", "40"]
    ended = subprocess.run(
        [*command, "--run-dir", str(tmp_path / "run")], capture_output=True, text=True, check=False, timeout=560
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("clean")
