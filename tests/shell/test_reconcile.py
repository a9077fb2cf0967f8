import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.core.events import Published
from supervisor.core.records import Entry, ReferenceReopened, SuccessDoubted
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.manifest import condition
from supervisor.shell.reconcile import Finding, Trouble, reconcile
from supervisor.shell.run_directory import RunDirectoryUnwritableError
from tests.shell.stores import WALL, Store, pdf


@pytest.fixture
def entry(store: Store) -> Entry:
    return store.ledger.import_references(["A/1", "B"]).entries[0]


def run(store: Store) -> list[tuple[Trouble, str]]:
    found = reconcile(store.run, store.ledger, WALL)
    again = reconcile(store.run, store.ledger, WALL)
    assert again == [], "what was put in order once is in order"
    return [(finding.kind, finding.ref) for finding in found]


def quarantined(store: Store) -> list[str]:
    return sorted(path.name for path in store.run.quarantine.glob("*/*"))


def test_a_sound_directory_is_left_alone(store: Store, entry: Entry) -> None:
    """Completed references with their documents, former ones included, give nothing to say."""
    folder = store.complete(entry, 1)
    (folder / "previous" / "2026-11-24T221059Z-attempt-1").mkdir(parents=True)
    assert run(store) == []
    assert store.state("A/1") == "completed"


def test_documents_in_place_are_adopted(store: Store, entry: Entry) -> None:
    """After a crash between rename and commit the attempt counts as succeeded: it is not done again."""
    store.start(entry, 1)
    documents = store.stage(1, {"a.pdf": pdf("a")})
    assert isinstance(store.publish(entry, 1, documents), Published)
    assert run(store) == [(Trouble.ADOPTED, "A/1")]
    assert store.state("A/1") == "completed"
    with LedgerReader(store.run.ledger) as reader:
        (row,) = reader.documents(entry.ref_id)
    assert (row.name, row.sha256, row.attempt, row.url) == (
        "a.pdf",
        documents[0].sha256,
        1,
        "https://lot.example/a.pdf",
    )
    assert store.ledger.backlog(WALL).completed == 1


def test_doubted_documents_that_a_crash_left_in_place_are_set_aside(store: Store, entry: Entry) -> None:
    """Once it is durable that they do not count, nobody finds them among the documents after the next start."""
    folder = store.complete(entry, 1)
    store.ledger.apply([SuccessDoubted(1, entry.ref_id)], WALL)
    assert run(store) == [(Trouble.EXTRA, "A/1")]
    assert not folder.exists()
    assert quarantined(store) == [folder.name]
    assert store.state("A/1") == "pending"


def flipped(folder: Path) -> None:
    content = (folder / "a.pdf").read_bytes()
    (folder / "a.pdf").write_bytes(content.replace(b"EOF", b"FOE"))


def more(folder: Path) -> None:
    (folder / "b.pdf").write_bytes(pdf("b"))


