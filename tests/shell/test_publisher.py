import errno
import hashlib
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from supervisor.core.commands import DiscardErrand, Withdraw
from supervisor.core.events import Published, PublishFailed
from supervisor.core.records import Entry
from supervisor.shell import manifest, publisher
from supervisor.shell.folders import candidates
from tests.shell.stores import WALL, Store, pdf
from worker.protocol import Document, Kind


@pytest.fixture
def entry(store: Store) -> Entry:
    return store.ledger.import_references(["A/1"]).entries[0]


def place_of(store: Store, entry: Entry) -> Path:
    return store.run.documents / store.ledger.folder_of(entry.ref_id)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_documents_are_published_with_a_manifest(store: Store, entry: Entry) -> None:
    """The folder of the reference holds exactly its documents and what the manifest says of them."""
    documents = store.stage(3, {"invoice.pdf": pdf("invoice"), "title.pdf": pdf("title", 2_500_000)})
    assert store.publish(entry, 3, documents, number=2) == Published(3, documents)
    folder = place_of(store, entry)
    assert names(folder) == ["invoice.pdf", "manifest.json", "title.pdf"]
    assert folder.parent == store.run.documents
    found = json.loads((folder / "manifest.json").read_text())
    assert (found["ref"], found["attempt"], found["number"]) == ("A/1", 3, 2)
    assert found["documents"] == [{**msgspec.to_builtins(document), "attempt": 3} for document in documents]
    assert not store.run.staging(3).exists()


def test_what_else_a_worker_left_is_not_published(store: Store, entry: Entry) -> None:
    """Evidence of trouble that was overcome, stray files, links, and a forged manifest do not come along."""
    documents = store.stage(1, {"invoice.pdf": pdf("x")})
    staged = store.run.staging(1)
    for folder in ("evidence", "previous", "more/below"):
        (staged / folder).mkdir(parents=True)
        (staged / folder / "page.html").write_text("x")
    (staged / "half.crdownload").write_text("x")
    (staged / "link").symlink_to("/etc/passwd")
    (staged / "manifest.json").symlink_to(store.run.lock_file)
    assert isinstance(store.publish(entry, 1, documents), Published)
    assert names(place_of(store, entry)) == ["invoice.pdf", "manifest.json"]
    assert not (place_of(store, entry) / "manifest.json").is_symlink()
    assert Path("/etc/passwd").exists()


def test_a_reference_may_have_no_documents(store: Store, entry: Entry) -> None:
    """Where the recipe allows none, a manifest alone is published, though the worker made no folder."""
    assert isinstance(store.publish(entry, 1, ()), Published)
    assert names(place_of(store, entry)) == ["manifest.json"]


def grown(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def changed(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"EOF", b"FOE"))


def swapped_for_a_link(file: Path) -> None:
    file.rename(file.with_suffix(".other"))
    file.symlink_to(file.with_suffix(".other"))


def swapped_for_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def swapped_for_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (Path.unlink, "is missing"),
        (grown, "bytes in place of"),
        (changed, "another sha256"),
        (swapped_for_a_link, "no ordinary file"),
        (swapped_for_a_pipe, "no ordinary file"),
        (swapped_for_a_folder, "no ordinary file"),
    ],
)
def test_a_document_that_is_not_what_was_reported_is_refused(
    store: Store, entry: Entry, damage: Callable[[Path], None], complaint: str
) -> None:
    """The failure says which document and what is wrong; nothing is in place."""
    documents = store.stage(1, {"a.pdf": pdf("a"), "b.pdf": pdf("b")})
    damage(store.run.staging(1) / "b.pdf")
    answer = store.publish(entry, 1, documents)
    assert isinstance(answer, PublishFailed)
    assert answer.kind is Kind.PUBLISH_FAILED
    assert "'b.pdf'" in answer.message
    assert complaint in answer.message
    assert list(store.run.documents.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x.pdf", "a/b.pdf", "/etc/passwd", "a\\b.pdf", "a\0.pdf", "nul.pdf", ".hidden", "x.pdf "),
        *("x.", "manifest.json", "Manifest.JSON", "previous", "x" * 300, "a\nb.pdf", "evidence"),
    ],
)
def test_an_unsafe_name_is_refused(store: Store, entry: Entry, name: str) -> None:
    """A name that could escape, collide or mislead is never used, whatever the worker checked."""
    (document,) = store.stage(1, {"a.pdf": pdf("a")})
    answer = store.publish(entry, 1, (msgspec.structs.replace(document, name=name),))
    assert isinstance(answer, PublishFailed)
    assert list(store.run.documents.iterdir()) == []


