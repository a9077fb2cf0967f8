import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.core.records import Entry
from supervisor.shell.ledger import Ledger
from supervisor.shell.ledger_schema import LedgerDamagedError, LedgerMissingError
from supervisor.shell.reconcile import Trouble
from supervisor.shell.run_directory import InUse, RunDirectory, RunDirectoryError
from supervisor.shell.verify import repair, verify
from supervisor.views.tracking import write_tracking
from tests.shell.stores import WALL, Store, pdf


@pytest.fixture
def folder(store: Store) -> Path:
    """Reference A is completed with two documents, B with none, C has failed, D is pending."""
    first, second, third, _ = store.ledger.import_references("ABCD").entries
    folder = store.complete(first, 1, {"a.pdf": pdf("a"), "b.pdf": pdf("b")})
    store.complete(second, 2, {})
    store.start(third, 3)
    store.fail(third, 3, retry_in=None)
    store.discard(third, 3)
    write_tracking(store.run.path)
    return folder


def flip(folder: Path) -> None:
    content = (folder / "a.pdf").read_bytes()
    (folder / "a.pdf").write_bytes(content[:-3] + b"\0" + content[-2:])


def cut(folder: Path) -> None:
    (folder / "a.pdf").write_bytes(b"%PDF-1.7")


def delete_one(folder: Path) -> None:
    (folder / "b.pdf").unlink()


def link(folder: Path) -> None:
    (folder / "a.pdf").rename(folder.parents[1] / "a.pdf")
    (folder / "a.pdf").symlink_to(folder.parents[1] / "a.pdf")


def delete_all(folder: Path) -> None:
    shutil.rmtree(folder)


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def add_a_file(folder: Path) -> None:
    (folder / "c.pdf").write_bytes(pdf("c"))


def add_a_folder(folder: Path) -> None:
    (folder.parent / "Z" / "deep").mkdir(parents=True)


def add_to_a_pending_one(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "D")


def drop_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def alter_the_manifest(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("a.pdf", "x.pdf"))


def leave_staging(folder: Path) -> None:
    (folder.parents[1] / ".nightfleet/staging/3").mkdir()


def alter_tracking(folder: Path) -> None:
    tracking = folder.parents[1] / "tracking.json"
    tracking.write_text(tracking.read_text().replace('"state":"failed"', '"state":"completed"'))


def cut_tracking(folder: Path) -> None:
    tracking = folder.parents[1] / "tracking.json"
    tracking.write_bytes(tracking.read_bytes()[:-4])


def drop_tracking(folder: Path) -> None:
    (folder.parents[1] / "tracking.json").unlink()


DAMAGE: list[tuple[Callable[[Path], None], Trouble, str, str]] = [
    (flip, Trouble.ALTERED, "A", "a.pdf has another sha256 than was reported"),
    (cut, Trouble.ALTERED, "A", "a.pdf has 8 bytes in place of"),
    (delete_one, Trouble.ALTERED, "A", "b.pdf is missing"),
    (link, Trouble.ALTERED, "A", "a.pdf is no ordinary file"),
    (delete_all, Trouble.MISSING, "A", "its documents are gone"),
    (replace_by_a_file, Trouble.ALTERED, "A", "the folder is a file or a link"),
    (add_a_file, Trouble.EXTRA, "A", "c.pdf does not belong there"),
    (add_a_folder, Trouble.EXTRA, "", "Z belongs to no reference"),
    (add_to_a_pending_one, Trouble.EXTRA, "D", "by the ledger the reference is pending"),
    (drop_the_manifest, Trouble.MANIFEST, "A", "its manifest cannot be read"),
    (alter_the_manifest, Trouble.MANIFEST, "A", "its manifest lists something else"),
    (leave_staging, Trouble.STAGING, "", "left behind by a run that was cut off"),
    (alter_tracking, Trouble.TRACKING, "", "tracking.json is not what the ledger says: line 6 is"),
    (cut_tracking, Trouble.TRACKING, "", "tracking.json is not what the ledger says"),
    (drop_tracking, Trouble.TRACKING, "", "tracking.json is missing"),
]


