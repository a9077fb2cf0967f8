"""The side-by-side benchmark judges everybody by the website's truth, whatever they report."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.core.records import AttemptStarted, AttemptSucceeded
from supervisor.demo_site import Document as Wanted
from supervisor.demo_site import Truth, Vehicle
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from tests.benchmarks.sidebyside.contest import Told, right_ones, told_by_night, told_by_reports
from tests.benchmarks.sidebyside.job import place
from worker.protocol import Document

WHOLE = {"one.pdf": b"%PDF first", "two.pdf": b"%PDF second"}
TRUTH = Truth(
    {
        ref: Vehicle(
            tuple(Wanted(name, len(text), hashlib.sha256(text).hexdigest()) for name, text in WHOLE.items()),
        )
        for ref in ("right", "cut off", "one missing", "nothing", "failed")
    }
)
BROUGHT = {
    "right": WHOLE,
    "cut off": WHOLE | {"two.pdf": b"%PDF sec"},
    "one missing": {"one.pdf": WHOLE["one.pdf"]},
    "nothing": {},
}
"""What lies in the folders of the references that somebody calls completed."""


def by_reports(folder: Path) -> Told:
    """Tell it as every contestant but this program does."""
    lines = [{"ref": ref, "completed": True, "at": time.time()} for ref in BROUGHT]
    lines.append({"ref": "failed", "completed": False, "at": time.time()})
    (folder / "reports-all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for ref, documents in BROUGHT.items():
        put(place(folder, ref), documents)
    return told_by_reports(folder)


def by_ledger(folder: Path) -> Told:
    """Tell it as this program would, if it did not look at what it publishes."""
    directory = RunDirectory(folder)
    directory.create()
    with Ledger.create(directory.ledger, site="demo", wall=time.time()) as ledger:
        for attempt, entry in enumerate(ledger.import_references(list(BROUGHT)).entries, start=1):
            put(directory.documents / ledger.folder_of(entry.ref_id), BROUGHT[entry.ref])
            documents = tuple(Document(name, "", 1, "0" * 64, 1) for name in WHOLE)
            started = AttemptStarted(attempt=attempt, ref_id=entry.ref_id, number=1, slot=1, incarnation=1)
            ledger.apply([started, AttemptSucceeded(attempt, entry.ref_id, documents, ())], time.time())
    return told_by_night(folder)


def put(folder: Path, documents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items():
        (folder / name).write_bytes(text)


@pytest.mark.parametrize("tell", [by_reports, by_ledger])
def test_who_calls_wrong_bytes_completed_is_not_believed(tell: Callable[[Path], Told], tmp_path: Path) -> None:
    """Cut-off, missing and absent documents are no success, for this program as little as for the others."""
    told = tell(tmp_path)
    assert {report.ref for report, _ in told.values() if report.completed} == set(BROUGHT)
    assert [report.ref for report in right_ones(told, TRUTH)] == ["right"]
