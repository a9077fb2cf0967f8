"""Runs commands as a person at a terminal would, and knows what they leave behind."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from supervisor.rehearsal import Family
from tests.end_to_end.harness import until

ROOT = Path(__file__).resolve().parents[1]
MARK = "TERMINAL_MARK"
LIMIT = 120.0


class Terminal:
    """A folder to stand in, an environment of its own, and everything that was started from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temp = Path(tempfile.mkdtemp(prefix="nf-"))  # short, because Chromium puts sockets there
        token = uuid.uuid4().hex
        self.family = Family(token, MARK)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTFLEET_")}
        self.environ = {**clean, "TMPDIR": str(self.temp), MARK: token, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start a command of run.py."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Return exit code and all that was said; nothing may be left of it."""
        process = self.start(*arguments, **environ)
        said, _ = process.communicate(timeout=LIMIT)
        assert "Traceback" not in said, said
        self.check_nothing_left()
        return process.returncode, said

    def check_nothing_left(self) -> None:
        """Assert that neither a process nor a temporary folder is there any more, soon."""
        until(lambda: not self.family.members(), "no process is left")
        until(lambda: not list(self.temp.glob("nightfleet-*")), "no temporary folder is left")

    def close(self) -> None:
        """End everything, whatever happened."""
        self.family.kill()
        shutil.rmtree(self.temp, ignore_errors=True)