def test_a_sound_run_directory_is_found_sound(store: Store, folder: Path) -> None:
    """Everything was looked at, and there is nothing to say."""
    found = verify(store.run)
    size = sum(path.stat().st_size for path in folder.glob("*.pdf"))
    assert (found.findings, found.references, found.documents, found.bytes, found.active) == ((), 2, 2, size, False)


@pytest.mark.parametrize("case", DAMAGE, ids=[row[0].__name__ for row in DAMAGE])
def test_every_damage_is_found_named_and_repaired(
    store: Store, folder: Path, case: tuple[Callable[[Path], None], Trouble, str, str]
) -> None:
    """Each altered, missing and extra thing is one finding; repaired, the directory is sound, nothing is deleted."""
    damage, kind, ref, sentence = case
    damage(folder)
    (finding,) = verify(store.run).findings
    assert (finding.kind, finding.ref) == (kind, ref)
    assert sentence in finding.sentence
    store.close()
    assert repair(store.run, WALL) != []
    assert verify(store.run).findings == ()
    again = Store(store.run.path)
    reopened = kind in {Trouble.ALTERED, Trouble.MISSING}
    assert again.state("A") == ("pending" if reopened else "completed")
    again.close()
    kept = [path for path in store.run.quarantine.rglob("*") if path.is_file()]
    assert bool(kept) == (kind in {Trouble.EXTRA, Trouble.ALTERED} and damage is not add_a_folder)


def test_a_reference_that_was_repaired_is_done_again(store: Store, folder: Path) -> None:
    """After the repair the reference is handed out like a new one, and the former, altered copy is kept."""
    flip(folder)
    store.close()
    repair(store.run, WALL)
    again = Store(store.run.path)
    entries = {entry.ref: entry for entry in again.ledger.backlog(WALL).entries}
    assert entries["A"].attempts == 0
    again.complete(entries["A"], 9, {"a.pdf": pdf("a"), "b.pdf": pdf("b")})
    write_tracking(again.run.path)
    assert verify(again.run).findings == ()
    again.close()


def test_former_documents_are_checked_as_well(store: Store, folder: Path) -> None:
    """There is no other copy of them, so damage is told and nothing is moved; a manifest that lies is written anew."""
    (entry,) = store.ledger.import_references(["A"], done_before=WALL + 1).entries
    store.complete(entry, 9, {"a.pdf": pdf("new"), "b.pdf": pdf("b")})
    write_tracking(store.run.path)
    assert verify(store.run).findings == ()
    (kept,) = (store.run.documents / "A" / "previous").iterdir()
    flip(kept)
    found = verify(store.run)
    assert [finding.kind for finding in found.findings] == [Trouble.FORMER]
    assert "previous/" in found.findings[0].sentence
    place = store.run.documents / "A" / "manifest.json"
    place.write_text(place.read_text().replace('"path": "previous/', '"path": "../previous/'))
    found = verify(store.run)
    assert [finding.kind for finding in found.findings] == [Trouble.MANIFEST]
    store.close()
    assert "written anew" in repair(store.run, WALL)[0]
    (again,) = verify(store.run).findings
    assert again.kind is Trouble.FORMER
    assert "not repaired" in repair(store.run, WALL)[0]


def twice(store: Store) -> Path:
    """Have A fetched once more with another a.pdf; return where the former documents are."""
    (entry,) = store.ledger.import_references(["A"], done_before=WALL + 1).entries
    store.complete(entry, 9, {"a.pdf": pdf("new"), "b.pdf": pdf("b")})
    write_tracking(store.run.path)
    (kept,) = (store.run.documents / "A" / "previous").iterdir()
    return kept


