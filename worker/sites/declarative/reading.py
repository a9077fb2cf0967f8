"""From the bytes of a TOML file to a checked recipe, or to one sentence that says where it is wrong and how."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from urllib.parse import urlsplit

import msgspec

from worker.hosts import is_foreign
from worker.site import RecipeError
from worker.sites.declarative import rules
from worker.sites.declarative.checking import Problem, Value, examine, key_path
from worker.sites.declarative.schema import Recipe
from worker.sites.declarative.toml_lines import Path, line_of, lines_of

_LARGEST = 1_000_000
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


class Source(msgspec.Struct, frozen=True):
    """A recipe and where in its file everything stands."""

    file: FilePath
    recipe: Recipe
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of a key, counted from 1."""
        return line_of(self.lines, path)

    def place(self, path: Path) -> str:
        """Return ``lot.toml:12: vehicle.url`` for messages."""
        return f"{self.file.name}:{self.line(path)}: {key_path(path)}"

    def url(self, url: str) -> str:
        """Return an address of the recipe in full."""
        return rules.resolved(self.recipe.base_url, url)


def read(file: FilePath) -> Source:
    """Return the recipe in `file`.

    Raises:
        RecipeError: it cannot be read, is no TOML or no sound recipe.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise RecipeError(f"the recipe {file} is no ordinary file; a TOML file is needed")  # a pipe would be waited for
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise RecipeError(f"the recipe {file} does not exist; a TOML file is needed") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"the recipe {file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return parse(content, file)


def parse(content: bytes, file: FilePath) -> Source:
    """Return the recipe that `content` is; `file` is for messages and for what stands beside it.

    Raises:
        RecipeError: it is no TOML or no sound recipe.
    """
    if len(content) > _LARGEST:
        raise _refusal(file, 1, "", f"more than {_LARGEST:,} bytes", "a recipe, which is shorter")
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refusal(
            file, line, "", f"a byte 0x{content[error.start]:02x} that is not UTF-8", "text in UTF-8"
        ) from error
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        found = _PLACE.search(said)
        line = int(found[1]) if found and found[1] else text.count("\n") + 1 if found else 1
        said = _PLACE.sub("", said)
        raise _refusal(file, line, "", f"text that is no TOML ({said[:200]})", 'TOML, such as key = "value"') from error
    lines = lines_of(text)
    problems, values = examine(data)
    if not problems:
        recipe = msgspec.convert(data, Recipe)
        problems = list(rules.judge(recipe, values))
        if not problems:
            recipe = msgspec.structs.replace(recipe, name=recipe.name or file.stem)
            source = Source(file, recipe, lines)
            problems = list(_foreign(source, values))
            if not problems:
                return source
    first = min(problems, key=lambda problem: line_of(lines, _at(problem)))
    more = len(problems) - 1
    rest = f" ({more} more {'mistake' if more == 1 else 'mistakes'} in the file)" if more else ""
    raise _refusal(file, line_of(lines, _at(first)), key_path(first.path), first.found, first.expected + rest)


def _at(problem: Problem) -> Path:
    return problem.path if problem.found_path is None else problem.found_path


def _foreign(source: Source, values: list[Value]) -> list[Problem]:
    """Return the addresses whose host the recipe does not allow."""
    hosts = allowed_hosts(source.recipe)
    problems = []
    for value in values:
        if value.form == "url":
            url = source.url(value.text)
            if is_foreign(url, hosts):
                expected = f"a host of allowed_hosts ({', '.join(hosts)})"
                problems.append(Problem(value.path, f"the host {urlsplit(url).hostname}", expected))
    return problems


def _refusal(file: FilePath, line: int, key: str, found: str, expected: str) -> RecipeError:
    place = f"{key}: " if key else ""
    found, expected = (" ".join(text.split()) for text in (found, expected))
    return RecipeError(f"the recipe {file}, line {line}: {place}found {found}; expected {expected}")


def allowed_hosts(recipe: Recipe) -> tuple[str, ...]:
    """Return the hosts that may be asked for anything, the site's own first; none at all when all may."""
    if recipe.allowed_hosts is None:
        return ()
    own = urlsplit(recipe.base_url).hostname or ""
    return tuple(dict.fromkeys((own, *(host.lower().strip("[]") for host in recipe.allowed_hosts))))
