"""What a worker's process is before it does anything: alone, quiet, and gone with its supervisor."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import ROOT
from worker.exits import Exit

BECOME = """
import ctypes, json, os, resource, signal, sys
from pathlib import Path
from worker.main import isolate, prepare_environment, redirect_output
from worker.settings import WorkerSettings

temp = sys.argv[1]
isolate(int(sys.argv[2]))
environment = {"LOT_USER": "me"}
prepare_environment(WorkerSettings(1, 1, "", temp, "", "", os.getppid(), "the mark", environment=environment))
redirect_output(Path(temp) / "output.txt")
print("a recipe may print", flush=True)
sys.stderr.write("and complain")
death_signal = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(death_signal), 0, 0, 0)  # PR_GET_PDEATHSIG
found = {
    "leads": os.getsid(0) == os.getpid(),
    "dies": death_signal.value,
    "ctrl_c": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "environment": dict(os.environ),
}
(Path(temp) / "found.json").write_text(json.dumps(found))
"""


def become(folder: Path, supervisor: int) -> subprocess.CompletedProcess[str]:
    """Have a process do what a worker does first."""
    unwanted = {"PWDEBUG": "1", "DEBUG": "pw:*", "SELENIUM_REMOTE_URL": "http://x/", "NODE_OPTIONS": "--inspect"}
    command = [sys.executable, "-c", BECOME, str(folder), str(supervisor)]
    return subprocess.run(
        command, env=os.environ | unwanted, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )


def test_a_worker_is_a_process_by_itself_that_ends_with_its_supervisor(tmp_path: Path) -> None:
    """A session of its own, no Ctrl-C, no core; an environment that makes no browser headed, remote or talkative."""
    ended = become(tmp_path, os.getpid())
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", ""), "the terminal belongs to the supervisor"
    found: dict[str, Any] = json.loads((tmp_path / "found.json").read_text())
    assert (found["leads"], found["dies"], found["ctrl_c"], found["core"]) == (True, 9, True, [0, 0])
    environment = found["environment"]
    assert (environment["TMPDIR"], environment["NIGHTFLEET_MARK"]) == (str(tmp_path), "the mark")
    assert environment["LOT_USER"] == "me"
    assert not {"PWDEBUG", "DEBUG", "SELENIUM_REMOTE_URL", "NODE_OPTIONS"} & set(environment)
    output = tmp_path / "output.txt"
    assert output.read_text() == "a recipe may print\nand complain"
    assert output.stat().st_mode & 0o777 == 0o600


def test_a_worker_whose_supervisor_is_gone_already_ends_at_once(tmp_path: Path) -> None:
    """The kernel would send no signal any more."""
    assert become(tmp_path, 1).returncode == Exit.SUPERVISOR_LOST
    assert not (tmp_path / "found.json").exists()
