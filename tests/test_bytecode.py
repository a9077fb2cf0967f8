"""What Python compiled is kept, once, and never beside the sources of whoever does not want it there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ASK = (
    "import os, sys; from supervisor import bytecode; bytecode.keep(); bytecode.keep();"
    "names = sorted(name for name in os.environ if name.startswith('PYTHON'));"
    "print(sys.pycache_prefix, sys.dont_write_bytecode, names)"
)


def answer(*options: str, **environment: str) -> str:
    known = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *options, "-c", ASK],
        cwd=ROOT,
        env=known | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_an_ordinary_process_stays_as_it_is() -> None:
    """Bytecode goes beside the sources, as always."""
    assert answer("-X", "pycache_prefix=/nowhere/at/all") == "/nowhere/at/all False []"


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="no virtual environment to keep anything in")
def test_where_none_is_kept_it_goes_into_the_virtual_environment() -> None:
    """Children inherit that, also one of multiprocessing, which has the wish as an option."""
    place = str(Path(sys.prefix) / "bytecode")
    assert answer(PYTHONDONTWRITEBYTECODE="1") == f"{place} False ['PYTHONPYCACHEPREFIX']"
    assert answer("-B", PYTHONPYCACHEPREFIX=place) == f"{place} False ['PYTHONPYCACHEPREFIX']"


def test_a_place_of_somebodys_choice_is_left_alone() -> None:
    """Who names a place and wants nothing written there has what he wants."""
    assert answer(PYTHONPYCACHEPREFIX="/nowhere", PYTHONDONTWRITEBYTECODE="1") == (
        "/nowhere True ['PYTHONDONTWRITEBYTECODE', 'PYTHONPYCACHEPREFIX']"
    )
