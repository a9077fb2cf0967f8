"""A recipe that cannot be used is refused with one sentence before anything starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.loading import load_site
from worker.site import RecipeError

GOOD = """
from worker.site import Inventory, Site

class Lot(Site):
    name = "lot"
    start_url = "https://lot.example/inventory"
    secrets = ("LOT_USER",)
    async def log_in(self, visit): ...
    async def is_logged_in(self, visit): return True
    async def export_inventory(self, visit): ...
    async def process(self, visit, reference): ...
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "lot.py"
    path.write_text(text, "utf-8")
    return f"{path}:Lot"


def test_a_good_recipe_is_made(tmp_path: Path) -> None:
    """With what it says about itself."""
    site = load_site(write(tmp_path, GOOD))
    assert (site.name, site.start_url) == ("lot", "https://lot.example/inventory")


def test_nothing_is_put_beside_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bytecode of it or of its helpers, in a folder that is somebody else's; other modules are cached as before."""
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "helper_of_lot.py").write_text("NAME = 'lot'\n")
    site = load_site(write(tmp_path, "from helper_of_lot import NAME\n" + GOOD.replace('name = "lot"', "name = NAME")))
    assert site.name == "lot"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["helper_of_lot.py", "lot.py"]
    assert not sys.dont_write_bytecode


def test_the_built_in_one_is_found_by_its_name() -> None:
    """It is the example that others are written after."""
    assert load_site("demo").name == "demo"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("class Lot", "class Other"), "has no class 'Lot'; it has Other"),
        ("", "it has no subclass of worker.site.Site"),
        ("Lot = 5", "not a subclass"),
        ("class Lot: pass", "not a subclass"),
        ("raise ValueError('broken')", "raised ValueError: broken (lot.py:1)"),
        ("import sys\nsys.exit(3)", "raised SystemExit: 3 (lot.py:2)"),
        ("def broken(:", "SyntaxError"),
        ("import no_such_module_anywhere", "ModuleNotFoundError"),
        (GOOD.replace("    async def process(self, visit, reference): ...\n", ""), "lacks the methods process"),
        (GOOD.replace('name = "lot"', "pass"), "needs name"),
        (GOOD.replace('start_url = "https://lot.example/inventory"', "pass"), "needs start_url"),
        (GOOD.replace("https://lot.example", "ftp://lot"), "http(s)://"),
        (GOOD.replace("https://lot.example/inventory", "https://"), "http(s)://"),
        (GOOD.replace('name = "lot"', "name = 'x' * 10_000_000"), "up to 200 characters"),
        (GOOD.replace('name = "lot"', "name = 'a\\x1b[2J'"), "none of them for the control of a terminal"),
        (GOOD.replace('name = "lot"', "name = '\\ud800'"), "none of them for the control of a terminal"),
        (GOOD + "    login_url = None\n", "login_url in the recipe"),
        (GOOD + "    images = 'no'\n", "True or False is needed"),
        (GOOD + "    exports = 1\n", "True or False is needed"),
        (GOOD + "    def process(self, visit, reference): ...\n", "process in the recipe"),
        (GOOD + "    @property\n    def name(self): return 1 / 0\n", "division by zero (lot.py:13)"),
        (GOOD.replace('("LOT_USER",)', '("LOT_USER")'), "must be a tuple of names"),
        (GOOD + "    def __init__(self): raise OSError('no')\n", "while Lot() was made"),
        (GOOD + "    fewest_documents = -1\n", "must be a number"),
        (GOOD + "    most_documents = 10_001\n", "1 to 10,000"),
        (GOOD + "    fewest_documents, most_documents = 3, 2\n", "not below fewest_documents"),
        (GOOD + "    allowed_hosts = 'lot.example'\n", "allowed_hosts in the recipe"),
        (GOOD + "    document_formats = ('pfd',)\n", "a tuple of pdf, jpg"),
        (GOOD + "    session = 'mine'\n", "'shared' or 'own' is needed"),
        (GOOD + "    access = {}\n", "must be a worker.access.Access"),
    ],
)
def test_a_bad_recipe_gets_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """Naming the file and what is wrong in it."""
    with pytest.raises(RecipeError) as caught:
        load_site(write(tmp_path, text))
    assert said in str(caught.value)
    assert "lot.py" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_method_that_a_decorator_made_is_taken(tmp_path: Path) -> None:
    """What it returns may be something to be awaited, which only the call shows."""
    twice = "def twice(method):\n    return lambda *given: method(*given)\n"
    text = GOOD.replace("    async def process", "    @twice\n    async def process")
    assert load_site(write(tmp_path, twice + text)).name == "lot"


def test_a_pipe_in_the_place_of_a_recipe_is_not_waited_for(tmp_path: Path) -> None:
    """In TOML and in Python."""
    for name in ("lot.toml", "lot.py"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(RecipeError, match="is no ordinary file"):
        load_site(str(tmp_path / "lot.toml"))
    with pytest.raises(RecipeError, match="a Python file is needed"):
        load_site(f"{tmp_path / 'lot.py'}:Lot")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("/no/such/file.py:Lot", "does not exist"),
        ("nonsense", "neither a built-in one"),
        ("lot.py", "neither a built-in one"),
        ("", "neither a built-in one"),
    ],
)
def test_a_site_that_is_none_gets_one_sentence(spec: str, said: str) -> None:
    """Whatever was typed."""
    with pytest.raises(RecipeError, match=said):
        load_site(spec)


def check(spec: str) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "worker.loading", spec]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def test_the_check_in_a_process_of_its_own_answers_with_json(tmp_path: Path) -> None:
    """Also when the recipe prints, and also when it is bad."""
    code, found = check(write(tmp_path, "print('hello')\n" + GOOD))
    assert (code, found["ok"], found["name"], found["secrets"]) == (0, True, "lot", ["LOT_USER"])
    code, found = check("/no/such/file.py:Lot")
    assert (code, found["ok"]) == (1, False)
    assert "does not exist" in str(found["error"])
