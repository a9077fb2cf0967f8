"""``run.py unit``: a unit that systemd itself accepts, and that runs exactly what was asked for."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.commands.unit import quoted

ROOT = Path(__file__).resolve().parents[1]
VERIFIER = shutil.which("systemd-analyze")
RECIPE = """
from worker.site import Site
class Lot(Site):
    name = "Lot 50% off"
    start_url = "https://lot.example/inventory"
    secrets = ("LOT_USER", "LOT_PASSWORD")
    async def log_in(self, visit): ...
    async def is_logged_in(self, visit): ...
    async def export_inventory(self, visit): ...
    async def process(self, visit, reference): ...
"""


def unit(folder: Path, *words: str, **environ: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTFLEET_")}
    command = [sys.executable, str(ROOT / "run.py"), "unit", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=clean | environ, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def printed(tmp_path: Path) -> str:
    """The unit of a recipe, with blanks, line ends, per cent and dollar signs wherever there can be some."""
    (tmp_path / "lot.py").write_text(RECIPE)
    where = ("lot.py:Lot", "--run-dir", "nights/a b%n$HOME\nx", "--column", 'Stock "No"', "--refs", "stock.csv")
    environ = {"NIGHTFLEET_TASK_TIMEOUT": "90.5", "NIGHTFLEET_ON_FINISH": "https://chat.example/token-42"}
    return unit(tmp_path, *where, "--workers", "7", "--no-headed", **environ)


def test_the_unit_runs_what_was_asked_for(printed: str, tmp_path: Path) -> None:
    """Absolute paths, the options that were given, those of the environment, and nothing else."""
    (line,) = [line for line in printed.splitlines() if line.startswith("ExecStart=")]
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line.removeprefix("ExecStart="))]
    assert words == [
        *(sys.executable, str(ROOT / "run.py"), "start", f"{tmp_path}/lot.py:Lot"),
        *(
            "--run-dir",
            f"{tmp_path}/nights/a b%n$HOME\\x0ax",
            "--refs",
            f"{tmp_path}/stock.csv",
            "--column",
            'Stock "No"',
        ),
        *("--workers", "7", "--task-timeout", "90.5", "--no-headed", "--show", "quiet"),
    ]
    lines = set(printed.splitlines())
    assert {"Type=notify", "KillMode=mixed", "OOMPolicy=continue", "Restart=on-failure", "WatchdogSec=60"} <= lines
    assert {"RestartPreventExitStatus=1 2 4", "SuccessExitStatus=3", "Description=nightfleet: Lot 50%% off"} <= lines
    assert "EnvironmentFile=/etc/nightfleet/lot-50-off.env" in lines
    assert "LOT_USER=..., LOT_PASSWORD=..., NIGHTFLEET_ON_FINISH=..." in printed
    assert "token-42" not in printed
    assert f"MemoryMax={7 * 1_500_000_000 * 3 // 2 + 1_000_000_000}" in lines


@pytest.mark.skipif(VERIFIER is None, reason="systemd-analyze is not installed here")
def test_systemd_accepts_the_unit(printed: str, tmp_path: Path) -> None:
    """Its own verifier finds nothing to complain about."""
    file = tmp_path / "nightfleet-lot.service"
    file.write_text(printed)
    done = subprocess.run([str(VERIFIER), "verify", str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("--workers", "--workers"),
        ("", '""'),
        (";", '";"'),
        ("a b", '"a b"'),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ('say "x"\\', '"say \\"x\\"\\\\"'),
        ("two\nlines", '"two\\x0alines"'),
    ],
)
def test_words_mean_themselves_to_systemd(word: str, written: str) -> None:
    """No variable, specifier, separator or line end of ours is taken for one of systemd's."""
    assert quoted(word) == written
