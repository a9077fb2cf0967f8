"""Python that somebody wrote for a site: imported from where it lies, its mistakes told in one sentence."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from worker.site import RecipeError


def execute(path: Path) -> ModuleType:
    """Import the file; what stands beside it can be imported by it.

    Raises:
        RecipeError: it cannot be read or imported, or it raises.
    """
    if not path.is_file():
        found = "is a directory" if path.is_dir() else "does not exist"
        raise RecipeError(f"the recipe {path} {found}; a Python file is needed")
    try:
        path.read_bytes()
    except OSError as error:
        raise RecipeError(f"the recipe {path} cannot be read: {error.strerror}") from error
    name = f"nightfleet_recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"the recipe {path} cannot be imported as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))  # a recipe may have helpers beside it
    caching, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # its folder is not ours to litter
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise RecipeError(f"the recipe {path} raised {where(error, str(path))} while it was imported") from error
    finally:
        sys.dont_write_bytecode = caching
    return module


def where(error: BaseException, source: str, said: str | None = None) -> str:
    """Return type, message and, where it went through `source`, its line: ``KeyError: 'x' (lot.py:31)``.

    `said` is the message, where that is not what `error` says as a text.
    """
    said = str(error).strip().partition("\n")[0] if said is None else said
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, SyntaxError):
        return text
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    return f"{text} ({Path(source).name}:{lines[-1]})" if lines else text
