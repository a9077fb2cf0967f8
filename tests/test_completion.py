"""Completion as the shells themselves carry it out, for each way in which the program is started."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from supervisor import cli, completion
from supervisor.core.records import AttemptFailed, AttemptStarted
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from worker.protocol import Kind

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 60.0

BASH = """
_uv() { COMPREPLY=(the-uv-of-somebody-else); }
complete -F _uv uv
source "$1"
COMP_LINE="$2" COMP_POINT=${#2}
_nightfleet "${2%% *}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
typeset -A _comps; _comps[uv]=_uv
_uv() { print the-uv-of-somebody-else }
_default() { }
compdef() { }
_path_files() { }
_describe() { print -rl -- ${${(P)3}%%:*} }
compadd() { print -rl -- ${(P)@[-1]} }
source "$1"
words=("${(@s: :)2}") CURRENT=${#words}
_nightfleet
"""
FISH = """
complete --command uv --no-files --arguments the-uv-of-somebody-else
source $argv[1]
complete -C "$argv[2]"
"""


def complete(shell: str, line: str, folder: Path) -> list[str]:
    """Return what the shell offers at the end of a command line."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here")
    script = folder / "completion"
    script.write_text(completion.script(shell, ROOT))
    commands = {
        "bash": ["--norc", "--noprofile", "-c", BASH, "bash", str(script), line],
        "zsh": ["-f", "-c", ZSH, "zsh", str(script), line],
        "fish": ["--no-config", "-c", FISH, str(script), line],
    }
    done = subprocess.run(
        [program, *commands[shell]], capture_output=True, text=True, check=False, timeout=DEADLINE, cwd=folder
    )
    assert not done.stderr.strip(), done.stderr
    return [word.partition("\t")[0] for word in done.stdout.splitlines() if word]


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A run directory in which A-1 and B 2 have failed and A-3 has not."""
    directory = RunDirectory(tmp_path / "night")
    directory.create()
    with Ledger.create(directory.ledger, site="x", wall=time.time()) as ledger:
        ledger.import_references(["A-1", "B-2", "A-3"])
        for number in (1, 2):
            gone = AttemptFailed(number, number, Kind.NOT_FOUND, "gone", counted=True, crashed=False, retry_in=None)
            ledger.apply([AttemptStarted(number, number, 1, 1, 1), gone], 1.0)
    return tmp_path


@pytest.mark.parametrize("shell", list(completion.SHELLS))
def test_commands_options_kinds_and_references_are_completed(shell: str, night: Path) -> None:
    """However the program is started; what is no command line of ours is left to whoever completed it before."""
    assert complete(shell, "./run.py ex", night) == ["explain"]
    others = {"the-uv-of-somebody-else"} if shell == "fish" else set()  # fish adds up what several offer
    assert set(complete(shell, "uv run run.py ", night)) == set(cli._COMMANDS) | others
    assert complete(shell, "python3 /some/where/run.py start --finish", night) == ["--finish-by"]
    assert complete(shell, "./run.py retry night --kind not", night) == ["not_found"]
    assert complete(shell, "python run.py explain night A", night) == ["A-1"]
    assert complete(shell, "./run.py explain nowhere A", night) == []
    assert complete(shell, "uv sync ", night) == ["the-uv-of-somebody-else"]


@pytest.mark.parametrize("shell", list(completion.SHELLS))
def test_the_command_prints_what_the_shell_can_read(shell: str, tmp_path: Path) -> None:
    """The script names this checkout and this Python, and says where it goes."""
    text = completion.script(shell, tmp_path / "check out")
    assert f"run.py completion {shell}" in text.splitlines()[0]
    assert f"'{tmp_path}/check out/run.py'" in text
    for placeholder in ("LAUNCHERS", "VARIABLE", "PROGRAM", "CHECKOUT"):
        assert placeholder not in text
