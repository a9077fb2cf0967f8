"""The table of troubles at the head of this folder tells the truth."""

import ast
import re
from pathlib import Path

import tests.chaos

HERE = Path(__file__).parent


def table_of_troubles() -> dict[str, list[str]]:
    """Return the tests of each trouble."""
    lines = (tests.chaos.__doc__ or "").partition("as well.\n\n")[2].splitlines()
    table: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(" "):
            table[list(table)[-1]].append(line.strip())
        else:
            table[line] = []
    return table


def _functions(file: Path) -> set[str]:
    found = ast.walk(ast.parse(file.read_text()))
    return {one.name for one in found if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")}


def test_every_trouble_has_tests_and_they_exist() -> None:
    """File, function and the variant in brackets."""
    table = table_of_troubles()
    assert len(table) > 50
    for trouble, names in table.items():
        assert names, trouble
        for name in names:
            path, _, rest = name.partition("::")
            function, _, variant = rest.removesuffix("]").partition("[")
            file = HERE.parent / path
            assert function in _functions(file), name
            source = "".join(path.read_text() for path in file.parent.rglob("*.py"))
            assert variant in source or all(word in source for word in variant.split("-")), name


def test_every_test_of_this_folder_is_in_thetable_of_troubles() -> None:
    """And every variant that has a name of its own."""
    named = {name for names in table_of_troubles().values() for name in names}
    for file in HERE.glob("test_*.py"):
        if file == Path(__file__):
            continue
        for function in _functions(file):
            assert any(name.partition("[")[0] == f"chaos/{file.name}::{function}" for name in named), function
        for variant in re.findall(r'\bid="([^"]+)"', file.read_text()):
            assert any(name.startswith(f"chaos/{file.name}") and f"[{variant}]" in name for name in named), variant
