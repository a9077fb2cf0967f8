"""The rules of the code are part of the tests: lint, format, strict types, import rules."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "check",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("importlinter.cli", "lint-imports"),
    ],
    ids=["lint", "format", "types", "imports"],
)
def test_the_code_keeps_its_rules(check: tuple[str, ...]) -> None:
    """Lint, format, types and the import rules of the architecture hold, with the versions that are pinned here."""
    command = [sys.executable, "-m", *check]
    if check[0] == "importlinter.cli":
        command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", ["supervisor", "supervisor/core", "supervisor/shell", "supervisor/views", "worker"])
def test_the_architecture_pages_name_every_module(room: str) -> None:
    """Whoever looks for a place finds it on the page of its package, and nothing there names what is not."""
    package, *_ = room.split("/")
    page = importlib.import_module(room.replace("/", ".")).__doc__ or ""
    there = {path.stem for path in (ROOT / room).glob("[!_]*.py")}
    # The ledger has many modules, which begin alike and are told together.
    told = {
        name for name in there if re.search(rf"\b{name}\b", page) or (name.startswith("ledger_") and "ledger" in page)
    }
    assert there - told == set()
    named = set(re.findall(r"\b(\w+)\.py\b", page))
    assert named <= {"run", *(path.stem for path in (ROOT / package).rglob("*.py"))}
