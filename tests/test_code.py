"""The rules of the code are part of the tests: lint, format, strict types, import rules."""

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
