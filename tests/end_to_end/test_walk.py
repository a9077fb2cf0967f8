"""The newcomer's walk of the README, followed literally: every command, and every line of output that it shows."""

import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from supervisor.views.skeleton import skeleton
from tests.terminal import LIMIT, ROOT, Terminal
from worker.loading import load_site
from worker.sites.declarative.schema import Recipe
from worker.sites.declarative.site import Declarative
from worker.sketching.messages import Control, Found, LoginForm

RUN = "uv run run.py"
BLOCK = re.compile(r"^```(sh)?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
VARIES = (
    (re.compile(r"runs/check-\w+"), "runs/check"),
    (re.compile(r"^\d\d:\d\d:\d\d "), ""),
    (re.compile(r"\s+\d+\.\d s\b"), ""),
    (re.compile(r"/\S*/chrom\S*, version [\d.]+"), "a browser"),
    (re.compile(r"\s+"), " "),
)
"""What is another one at each walk: times, the browser, the name of the folder, and how wide a column is."""


def walk() -> list[tuple[str, list[str]]]:
    """Return each block of commands with the lines that are shown after it."""
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Your own site, in ten minutes") :].partition("\n## ")[0]
    steps: list[tuple[str, list[str]]] = []
    for kind, content in BLOCK.findall(section):
        if kind == "sh":
            steps.append((content, []))
        else:
            steps[-1][1].extend(line for line in content.splitlines() if line != "…")
    return steps


def edits() -> list[str]:
    """Return the commands that edit the recipe."""
    return [line for commands, _ in walk() for line in commands.splitlines() if line.startswith("sed ")]


def alike(line: str) -> str:
    for pattern, instead in VARIES:
        line = pattern.sub(instead, line)
    return line.strip()


def check_shown(said: str, shown: list[str]) -> None:
    """Assert that the lines shown are among those said, in this order."""
    lines = iter(said.splitlines())
    for line in shown:
        assert any(alike(found) == alike(line) for found in lines), f"{line!r} was not said:\n{said}"


@pytest.fixture
def port() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        number: int = one.getsockname()[1]
        return number


@pytest.fixture
def website(terminal: Terminal, port: int) -> Iterator[str]:
    """The first command of the walk, in a terminal of its own; what it says."""
    command, _ = walk()[0]
    options = command.removeprefix(RUN).split()
    process = terminal.start(*options, "--port", str(port))
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], LIMIT)[0]
    yield process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT) == 0
    process.stdout.close()


@pytest.mark.long
@pytest.mark.browser
def test_the_walk_works_when_it_is_followed_literally(terminal: Terminal, website: str, port: int) -> None:
    """From the draft to the documents of every vehicle, with a mistake on the way that the check explains."""
    (_, shown), *steps = walk()
    check_shown(website, [line.replace("8080", str(port)) for line in shown])
    environ = dict(terminal.environ)
    codes = []
    for commands, lines in steps:
        script = commands.replace(RUN, f"{sys.executable} {ROOT / 'run.py'}").replace("8080", str(port))
        done = subprocess.run(
            ["/bin/bash", "-c", f"{script}\ncode=$?; env > .env; exit $code"],
            cwd=terminal.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        check_shown(done.stdout, [line.replace("8080", str(port)) for line in lines])
        codes.append(done.returncode)
        exported = (line.partition("=") for line in (terminal.folder / ".env").read_text().splitlines())
        environ |= {name: value for name, _, value in exported if name.startswith("HARBOUR_")}
    assert codes == [0, 0, 2, 0, 0]
    assert len([path for path in (terminal.folder / "night/documents").glob("*/*.pdf") if path.is_file()]) == 28


def test_the_edits_of_the_walk_fit_the_draft(tmp_path: Path) -> None:
    """They find the lines that they change, and what comes out is a recipe that loads."""
    control = [Control(f"#{name}", name, kind=name) for name in ("password", "user")]
    login = LoginForm("http://127.0.0.1:8080/login", "Log in", control[0], control[1])
    found = Found("http://127.0.0.1:8080/inventory", "http://127.0.0.1:8080/login", "Harbour", login)
    file = tmp_path / "harbour.toml"
    file.write_text(skeleton(found, name="harbour", schema="schema.json", day=date(2026, 11, 25)).text)
    assert len(edits()) == 2
    for edit in edits():
        before = file.read_text()
        subprocess.run(["/bin/bash", "-c", edit], cwd=tmp_path, check=True)
        changed = set(file.read_text().splitlines()) - set(before.splitlines())
        assert len(changed) == edit.count("s|")
    site = load_site(str(file))
    assert isinstance(site, Declarative)
    recipe: Recipe = site.recipe
    assert recipe.login is not None
    assert recipe.documents is not None
    assert (recipe.login.logged_in, recipe.login.refused) == ("#log-out", "#log-in .error")
    assert recipe.documents.buttons == "button.document"