def extra_in_the_set(kept: Path) -> None:
    (kept / "more.pdf").write_bytes(pdf("more"))


def extra_set(kept: Path) -> None:
    (kept.parent / "more").mkdir()
    (kept.parent / "more" / "a.pdf").write_bytes(pdf("more"))


def extra_beside_the_set(kept: Path) -> None:
    (kept.parent / "more.pdf").write_bytes(pdf("more"))


def nested_too_deep(kept: Path) -> None:
    (kept / "previous").mkdir()
    (kept / "previous" / "a.pdf").write_bytes(pdf("more"))


def elsewhere(kept: Path) -> None:
    kept.parent.rename(kept.parents[3] / "elsewhere")
    kept.parent.symlink_to(kept.parents[3] / "elsewhere")


def alter_what_is_also_new(kept: Path) -> None:
    (kept / "b.pdf").write_bytes(pdf("b").replace(b"EOF", b"FOE"))


def drop_the_sets_manifest(kept: Path) -> None:
    (kept / "manifest.json").unlink()


def unlist(kept: Path) -> None:
    manifest = kept.parents[1] / "manifest.json"
    listing = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**listing, "former": []}))


FORMER_DAMAGE: list[tuple[Callable[[Path], None], list[Trouble], list[Trouble]]] = [
    (extra_in_the_set, [Trouble.EXTRA], []),
    (extra_set, [Trouble.EXTRA], []),
    (extra_beside_the_set, [Trouble.EXTRA], []),
    (nested_too_deep, [Trouble.EXTRA], []),
    (elsewhere, [Trouble.FORMER, Trouble.EXTRA], [Trouble.FORMER]),
    (alter_what_is_also_new, [Trouble.FORMER], [Trouble.FORMER]),
    (drop_the_sets_manifest, [Trouble.FORMER], [Trouble.FORMER]),
    (unlist, [Trouble.MANIFEST], []),
]


@pytest.mark.parametrize("case", FORMER_DAMAGE, ids=[row[0].__name__ for row in FORMER_DAMAGE])
def test_whatever_lies_among_the_former_documents_is_accounted_for(
    store: Store, folder: Path, case: tuple[Callable[[Path], None], list[Trouble], list[Trouble]]
) -> None:
    """Extra, altered and unlisted things in previous/ are told; a repair deletes nothing and keeps what is listed."""
    damage, kinds, left = case
    kept = twice(store)
    damage(kept)
    before = {path.read_bytes() for path in store.run.path.rglob("*.pdf")}
    assert [finding.kind for finding in verify(store.run).findings] == kinds
    store.close()
    repair(store.run, WALL)
    assert [finding.kind for finding in verify(store.run).findings] == left
    assert before <= {path.read_bytes() for path in store.run.path.rglob("*.pdf")}
    assert left == [] or damage is elsewhere or (kept / "a.pdf").exists()


@pytest.mark.parametrize("failed", [False, True])
@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (flip, Trouble.ALTERED),
        (delete_one, Trouble.ALTERED),
        (delete_all, Trouble.MISSING),
        (add_a_file, Trouble.EXTRA),
        (drop_the_manifest, Trouble.MANIFEST),
    ],
)
def test_documents_of_an_earlier_night_are_checked_although_their_reference_is_not_completed(
    store: Store, folder: Path, damage: Callable[[Path], None], kind: Trouble, *, failed: bool
) -> None:
    """It is done once more, or was and has failed: what is on record for it is there, byte for byte, or it is told."""
    (entry,) = store.ledger.import_references(["A"], done_before=WALL + 1).entries
    if failed:
        store.start(entry, 9)
        store.fail(entry, 9, retry_in=None)
    write_tracking(store.run.path)
    assert verify(store.run).findings == ()
    damage(folder)
    (finding,) = verify(store.run).findings
    assert (finding.kind, finding.ref) == (kind, "A")
    store.close()
    assert repair(store.run, WALL) != []
    assert verify(store.run).findings == ()
    again = Store(store.run.path)
    assert again.state("A") == ("failed" if failed else "pending")
    again.close()


