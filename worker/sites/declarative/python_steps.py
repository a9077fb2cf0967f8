"""Steps of a declarative recipe that somebody wrote in Python: ``file.py:function``, beside the TOML file."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from worker.python_files import execute
from worker.site import RecipeError
from worker.sites.declarative.reading import Source

_ARGUMENTS = {
    "log_in": ("site", "visit"),
    "is_logged_in": ("site", "visit"),
    "export_inventory": ("site", "visit"),
    "process": ("site", "visit", "reference"),
    "recover": ("site", "visit"),
}
"""What each is called with: the site, and then as the method of `worker.site.Site` of the same name."""

Function = Callable[..., Any]


class PythonSteps(msgspec.Struct, frozen=True):
    """The functions by the name of their step, and the file that holds the first of them."""

    functions: dict[str, Function]
    file: str


def load(source: Source) -> PythonSteps:
    """Import what the recipe hands to Python.

    Raises:
        RecipeError: a file or a function is not there, or is not one that can be awaited with these arguments.
    """
    functions: dict[str, Function] = {}
    modules: dict[Path, ModuleType] = {}  # steps in one file share what it keeps
    for step, arguments in _ARGUMENTS.items():
        named: str | None = getattr(source.recipe.python, step, None)
        if named is None:
            continue
        path, _, name = named.rpartition(":")
        full = source.file.parent / path
        place = f"the recipe {source.file}, line {source.line(('python', step))}: python.{step}"
        try:
            if full not in modules:
                modules[full] = execute(full)
            found = getattr(modules[full], name, None)
        except RecipeError as error:
            raise RecipeError(f"{place}: {error}") from error
        call = f"async def {name}({', '.join(arguments)})"
        if found is None:
            raise RecipeError(f"{place}: found no {name} in {full}; expected {call}")
        if not inspect.iscoroutinefunction(found) or not _takes(found, len(arguments)):
            raise RecipeError(f"{place}: found {name} in {full} to be something else; expected {call}")
        functions[step] = found
    return PythonSteps(functions, str(next(iter(modules), "")))


def _takes(function: Function, arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*range(arguments))
    except (TypeError, ValueError):
        return False
    return True
