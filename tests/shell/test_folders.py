import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.shell.folders import candidates, folder_name, is_plain

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ ~-]{0,159}")
REFS = st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9._ ~/-]{0,90}", fullmatch=True)


@pytest.mark.parametrize("ref", ["A-1001", "a", "7", "Stock 12", "a.b_c-d", "x" * 80, "CONSOLE", "com", "lpt10"])
def test_a_plain_reference_is_its_own_folder(ref: str) -> None:
    """Whoever looks for a vehicle finds its folder by its stock number."""
    assert folder_name(ref, lambda _: False) == ref


@pytest.mark.parametrize(
    "ref",
    [
        *("../../etc/x", "a/b", ".", "..", "", " ", "CON", "con.pdf", "Aux .x", "COM1", "lpt9.txt", "x" * 81, "a\0b"),
        *("-rf", ".hidden", "ends.", "ends ", "a\nb", "😀", "übung", "a~b", "C:\\x", "a:b", "x" * 1000, "NUL"),
    ],
)
def test_any_other_reference_gets_a_safe_name_with_a_hash(ref: str) -> None:
    """Separators, reserved names, hidden, over-long and foreign ones never become a folder as they are."""
    name = folder_name(ref, lambda _: False)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,69}~[0-9a-f]{10}", name)
    assert name.partition("~")[0].split(".")[0].casefold() not in {"con", "aux", "nul", "com1", "lpt9"}


@given(REFS)
def test_every_candidate_is_safe_and_the_same_each_time(ref: str) -> None:
    """No reference escapes from its parent folder, and its names are a function of it alone."""
    names = list(candidates(ref))
    assert names == list(candidates(ref))
    for name in names:
        assert SAFE.fullmatch(name)
        assert name[-1] not in ". "
        assert ("~" not in name) == (is_plain(ref) and name == ref)


@given(st.lists(REFS, unique=True, max_size=30))
def test_references_never_share_a_folder(refs: list[str]) -> None:
    """Whatever the references are, their folders differ, upper and lower case being the same."""
    taken: set[str] = set()
    for ref in refs:
        name = folder_name(ref, lambda name: name.casefold() in taken)
        assert name.casefold() not in taken
        taken.add(name.casefold())


def test_references_that_differ_in_case_get_two_folders() -> None:
    """The first keeps its name; the second gets a hash that is its own."""
    taken = {"ab-1"}
    assert folder_name("AB-1", lambda name: name.casefold() in taken).startswith("AB-1~")


def test_a_collision_of_hashes_makes_the_hash_longer() -> None:
    """Even two references of one shortened hash do not meet."""
    first = next(candidates("a/b"))
    assert folder_name("a/b", first.__eq__) == list(islice(candidates("a/b"), 2))[1]
    with pytest.raises(ValueError, match="no folder name is left"):
        folder_name("a/b", lambda _: True)