def test_two_documents_of_one_name_are_refused(store: Store, entry: Entry) -> None:
    """Names that differ only in case would be one file elsewhere."""
    documents = store.stage(1, {"a.pdf": pdf("a"), "A.PDF": pdf("b")})
    answer = store.publish(entry, 1, documents)
    assert isinstance(answer, PublishFailed)
    assert "is there twice" in answer.message


def test_a_file_called_pdf_must_begin_like_one(store: Store, entry: Entry) -> None:
    """A login page under the name of a document is found here too, and another type is fine without."""
    assert isinstance(store.publish(entry, 1, store.stage(1, {"a.pdf": b"<html>log in</html>"})), PublishFailed)
    (photo,) = store.stage(2, {"photo.jpg": b"\xff\xd8\xff"})
    assert isinstance(store.publish(entry, 2, (msgspec.structs.replace(photo, pages=None),)), Published)


def test_nothing_staged_is_a_failure(store: Store, entry: Entry, tmp_path: Path) -> None:
    """Documents that were reported but not staged, or staged behind a link, are not published."""
    documents = store.stage(1, {"a.pdf": pdf("a")})
    store.run.staging(1).rename(tmp_path / "elsewhere")
    for linked in (False, True):
        if linked:
            store.run.staging(1).symlink_to(tmp_path / "elsewhere")
        answer = store.publish(entry, 1, documents)
        assert isinstance(answer, PublishFailed)
        assert answer.kind is Kind.PUBLISH_FAILED
    assert (tmp_path / "elsewhere/a.pdf").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_apart(store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A full disk is not the documents' fault: its own kind, nothing in place, and the same may be tried again."""
    documents = store.stage(1, {"a.pdf": pdf("a")})

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = store.publish(entry, 1, documents)
    assert isinstance(answer, PublishFailed)
    assert answer.kind is Kind.DISK_FULL
    assert list(store.run.documents.iterdir()) == []
    assert isinstance(store.publish(entry, 1, documents), Published)


@pytest.mark.parametrize("failing", range(1, 12))
def test_a_disk_that_fails_at_any_flush_leaves_the_former_documents(
    store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whichever flush fails: after a failure the former documents are in place, after a success the new ones."""
    old = store.stage(1, {"a.pdf": pdf("old")})
    assert isinstance(store.publish(entry, 1, old), Published)
    new = store.stage(2, {"a.pdf": pdf("new")})
    count, real = 0, os.fsync

    def flaky(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == failing:
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flaky)
        answer = store.publish(entry, 2, new)
    expected = new if isinstance(answer, Published) else old
    assert manifest.condition(place_of(store, entry), expected).sound


def test_the_same_documents_again_replace_only_the_manifest(store: Store, entry: Entry) -> None:
    """A reference done once more with the same result has one set of documents, by the newer attempt."""
    files = {"a.pdf": pdf("a"), "b.pdf": pdf("b")}
    for attempt in (1, 2):
        assert isinstance(store.publish(entry, attempt, store.stage(attempt, files)), Published)
    folder = place_of(store, entry)
    assert names(folder) == ["a.pdf", "b.pdf", "manifest.json"]
    found = manifest.read_manifest(folder)
    assert found is not None
    assert found.attempt == 2
    assert not store.run.staging(2).exists()


def test_changed_documents_are_kept_beside_the_new_ones(store: Store, entry: Entry) -> None:
    """Nothing is overwritten: each former set stands in ``previous/`` under its time and attempt, with its manifest."""
    for attempt, text in enumerate(("first", "second", "third"), start=1):
        documents = store.stage(attempt, {"a.pdf": pdf(text), f"{text}.pdf": pdf(text)})
        assert isinstance(store.publish(entry, attempt, documents, number=attempt), Published)
    folder = place_of(store, entry)
    assert names(folder) == ["a.pdf", "manifest.json", "previous", "third.pdf"]
    previous = sorted((folder / "previous").iterdir(), key=lambda path: path.name.rpartition("-")[2])
    assert [names(kept) for kept in previous] == [
        ["a.pdf", "first.pdf", "manifest.json"],
        ["a.pdf", "manifest.json", "second.pdf"],
    ]
    assert (previous[0] / "a.pdf").read_bytes() == pdf("first")
    assert previous[1].name.endswith("Z-attempt-2")
    assert list(store.run.replaced.iterdir()) == []
    found = manifest.read_manifest(folder)
    assert found is not None
    former = [(kept.name, kept.attempt, (folder / kept.path).read_bytes()) for kept in found.former]
    assert former == [
        ("a.pdf", 2, pdf("second")),
        ("second.pdf", 2, pdf("second")),
        ("a.pdf", 1, pdf("first")),
        ("first.pdf", 1, pdf("first")),
    ]


def test_the_record_of_former_documents_outlives_a_night_without_changes(store: Store, entry: Entry) -> None:
    """What comes the same again leaves everything as it is, but for the attempt that saw it last."""
    for attempt, text in enumerate(("first", "second", "second"), start=1):
        documents = store.stage(attempt, {"a.pdf": pdf(text)})
        assert isinstance(store.publish(entry, attempt, documents, number=attempt), Published)
    found = manifest.read_manifest(place_of(store, entry))
    assert found is not None
    assert (found.attempt, [kept.attempt for kept in found.former]) == (3, [1])
    assert len(list((place_of(store, entry) / "previous").iterdir())) == 1


def test_a_large_document_is_published_without_holding_it(store: Store, entry: Entry) -> None:
    """It is read in pieces, however large it is."""
    staged = store.run.staging(1)
    staged.mkdir()
    with (staged / "large.pdf").open("w+b") as file:
        file.write(b"%PDF-1.7\n")
        file.truncate(100 * 1024 * 1024)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    document = Document("large.pdf", "", 100 * 1024 * 1024, digest, 1)
    tracemalloc.start()
    try:
        assert isinstance(store.publish(entry, 1, (document,)), Published)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 5 * 1024 * 1024


def test_documents_altered_in_place_are_not_taken_for_the_same(store: Store, entry: Entry) -> None:
    """The same documents fetched again replace a copy that somebody altered, and the altered one is kept."""
    files = {"a.pdf": pdf("a")}
    store.publish(entry, 1, store.stage(1, files))
    changed(place_of(store, entry) / "a.pdf")
    documents = store.stage(2, files)
    assert isinstance(store.publish(entry, 2, documents), Published)
    assert manifest.condition(place_of(store, entry), documents).sound
    assert len(list((place_of(store, entry) / "previous").iterdir())) == 1


def test_the_evidence_of_logins_and_exports_has_folders_that_no_reference_has(store: Store, entry: Entry) -> None:
    """Numbered, the latest twenty of each; nothing stays in staging, and what cannot be kept is told."""
    for errand in range(1, 25):
        evidence = store.run.errand_staging(errand) / "evidence"
        evidence.mkdir(parents=True)
        (evidence / "screenshot.png").write_bytes(b"png")
        (evidence / "error.txt").write_text("url: https://lot.example/login\n")
        said = store.publisher.discard_errand(DiscardErrand(errand, "login", "login_failed", "no mark"))
        assert said == f"the evidence of the failed login is in failures/_login/attempt-{errand}"
        assert not store.run.errand_staging(errand).exists()
    assert names(store.run.failures / "_login") == sorted(f"attempt-{number}" for number in range(5, 25))
    last = store.run.failures / "_login" / "attempt-24"
    assert names(last) == ["error.txt", "screenshot.png"]
    text = (last / "error.txt").read_text()
    assert text == "attempt 24 (number 24): login_failed: no mark\n\nurl: https://lot.example/login\n"
    store.publisher.discard_errand(DiscardErrand(30, "export", "export_invalid", "nothing was staged"))
    assert names(store.run.failures / "_export" / "attempt-1") == ["error.txt"]
    for ref in ("_login", "_export", "_login/attempt-1"):
        assert not any(folder.startswith("_") for folder in candidates(ref))
    shutil.rmtree(store.run.failures)
    assert "could not be kept" in store.publisher.discard_errand(DiscardErrand(31, "login", "network", "x"))


def test_evidence_is_kept_and_staging_removed(store: Store, entry: Entry) -> None:
    """A failed attempt leaves its evidence, with attempt, kind and message in error.txt, and nothing else."""
    store.stage(5, {"half.pdf": pdf("half")})
    evidence = store.run.evidence(5)
    evidence.mkdir()
    (evidence / "screenshot.png").write_bytes(b"png")
    (evidence / "error.txt").write_text("step: open the vehicle")
    assert store.discard(entry, 5, number=2) == ""
    folder = store.run.failures / store.ledger.folder_of(entry.ref_id) / "attempt-2"
    assert names(folder) == ["error.txt", "screenshot.png"]
    text = (folder / "error.txt").read_text()
    assert text == "attempt 5 (number 2): timeout: took too long\n\nstep: open the vehicle"
    assert not store.run.staging(5).exists()
    assert list(store.run.documents.iterdir()) == []


def test_an_attempt_without_evidence_still_has_its_error(store: Store, entry: Entry) -> None:
    """A worker that died before it wrote anything leaves an error.txt all the same."""
    assert store.discard(entry, 1) == ""
    folder = store.run.failures / store.ledger.folder_of(entry.ref_id)
    assert (folder / "attempt-1/error.txt").read_text() == "attempt 1 (number 1): timeout: took too long\n"


def test_attempts_of_one_number_do_not_mix_their_evidence(store: Store, entry: Entry) -> None:
    """After an uncounted attempt its number comes again: a second folder; discarding twice makes no third."""
    for attempt in (1, 2, 2):
        store.discard(entry, attempt)
    folder = store.run.failures / store.ledger.folder_of(entry.ref_id)
    assert names(folder) == ["attempt-1", "attempt-1.2"]


def test_evidence_is_bounded(store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a worker writes, a failure takes so many files and bytes, the most telling first; links are left."""
    monkeypatch.setattr(publisher, "EVIDENCE_BYTES", 1000)
    evidence = store.run.evidence(1)
    evidence.mkdir(parents=True)
    (evidence / "screenshot.png").write_bytes(b"x" * 900)
    (evidence / "a-large-one.txt").write_bytes(b"x" * 200)
    (evidence / "link.txt").symlink_to("/etc/passwd")
    (evidence / "folder").mkdir()
    os.mkfifo(evidence / "error.txt")
    for number in range(50):
        (evidence / f"small-{number:02}.txt").write_bytes(b"x")
    assert store.discard(entry, 1) == ""
    kept = names(store.run.failures / store.ledger.folder_of(entry.ref_id) / "attempt-1")
    assert len(kept) == publisher.EVIDENCE_FILES
    assert {"screenshot.png", "error.txt"} < set(kept)
    assert not {"a-large-one.txt", "link.txt", "folder"} & set(kept)
    text = (store.run.failures / store.ledger.folder_of(entry.ref_id) / "attempt-1/error.txt").read_text()
    assert "33 more files" in text


def test_evidence_that_cannot_be_kept_is_told_and_does_not_raise(store: Store, entry: Entry) -> None:
    """Trouble with evidence is a sentence for the log: the run goes on."""
    (store.run.failures / store.ledger.folder_of(entry.ref_id)).write_text("a file where a folder should be")
    assert "could not be kept" in store.discard(entry, 1)


def test_a_document_that_grows_while_it_is_read_does_not_hold_the_publisher(store: Store, entry: Entry) -> None:
    """A reported size is what is read at most: the promised sha256 of an endless file never comes."""
    store.stage(1, {"a.pdf": pdf("a")})
    endless = Document("zero", "", 0, "0" * 64, pages=None)
    (store.run.staging(1) / "zero").symlink_to("/dev/zero")
    assert isinstance(store.publish(entry, 1, (endless,)), PublishFailed)


def test_what_an_attempt_published_is_withdrawn_into_quarantine(store: Store, entry: Entry) -> None:
    """Nothing of it is lost, and nothing of it stands among the documents; a second time there is nothing to do."""
    assert isinstance(store.publish(entry, 1, store.stage(1, {"invoice.pdf": pdf("doubted")})), Published)
    kept = store.publisher.withdraw(Withdraw(1, entry.ref_id, entry.ref), WALL)
    assert kept is not None
    assert kept.is_relative_to(store.run.quarantine)
    assert names(kept) == ["invoice.pdf", "manifest.json"]
    assert not place_of(store, entry).exists()
    assert store.publisher.withdraw(Withdraw(1, entry.ref_id, entry.ref), WALL) is None


def test_what_a_later_attempt_published_is_not_withdrawn(store: Store, entry: Entry) -> None:
    """Whoever comes late finds another attempt's documents and leaves them alone."""
    assert isinstance(store.publish(entry, 2, store.stage(2, {"invoice.pdf": pdf("right")})), Published)
    assert store.publisher.withdraw(Withdraw(1, entry.ref_id, entry.ref), WALL) is None
    assert names(place_of(store, entry)) == ["invoice.pdf", "manifest.json"]


def test_what_a_crash_leaves_of_an_error_text_lies_where_the_next_start_removes_it(
    store: Store, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written beside the ledger, not among the evidence, where nobody would ever look for it again."""
    written: list[Path] = []

    def replace(path: Path, target: Path) -> Path:
        written.append(path)
        return path.rename(target)

    monkeypatch.setattr(Path, "replace", replace)
    store.start(entry, 1)
    assert store.discard(entry, 1) == ""
    assert [path.parent for path in written] == [store.run.path]