def without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def of_another_attempt(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"attempt": 1', '"attempt": 9'))


def broken_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


@pytest.mark.parametrize("damage", [flipped, more, without_manifest, of_another_attempt, broken_manifest])
def test_what_is_not_exactly_the_live_attempts_is_not_adopted(
    store: Store, entry: Entry, damage: Callable[[Path], None]
) -> None:
    """Documents whose bytes or manifest are not right go into quarantine, and the reference is done again."""
    store.start(entry, 1)
    store.publish(entry, 1, store.stage(1, {"a.pdf": pdf("a")}))
    folder = store.run.documents / store.ledger.folder_of(entry.ref_id)
    damage(folder)
    assert run(store) == [(Trouble.EXTRA, "A/1")]
    assert quarantined(store) == [folder.name]
    assert [left.attempts for left in store.ledger.backlog(WALL).entries if left.ref == "A/1"] == [1]


def test_staging_of_dead_attempts_is_removed_and_its_evidence_kept(store: Store, entry: Entry) -> None:
    """Evidence of a lost or a failed attempt is where a user looks for it, and staging is empty."""
    store.start(entry, 1)
    store.fail(entry, 1)
    store.start(entry, 2, number=2)
    for attempt in (1, 2):
        store.stage(attempt, {"half.pdf": b"%PDF-"})
        store.run.evidence(attempt).mkdir()
        (store.run.evidence(attempt) / "screenshot.png").write_bytes(b"png")
    store.stage(77, {"of-nobody.pdf": b"%PDF-"})
    store.run.errand_staging(1).mkdir()
    (store.run.staging_root / "file").touch()
    (store.run.staging_root / "link").symlink_to(store.run.path)
    assert [kind for kind, _ in run(store)] == [Trouble.STAGING] * 6
    assert list(store.run.staging_root.iterdir()) == []
    failures = store.run.failures / store.ledger.folder_of(entry.ref_id)
    texts = [(failures / f"attempt-{number}/error.txt").read_text() for number in (1, 2)]
    assert texts[0] == "attempt 1 (number 1): timeout: took too long\n"
    assert "supervisor_lost" in texts[1]
    assert (failures / "attempt-2/screenshot.png").exists()


def _lose(folder: Path, lost: str) -> None:
    """Take away the folder of a reference, a document of it, or most of that document."""
    if lost == "folder":
        shutil.rmtree(folder)
    elif lost == "document":
        (folder / "a.pdf").unlink()
    else:
        (folder / "a.pdf").write_bytes(b"%PDF-")


@pytest.mark.parametrize("lost", ["folder", "document", "size"])
def test_completed_references_without_their_documents_are_done_again(store: Store, entry: Entry, lost: str) -> None:
    """Vanished or resized documents are named, what is left goes into quarantine, and no attempt is charged."""
    folder = store.complete(entry, 1, {"a.pdf": pdf("a"), "b.pdf": pdf("b")})
    _lose(folder, lost)
    ((kind, ref),) = run(store)
    assert (kind, ref) == (Trouble.MISSING if lost == "folder" else Trouble.ALTERED, "A/1")
    assert quarantined(store) == ([] if lost == "folder" else [folder.name])
    assert entry in store.ledger.backlog(WALL).entries
    store.complete(entry, 2, {"a.pdf": pdf("a")})
    assert run(store) == []


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize("lost", ["folder", "document", "size"])
def test_documents_of_an_earlier_night_that_are_not_there_any_more_are_off_the_record(
    store: Store,
    entry: Entry,
    lost: str,
    *,
    failed: bool,
) -> None:
    """A reference that is done once more, or was and has failed, is not said to have what it lost meanwhile."""
    folder = store.complete(entry, 1, {"a.pdf": pdf("a"), "b.pdf": pdf("b")})
    (again,) = store.ledger.import_references(["A/1"], done_before=WALL + 1).entries
    if failed:
        store.start(again, 2)
        store.fail(again, 2, retry_in=None)
    _lose(folder, lost)
    assert run(store) == [(Trouble.MISSING if lost == "folder" else Trouble.ALTERED, "A/1")]
    assert quarantined(store) == ([] if lost == "folder" else [folder.name])
    assert store.state("A/1") == ("failed" if failed else "pending")
    with LedgerReader(store.run.ledger) as reader:
        assert reader.documents(entry.ref_id) == []


def test_documents_that_the_ledger_does_not_know_are_set_aside(store: Store, entry: Entry) -> None:
    """A folder of nobody, a file, a link, and documents of a reference that is not completed: none is deleted."""
    store.publish(entry, 1, store.stage(1, {"a.pdf": pdf("a")}))
    (store.run.documents / "nobody").mkdir()
    (store.run.documents / "notes.txt").touch()
    (store.run.documents / "B").symlink_to("/etc")
    expected = [(Trouble.EXTRA, ref) for ref in ("", "", "A/1", "B")]
    assert sorted(run(store)) == expected
    assert quarantined(store) == sorted(["B", "nobody", "notes.txt", store.ledger.folder_of(entry.ref_id)])
    assert list(store.run.documents.iterdir()) == []


def test_a_folder_name_in_another_case_is_not_the_references(store: Store, entry: Entry) -> None:
    """On a file system that tells them apart, ``b`` is not the folder of reference B."""
    other = Entry(entry.ref_id + 1, "B")
    store.complete(other, 1)
    (store.run.documents / "b").mkdir()
    assert run(store) == [(Trouble.EXTRA, "")]
    assert store.state("B") == "completed"


@pytest.mark.parametrize("renamed", [False, True])
def test_an_interrupted_replacement_is_finished_or_taken_back(store: Store, entry: Entry, renamed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Former documents that stood aside when the crash came go back, or beside the new ones."""
    folder = store.complete(entry, 1, {"a.pdf": pdf("old")})
    store.ledger.strike_documents(entry.ref_id, "once more", WALL)
    store.start(entry, 2)
    new = store.stage(2, {"a.pdf": pdf("new")})
    aside = store.run.replaced / f"2-{folder.name}"
    aside.parent.mkdir()
    folder.rename(aside)
    if renamed:
        store.publish(entry, 2, new)
    kinds = [kind for kind, _ in run(store)]
    assert kinds[0] is Trouble.INTERRUPTED
    if renamed:
        assert kinds == [Trouble.INTERRUPTED, Trouble.ADOPTED]
        assert condition(folder, new).sound
        (kept,) = (folder / "previous").iterdir()
        assert (kept / "a.pdf").read_bytes() == pdf("old")
    else:
        # The former documents have no row any more, so they are kept where nothing takes them for current.
        assert kinds == [Trouble.INTERRUPTED, Trouble.STAGING, Trouble.EXTRA]
        assert quarantined(store) == [folder.name]


def test_what_a_dead_process_had_begun_to_write_is_removed(store: Store, entry: Entry) -> None:
    """Half a tracking.json of a killed process goes; one that a living process is writing stays."""
    dead, living = store.run.path / ".tracking.json.999999999-1.new", store.run.path / ".tracking.json.1-1.new"
    dead.touch()
    living.touch()
    assert run(store) == []
    assert (dead.exists(), living.exists()) == (False, True)


def test_trouble_with_the_disk_is_told(store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be moved stops the start, in one sentence."""
    (store.run.documents / "nobody").mkdir()

    def refuse(*_: object) -> Path:
        raise OSError("Input/output error")

    monkeypatch.setattr(type(store.run), "set_aside", refuse)
    with pytest.raises(RunDirectoryUnwritableError, match="cannot be put in order: Input/output error"):
        reconcile(store.run, store.ledger, WALL)


def test_findings_say_where(store: Store, entry: Entry) -> None:
    """A finding names the place and what was done."""
    (store.run.documents / "nobody").mkdir()
    (found,) = reconcile(store.run, store.ledger, WALL)
    assert isinstance(found, Finding)
    assert found.path == str(store.run.documents / "nobody")
    assert str(store.run.quarantine) in found.sentence


def test_a_failed_reference_keeps_its_evidence_only(store: Store, entry: Entry) -> None:
    """Reopened by the operator after failing for good, a reference begins with nothing in documents/."""
    store.start(entry, 1)
    store.fail(entry, 1, retry_in=None)
    store.discard(entry, 1)
    store.ledger.apply([ReferenceReopened(entry.ref_id)], WALL)
    assert run(store) == []
    assert (store.run.failures / store.ledger.folder_of(entry.ref_id) / "attempt-1/error.txt").exists()
