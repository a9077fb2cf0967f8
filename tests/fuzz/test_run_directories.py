"""A run directory may be damaged anyhow: every command that reads it says so in one sentence, or is right.

``FUZZ_EXAMPLES=5000 uv run --group test pytest -n 0 tests/fuzz`` tries as many new ways as one wants.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.shell.ledger_reader import LedgerReader
from tests.fuzz import commands, damage, directories
from tests.fuzz.commands import Answer
from tests.fuzz.damage import Closed, Damage, Doubled, Filled, Flipped, Gone, Page, Row, Schema, Swapped, row
from tests.fuzz.directories import Base
from tests.fuzz.effort import effort

CODES = {0, 1, 2, 5}
REFUSALS = {2, 5}
IRREPARABLE = ("former: ", "ledger: ")
"""What a repair can only tell: there is no other copy."""
Picture = dict[str, tuple[int, bytes | str]]


class World:
    """A place for damaged run directories, with a person's files beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.outside = root / "outside"
        (self.outside / "folder" / "deeper").mkdir(parents=True)
        (self.outside / "kept.txt").write_text("a person's file\n")
        (self.outside / "folder" / "invoice.pdf").write_bytes(b"%PDF-1.7 a person's\n%%EOF\n")
        (self.outside / "folder" / "deeper" / "x").write_bytes(b"x")
        (root / "work").mkdir()
        self.bases = {
            "finished": directories.finished(root / "finished"),
            "cut off": directories.cut_off(root / "cut-off"),
        }
        self.before = picture(self.outside)

    def damaged(self, base: Base, harm: Sequence[Damage]) -> Path:
        """Return a fresh copy of a run directory, damaged."""
        path = self.root / "work" / "night"
        shutil.rmtree(path, ignore_errors=True)
        base.copy(path)
        for one in harm:
            one.inflict(path, self.outside)
        return path

    def look(self, path: Path) -> None:
        """Call every command that only looks."""
        before = picture(path)
        for words in commands.LOOKING:
            check(words, commands.call(path, *words))
            assert (after := picture(path)) == before, f"{words} changed {difference(before, after)}"

    def do(self, path: Path, words: tuple[str, ...]) -> Answer:
        """Call a command that changes something, and look at what it has done."""
        before = picture(path)
        answer = commands.start(path) if words == ("start",) else commands.call(path, *words)
        check(words, answer)
        if answer.code in REFUSALS and "ledger" in answer.complaint:
            # The folders that every run has may be made before its ledger is looked at.
            changed = [x for x in difference(before, picture(path)) if x in before or not (path / x).is_dir()]
            assert not changed, f"{words}: {answer.complaint}, and it changed {changed}"
        if words == ("verify", "--repair") and answer.code not in REFUSALS:
            left = commands.call(path, "verify").output.splitlines()[:-1]
            assert all(line.startswith(IRREPARABLE) for line in left), f"a repair left {left}"
        return answer

    def judge(self, path: Path) -> None:
        """What is called sound is what the site has, and nothing beside the run directory was touched."""
        answer = commands.call(path, "verify")
        check(("verify",), answer)
        if answer.code == 0:
            with LedgerReader(path / "ledger.db") as reader:
                completed = list(reader.with_documents("completed"))
            for row, documents in completed:
                truth = directories.TRUTH[row.ref]
                found = {one.name: (path / "documents" / row.folder / one.name).read_bytes() for one in documents}
                assert found == truth, f"{row.ref} is called sound, and is not what the site has"
        assert (now := picture(self.outside)) == self.before, f"{difference(self.before, now)} is outside"


def check(words: tuple[str, ...], answer: Answer) -> None:
    """Check that a command ended as it may: with a documented code, and one sentence exactly when it was refused."""
    said = answer.complaint.splitlines()
    assert answer.code in (CODES | {3} if words == ("start",) else CODES), f"{words}: {answer}"
    assert len(said) == (answer.code in REFUSALS), f"{words}: {answer}"
    assert len(answer.complaint) < 2000, f"{words}: {answer.complaint}"
    assert all(line.startswith("nightfleet: ") for line in said), f"{words}: {answer.complaint}"
    assert "Traceback (most recent" not in answer.output, f"{words}: {answer.output}"


def picture(root: Path) -> Picture:
    """Return all that is there, but for what SQLite and the lock write to be able to look."""
    found: Picture = {}
    for top, folders, files in os.walk(root):
        for name in (*folders, *files):
            place = f"{top}/{name}"
            facts = os.lstat(place)
            within = os.path.relpath(place, root)
            if within in {"ledger.db-shm", ".nightfleet/lock"} or (within == "ledger.db-wal" and not facts.st_size):
                continue
            content: bytes | str = ""
            if stat.S_ISREG(facts.st_mode):
                content = Path(place).read_bytes()
            elif stat.S_ISLNK(facts.st_mode):
                content = str(Path(place).readlink())
            found[within] = (facts.st_mode, content)
    return found