def test_during_a_run_only_what_is_completed_is_checked(store: Store, folder: Path) -> None:
    """Documents that are being published and staging in use are nobody's fault; a repair waits for the end."""
    flip(folder)
    add_a_folder(folder)
    leave_staging(folder)
    drop_tracking(folder)
    with store.run.lock():
        found = verify(store.run)
        assert found.active
        assert [finding.kind for finding in found.findings] == [Trouble.ALTERED]
        with pytest.raises(InUse):
            repair(store.run, WALL)


def test_the_ledgers_own_contradictions_are_found(store: Store, folder: Path) -> None:
    """Rows without a reference are told, and refused by whoever would write; no repair can know the truth."""
    connection = store.ledger._connection
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("INSERT INTO document VALUES (99, 'x.pdf', 1, '', 1, '', NULL, '', 0)")
    store.close()
    write_tracking(store.run.path)
    found = verify(store.run)
    assert [finding.kind for finding in found.findings] == [Trouble.LEDGER]
    assert "names a reference that is not there" in found.findings[0].sentence
    with pytest.raises(LedgerDamagedError, match="names a reference that is not there"):
        repair(store.run, WALL)


def test_totals_that_do_not_add_up_are_refused_until_they_are_counted_again(store: Store, folder: Path) -> None:
    """A start touches nothing; the repair makes of them the sums of the references, which are the truth."""
    store.ledger._connection.execute("UPDATE total SET count = count + 1 WHERE state = 'failed'")
    store.close()
    with pytest.raises(LedgerDamagedError, match="its totals are not the sums"):
        Ledger.open(store.run.ledger)
    write_tracking(store.run.path)
    found = verify(store.run)
    assert [finding.kind for finding in found.findings] == [Trouble.TOTALS]
    said = repair(store.run, WALL)
    assert said == ["the ledger's totals were counted again", "tracking.json was written anew from the ledger"]
    assert verify(store.run).findings == ()


def test_documents_that_a_repair_has_just_put_back_are_not_fetched_again(store: Store, folder: Path) -> None:
    """They stood aside when the run was cut off; in their place again they are what the ledger says."""
    store.run.replaced.mkdir()
    folder.rename(store.run.replaced / "9-A")
    store.close()
    found = verify(store.run)
    assert {finding.kind for finding in found.findings} == {Trouble.MISSING, Trouble.INTERRUPTED}
    said = repair(store.run, WALL)
    assert [text for text in said if "put back" in text or "pending" in text] == said
    assert len(said) == 1
    assert verify(store.run).findings == ()


def test_a_directory_that_cannot_be_verified_is_told(store: Store, folder: Path, tmp_path: Path) -> None:
    """No run directory, a ledger that is gone, a damaged one: one sentence each."""
    with pytest.raises(RunDirectoryError):
        verify(RunDirectory(tmp_path / "nothing"))
    store.close()
    store.run.ledger.write_bytes(store.run.ledger.read_bytes()[:5000])
    with pytest.raises(LedgerDamagedError):
        verify(store.run)
    store.run.ledger.unlink()
    with pytest.raises(LedgerMissingError):
        verify(store.run)


def test_a_lost_attempt_with_documents_in_place_is_adopted_by_the_repair(store: Store, folder: Path) -> None:
    """What the next start would do, the repair does."""
    entry = Entry(4, "D")
    store.start(entry, 4)
    store.publish(entry, 4, store.stage(4, {"d.pdf": pdf("d")}))
    write_tracking(store.run.path)
    found = verify(store.run)
    assert [finding.kind for finding in found.findings] == [Trouble.EXTRA]
    store.close()
    assert "counts as succeeded" in repair(store.run, WALL)[0]
    assert verify(store.run).findings == ()
    assert (store.run.documents / "D/d.pdf").exists()
