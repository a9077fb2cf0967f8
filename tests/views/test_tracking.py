import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.records import AttemptStarted
from supervisor.shell.ledger_reader import LedgerReader
from supervisor.shell.ledger_schema import LedgerMissingError, utc
from supervisor.views.tracking import disagreement, write_tracking
from tests.shell.stores import WALL, Store, pdf
from worker.protocol import Kind


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "run")
    yield store
    store.close()


def tracked(store: Store) -> dict[str, Any]:
    write_tracking(store.run.path)
    found: dict[str, Any] = json.loads(store.run.tracking.read_bytes())
    return found


def test_each_reference_is_there_once_with_its_state(store: Store) -> None:
    """The file has the documented form: the run, totals that add up, and one entry a reference with its folder."""
    store.ledger.begin_run(pid=1, workers=5, wall=WALL)
    first, second, third, fourth, _ = store.ledger.import_references(["A/1", "B", "C", "D", "E"]).entries
    store.complete(first, 1, {"b.pdf": pdf("b"), "a.pdf": pdf("a")})
    store.start(second, 2)
    store.fail(second, 2, retry_in=None)
    store.start(third, 3)
    store.fail(third, 3, retry_in=60.0)
    store.start(fourth, 4)
    found = tracked(store)
    assert found["totals"] == {"total": 5, "pending": 2, "in_progress": 1, "completed": 1, "failed": 1}
    entries = {entry["ref"]: entry for entry in found["references"]}
    assert [entry["ref"] for entry in found["references"]] == ["A/1", "B", "C", "D", "E"]
    done = entries["A/1"]
    assert set(done) == {
        *("ref", "state", "attempts", "worker", "started_at", "finished_at", "documents", "error"),
        *("folder", "failures"),
    }
    assert [set(document) for document in done["documents"]] == [{"name", "bytes", "sha256"}] * 2
    assert (done["state"], done["attempts"], done["worker"], done["error"]) == ("completed", 1, 1, None)
    assert (done["started_at"], done["finished_at"]) == (utc(WALL), utc(WALL))
    assert (store.run.documents / done["folder"] / "a.pdf").exists()
    assert entries["B"]["error"] == {"kind": "timeout", "message": "took too long"}
    assert [entries[ref]["state"] for ref in "BCDE"] == ["failed", "pending", "in_progress", "pending"]
    assert [entries[ref]["worker"] for ref in "BCDE"] == [1, None, 1, None]
    assert (found["run"]["site"], found["run"]["workers"], found["run"]["exit_code"]) == ("lot", 5, None)


def test_every_attempt_that_came_to_nothing_is_told_whatever_came_of_its_reference(store: Store) -> None:
    """Completed, waiting or failed: number, cause, sentence, and whether it was held against the reference."""
    first, second, _, fourth = store.ledger.import_references(["A", "B", "C", "D"]).entries
    store.start(second, 1)
    store.fail(second, 1, kind=Kind.WORKER_DIED)
    store.start(first, 2)
    store.fail(first, 2, kind=Kind.SESSION_EXPIRED, counted=False)
    store.complete(second, 3)
    store.start(first, 4)
    store.fail(first, 4, retry_in=None)
    store.start(fourth, 5)
    told = {entry["ref"]: entry["failures"] for entry in tracked(store)["references"]}
    died = {"attempt": 1, "kind": "worker_died", "message": "took too long", "counted": True}
    expired = {**died, "kind": "session_expired", "counted": False}
    assert told == {"A": [expired, {**died, "kind": "timeout"}], "B": [died], "C": [], "D": []}


def test_an_empty_run_has_a_file_too(store: Store) -> None:
    """Before the inventory is there the file is valid JSON with no references."""
    found = tracked(store)
    assert found["references"] == []
    assert found["totals"]["total"] == 0


def test_the_totals_are_of_the_same_moment_as_the_entries(store: Store) -> None:
    """However the run goes on meanwhile, the states of the entries add up to the totals."""
    entries = store.ledger.import_references(str(number) for number in range(300)).entries
    over = threading.Event()

    def go_on() -> None:
        for entry in entries:
            store.ledger.apply([AttemptStarted(entry.ref_id, entry.ref_id, 1, slot=1, incarnation=1)], WALL)
        over.set()

    writer = threading.Thread(target=go_on)
    writer.start()
    once_more = True
    while once_more:
        once_more = not over.is_set()
        found = tracked(store)
        states = [entry["state"] for entry in found["references"]]
        assert {state: states.count(state) for state in ("pending", "in_progress")} == {
            state: found["totals"][state] for state in ("pending", "in_progress")
        }
    writer.join()


def test_a_difference_from_the_ledger_is_named(store: Store) -> None:
    """The first entry that differs is told, and that the run went on since is no difference in the first line."""
    store.ledger.import_references(["A", "B"])
    write_tracking(store.run.path)
    with LedgerReader(store.run.ledger) as reader:
        assert disagreement(store.run.tracking, reader) == ""
        store.ledger.import_references(["C"])
        assert '"total":2' in disagreement(store.run.tracking, reader)
        write_tracking(store.run.path)
        assert disagreement(store.run.tracking, reader) == ""
        store.run.tracking.write_bytes(store.run.tracking.read_bytes().replace(b'"B"', b'"X"'))
        assert "line 5" in disagreement(store.run.tracking, reader)


def test_the_former_file_stays_when_the_ledger_cannot_be_read(store: Store) -> None:
    """Trouble leaves what there was, whole."""
    write_tracking(store.run.path)
    before = store.run.tracking.read_bytes()
    store.close()
    store.run.ledger.rename(store.run.path / "elsewhere.db")
    with pytest.raises(LedgerMissingError):
        write_tracking(store.run.path)
    assert store.run.tracking.read_bytes() == before