def difference(before: Picture, after: Picture) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))[:10]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Give a world in memory where there is one: flushing would take most of the time."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        made = World(Path(folder))
        yield made
        # What a test left closed must be removable.
        for place in (made.root / "work").rglob("*"):
            if place.is_dir() and not place.is_symlink():
                place.chmod(0o700)


@pytest.fixture(autouse=True)
def no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is a failure here, not a crash file."""
    commands.raise_what_is_no_verdict(monkeypatch)


STEPS = st.lists(st.sampled_from(commands.DOING), max_size=3).map(lambda steps: [*steps, ("start",)])


@pytest.mark.parametrize("name", ["finished", "cut off"])
def test_any_damage_is_told_in_one_sentence_or_does_no_harm(world: World, name: str) -> None:
    """Documented exit codes; nothing elsewhere is touched; who looks changes nothing; who is refused neither."""
    base = world.bases[name]

    @effort(25)
    @given(st.lists(damage.damages(base.places), min_size=1, max_size=3), STEPS)
    def try_out(harm: list[Damage], steps: list[tuple[str, ...]]) -> None:
        path = world.damaged(base, harm)
        world.look(path)
        for words in steps:
            world.do(path, words)
        world.judge(path)

    try_out()


@pytest.mark.parametrize("name", ["finished", "cut off"])
def test_what_is_not_damaged_is_sound_and_goes_on(world: World, name: str) -> None:
    """The harness itself: without damage nothing is refused, and everything is true in the end."""
    path = world.damaged(world.bases[name], [])
    world.look(path)
    assert world.do(path, ("report",)).code == 0
    assert world.do(path, ("retry", "--failed")).code == 0
    assert world.do(path, ("verify", "--repair")).code == 1
    assert world.do(path, ("start",)).code == 3
    world.judge(path)
    assert commands.call(path, "verify").code == 0


OWNERS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"{}", b'{"pid": 1}', damage.DEEP.encode()]),
    st.builds(
        lambda pid, start: f'{{"pid": {pid}, "start_time": {start}, "locked_at": 1.5}}'.encode(),
        st.sampled_from([0, -1, 2**31, 2**63, 10**30, 4_100_000]),
        st.sampled_from([0, -1, 7, 10**30]),
    ),
)
ASKING = (
    *commands.LOOKING,
    *commands.DOING,
    ("stop", "--no-wait"),
    ("stop", "--now"),
    ("resume",),
    ("scale", "3"),
    ("restart", "1"),
)


@pytest.mark.parametrize("name", ["ledger.db-shm", "ledger.db-wal"])
def test_a_pipe_beside_the_ledger_keeps_nobody_waiting(world: World, name: str) -> None:
    """One that may only be read: SQLite would wait for somebody to write into it."""
    path = world.damaged(world.bases["cut off"], [Swapped(name, "pipe"), Closed(name, 0o555)])
    world.look(path)
    for words in commands.DOING:
        assert world.do(path, words).code == 5
    assert commands.call(path, "status").complaint.endswith(f"{name} is a pipe\n")


@effort(15)
@given(OWNERS, st.sampled_from(ASKING))
@example(b'{"pid": 2147483648, "start_time": 0, "locked_at": 5}', ("stop",))
def test_whoever_holds_the_lock_is_not_believed_to_be_anybody(
    world: World, content: bytes, words: tuple[str, ...]
) -> None:
    """A run is going on, and its lock says nothing of use: what asks the run ends with a sentence, what looks works."""
    path = world.damaged(world.bases["finished"], [Filled(".nightfleet/lock", content)])
    with (path / ".nightfleet" / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        check(words, commands.call(path, *words))


FOUND: list[tuple[str, Damage, tuple[str, ...], int, str]] = [
    ("finished", Schema("DROP TABLE incident"), ("explain", "F"), 5, "there is no column incident.at in it"),
    ("finished", Schema("DROP TRIGGER total_moved"), ("start",), 5, "there is no trigger total_moved in it"),
    ("finished", Schema("ALTER TABLE reference DROP COLUMN crashes"), ("verify",), 5, "no column reference.crashes"),
    ("finished", row("reference", "attempts", 3, "nonsense"), ("status",), 5, "attempts: Expected `int`, got `str`"),
    ("finished", row("reference", "attempts", 2, "nonsense"), ("start",), 5, "attempts: Expected `int`, got `str`"),
    ("finished", row("attempt", "steps", 1, "{"), ("explain", "C"), 5, "of attempt '2', steps: "),
    ("finished", row("run", "started_at", 0, "2026-99-99T00:00:00Z"), ("report",), 5, "is no time"),
    ("finished", row("reference", "folder", 0, "../../outside"), ("start",), 5, "folder: Expected"),
    ("finished", row("reference", "folder", 0, "../../outside"), ("verify", "--repair"), 5, "folder: Expected"),
    ("finished", Schema("UPDATE document SET name = '../' || name"), ("verify", "--repair"), 1, "is no safe file name"),
    ("finished", Schema("UPDATE attempt SET outcome = 'running' WHERE id = 3"), ("start",), 5, "reference 1 is not"),
    ("finished", Schema("UPDATE reference SET state = 'in_progress'"), ("start",), 5, "and no attempt at it is"),
    ("finished", Schema("UPDATE reference SET attempt = attempt + 1000"), ("start",), 5, "which is not there"),
    ("finished", Schema("DELETE FROM total"), ("start",), 5, "verify --repair counts them again"),
    ("finished", Schema("DELETE FROM total"), ("verify", "--repair"), 1, "totals were counted again"),
    ("finished", Schema("INSERT INTO total VALUES ('mislaid', 3)"), ("verify", "--repair"), 1, "counted again"),
    ("finished", Page("ledger.db", 0, 1250, b"\x9e)<g"), ("status",), 5, "is damaged"),
    ("finished", Gone("ledger.db"), ("start",), 2, "ledger.db is gone, but what came of a run is there"),
    ("finished", Swapped("ledger.db", "out file"), ("start",), 5, "ledger.db is a link"),
    ("finished", Closed("ledger.db", 0o555), ("start",), 5, "cannot be written"),
    ("cut off", Closed("ledger.db-wal", 0o444), ("verify", "--repair"), 5, "cannot be"),
    ("cut off", Swapped("ledger.db-shm", "folder"), ("start",), 5, "cannot be written"),
    ("finished", Swapped("documents", "out folder"), ("start",), 2, "documents is a link, and the folder itself"),
    ("finished", Swapped("documents", "out folder"), ("verify", "--repair"), 2, "documents is a link"),
    ("finished", Swapped(".nightfleet/lock", "out file"), ("retry", "--failed"), 2, "is no ordinary file"),
    ("finished", Swapped("logs/supervisor.log", "out file"), ("start",), 2, "is no ordinary file"),
    ("finished", Swapped("logs/supervisor.log", "pipe"), ("start",), 2, "is no ordinary file"),
    ("finished", Closed("logs/supervisor.log", 0o444), ("start",), 5, "logs cannot be written: Permission denied"),
    ("finished", Closed("logs/worker-1.log", 0), ("logs",), 5, "worker-1.log cannot be read: permission denied"),
    ("finished", Swapped("tracking.json", "folder"), ("start",), 2, "is a folder, and a file is needed there"),
    ("finished", Swapped("tracking.json", "pipe"), ("verify",), 1, "tracking.json is no file"),
    ("finished", Swapped("status.json", "pipe"), ("status",), 0, "ended at"),
    ("finished", Swapped("documents/A-1/manifest.json", "folder"), ("verify", "--repair"), 1, "written anew"),
    ("finished", Swapped("failures/F/attempt-2/error.txt", "pipe"), ("explain", "F"), 0, "evidence in"),
    ("finished", Closed("failures/F", 0), ("status",), 0, "failures/F"),
    ("finished", Doubled("failures/P/attempt-1", "b\udcff", move=False), ("explain", "P"), 0, "failures/P/b\ufffd"),
    ("cut off", Row("reference", "retry_at", -1, 10), ("start",), 5, "retry_at of reference 1 is no time"),
    ("finished", Swapped(".nightfleet", "out folder"), ("start",), 2, ".nightfleet is a link, and the folder itself"),
    ("finished", Swapped(".nightfleet/login.json", "full folder"), ("start",), 2, "login.json is no ordinary file"),
    ("finished", row("meta", "site_name", 0, "\x1b[2J"), ("status",), 0, "ended at"),
    ("finished", row("meta", "site", 0, "x" * 100_000), ("start",), 2, "belongs to a run against a site (xxx"),
    ("finished", Doubled("documents/A-1", "b\udcff", move=False), ("start",), 3, ""),
    ("cut off", Filled(".nightfleet/replaced/22-C/manifest.json", b"{"), ("verify", "--repair"), 1, "written anew"),
    ("finished", Flipped("ledger.db", 0.0234375, 0), ("start",), 5, "is damaged (no such column"),
    ("finished", Schema("DELETE FROM document"), ("verify", "--repair"), 1, "A-1: the ledger knows of none"),
    ("finished", Schema("DELETE FROM document"), ("start",), 3, ""),
    ("finished", Schema("DELETE FROM document WHERE name = 'title.pdf'"), ("verify",), 1, "does not know of title.pdf"),
]
"""What was found by the tests above, and once ended in an error of the program, waited for ever, or did harm."""


@pytest.mark.parametrize(("name", "harm", "words", "code", "sentence"), FOUND)
def test_what_was_found_stays_mended(
    *, world: World, name: str, harm: Damage, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """Each with its command, exit code and sentence; nothing else of the run directory comes to harm by it."""
    path = world.damaged(world.bases[name], [harm])
    world.look(path)
    answer = world.do(path, words)
    assert sentence in answer.output + answer.complaint
    assert answer.code == code
    world.judge(path)
