"""A TOML recipe on the command line: what is wrong in it is one sentence and exit code 2, and no run has begun."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worker.declarative.recipes import GOOD
from tests.worker.declarative.test_reading import WRONG
from worker.loading import load_site, recipe_file
from worker.site import RecipeError

ROOT = Path(__file__).resolve().parents[1]


def start(recipe: Path, *options: str, **environ: str) -> tuple[int, str, bool]:
    """Start a run with the recipe; return the exit code, what it said, and whether there is a run directory."""
    run_dir = recipe.with_name("night")
    command = [sys.executable, str(ROOT / "run.py"), "start", str(recipe), "--run-dir", str(run_dir), *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOT_")}
    done = subprocess.run(command, env=environment | environ, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr, run_dir.exists()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "lot.toml"
    path.write_text(GOOD)
    return path


def test_a_wrong_recipe_never_starts_a_run(recipe: Path) -> None:
    """One of each sort from the table of wrong ones: the same sentence, on the terminal, with exit code 2."""
    for there, instead, line, key, *_ in (WRONG[0], WRONG[-1]):
        recipe.write_text(GOOD.replace(there, instead, 1))
        code, said, begun = start(recipe)
        assert (code, begun) == (2, False), said
        assert f"nightfleet: the recipe {recipe}, line {line}: {key}" in said
        assert said.count("\n") == 1


def test_every_wrong_recipe_is_refused_by_the_process_that_loads_it(recipe: Path) -> None:
    """So that none of them reaches a worker."""
    for there, instead, line, *_ in WRONG:
        recipe.write_text(GOOD.replace(there, instead, 1))
        with pytest.raises(RecipeError, match=rf"line {line}: "):
            load_site(str(recipe))


def test_a_missing_secret_and_missing_references_are_refused(recipe: Path) -> None:
    """Each names what can be done about it."""
    code, said, begun = start(recipe)
    assert (code, begun) == (2, False)
    assert "needs LOT_USER: set the environment variable LOT_USER, or LOT_USER_FILE" in said
    recipe.write_text(GOOD.partition("[references")[0] + "[vehicle]" + GOOD.partition("[vehicle]")[2])
    code, said, begun = start(recipe, LOT_USER="me", LOT_PASSWORD="secret")  # noqa: S106 - of a site that is none
    assert (code, begun) == (2, False)
    assert "does not say where the references come from: add [references] to it, or name a file" in said


def test_a_secret_may_come_from_the_keyring(tmp_path: Path) -> None:
    """Asked once, by the supervisor; what the environment or a file has is not looked up."""
    (tmp_path / "keyring.py").write_text(
        "import sys\nassert sys.argv[1:3] == ['get', 'nightfleet']\n"
        "print('from the ring') if sys.argv[3] == 'LOT_PASSWORD' else sys.exit(1)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "LOT_USER": "me"}
    script = (
        "import os; from supervisor import recipes; "
        "print(recipes.secrets(recipes.Recipe('lot', '', ('LOT_USER', 'LOT_PASSWORD')), os.environ))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "{'LOT_PASSWORD': 'from the ring'}\n", done.stderr


@pytest.mark.parametrize(
    ("named", "steps", "said"),
    [
        ("steps.py:process", None, "steps.py does not exist; a Python file is needed"),
        ("steps.py:process", "x = 1", "found no process in"),
        ("steps.py:process", "async def process(visit): ...", "expected async def process(site, visit, reference)"),
        ("steps.py:process", "def process(site, visit, reference): ...", "to be something else; expected async def"),
        ("steps.py:process", "raise ValueError('no')", "raised ValueError: no (steps.py:1) while it was imported"),
        ("steps.py", "", "found the text 'steps.py', which is not file.py:function"),
    ],
)
def test_a_step_in_python_that_cannot_be_used_is_refused(
    recipe: Path, named: str, steps: str | None, said: str
) -> None:
    """With the line of the recipe that names it."""
    recipe.write_text(f'{GOOD}\n[python]\nprocess = "{named}"\n')
    if steps is not None:
        recipe.with_name("steps.py").write_text(steps)
    with pytest.raises(RecipeError) as caught:
        load_site(str(recipe))
    assert f"the recipe {recipe}, line 38: python.process: " in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


ALL_STEPS = """
from pathlib import Path
from typing import Any
from worker.site import Inventory
done = []
async def log_in(site, visit): done.append((site.name, "log_in", visit))
async def is_logged_in(site, visit): return bool(done)
async def export_inventory(site, visit): return Inventory(Path("x.csv"), "No")
async def process(site, visit, reference): done.append((site.name, "process", visit, reference))
async def recover(site, visit): done.append((site.name, "recover", visit))
"""


def test_every_step_can_be_written_in_python(recipe: Path) -> None:
    """With the site before the arguments that the method has; nothing else of the recipe is needed then."""
    steps = ("log_in", "is_logged_in", "export_inventory", "process", "recover")
    named = "".join(f'{step} = "all_steps.py:{step}"\n' for step in steps)
    recipe.write_text(f'base_url = "https://lot.example"\nname = "lot"\nsecrets = ["LOT_TOKEN"]\n[python]\n{named}')
    recipe.with_name("all_steps.py").write_text(ALL_STEPS)
    site = load_site(str(recipe))
    assert (site.secrets, site.exports, recipe_file(site)) == (
        ("LOT_TOKEN",),
        True,
        str(recipe.with_name("all_steps.py")),
    )
    visit: Any = object()

    async def night() -> None:
        assert not await site.is_logged_in(visit)
        await site.log_in(visit)
        assert await site.is_logged_in(visit)
        assert (await site.export_inventory(visit)).column == "No"
        await site.process(visit, "A/1")
        await site.recover(visit)

    asyncio.run(night())
    done = sys.modules["nightfleet_recipe_all_steps"].done
    assert done == [("lot", "log_in", visit), ("lot", "process", visit, "A/1"), ("lot", "recover", visit)]
