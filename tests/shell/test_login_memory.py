"""A login that was refused is not tried again; anything else about it is."""

from pathlib import Path

import pytest

from supervisor.core.records import Incident
from supervisor.errors import Exit
from supervisor.shell import login_memory
from supervisor.shell.run_directory import RunDirectoryUnwritableError
from tests.shell.stores import Store

NAMES = ("LOT_USER", "LOT_PASSWORD")
RIGHT = {"LOT_USER": "me", "LOT_PASSWORD": "one"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe's file."""
    path = tmp_path / "lot.toml"
    path.write_text("base_url = 'https://lot.example'")
    return path


def test_a_memory_that_cannot_be_written_is_told(store: Store, recipe: Path) -> None:
    """In one sentence, before anybody logs in."""
    store.run.login.mkdir()
    tried = login_memory.credentials(store.run, str(recipe), NAMES, RIGHT)
    with pytest.raises(RunDirectoryUnwritableError, match=r"login\.json cannot be written: Is a directory"):
        login_memory.remember(store.run, tried)


def test_only_the_very_login_that_was_refused_last_is_refused(store: Store, recipe: Path, tmp_path: Path) -> None:
    """Another password, from a file too, another recipe, or a login that succeeded since: it is tried."""
    tried = login_memory.credentials(store.run, str(recipe), NAMES, RIGHT)
    login_memory.check(store.run, tried)
    login_memory.remember(store.run, tried)
    store.ledger.apply([Incident("login_refused", "the site refused the login: wrong password")], store.wall)
    again = login_memory.credentials(store.run, str(recipe), NAMES, RIGHT)
    with pytest.raises(login_memory.RefusedBeforeError, match="the site refused the login: wrong password") as told:
        login_memory.check(store.run, again)
    assert told.value.exit_code == Exit.LOGIN_REFUSED
    file = tmp_path / "password"
    file.write_text("two\n")
    from_file = {"LOT_USER": "me", "LOT_PASSWORD_FILE": str(file)}
    login_memory.check(store.run, login_memory.credentials(store.run, str(recipe), NAMES, from_file))
    file.write_text("one\n")
    with pytest.raises(login_memory.RefusedBeforeError):
        login_memory.check(store.run, login_memory.credentials(store.run, str(recipe), NAMES, from_file))
    recipe.write_text("base_url = 'https://elsewhere.example'")
    login_memory.check(store.run, login_memory.credentials(store.run, str(recipe), NAMES, RIGHT))
    store.ledger.apply([Incident("logged_in", "logged in")], store.wall)
    login_memory.check(store.run, again)
    assert b"one" not in (store.run.private / "login.json").read_bytes()


def test_two_run_directories_keep_different_bytes_of_the_same_login(store: Store, recipe: Path) -> None:
    """Nobody can look a password up in what is kept."""
    tried = login_memory.credentials(store.run, str(recipe), NAMES, RIGHT)
    other = login_memory.credentials(store.run, str(recipe), NAMES, RIGHT)
    assert (tried.salt, tried.digest) != (other.salt, other.digest)
