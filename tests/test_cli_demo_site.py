"""The demo's website beside the program: started, asked for its truth, gone with its starter; and the verdict."""

import hashlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from supervisor import demo_site
from supervisor.core.records import AttemptFailed, AttemptStarted, AttemptSucceeded
from supervisor.demo_site import Truth, Vehicle, Wishes
from supervisor.errors import UserError
from supervisor.shell.ledger import Ledger
from supervisor.shell.run_directory import RunDirectory
from worker.protocol import Document, Kind

ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 60.0


def test_the_website_tells_the_truth_and_ends_with_the_block() -> None:
    """It listens on a free port, knows as many vehicles as were asked for, and nobody listens there afterwards."""
    with demo_site.started(Wishes(vehicles=5), os.environ) as website:
        truth = website.truth()
        assert len(truth.references) == 5
        assert all(vehicle.documents for vehicle in truth.references.values())
        assert website.environment == {"NIGHTFLEET_DEMO_URL": website.url}
    with pytest.raises(UserError, match="does not tell its truth"):
        website.truth()


def test_a_website_that_complains_at_length_goes_on() -> None:
    """Nobody reads what it says, and it must not wait for somebody who does: a night's complaints fill any pipe."""
    with demo_site.started(Wishes(vehicles=1), {**os.environ, "PYTHONVERBOSE": "1"}) as website:
        assert len(website.truth().references) == 1


def test_faults_that_do_not_exist_are_refused() -> None:
    """The website's own words come through, as wrong usage."""
    with (
        pytest.raises(UserError, match="'nonsense'") as caught,
        demo_site.started(Wishes(faults="nonsense"), os.environ),
    ):
        pass
    assert caught.value.exit_code == 2


def test_the_website_dies_with_its_starter() -> None:
    """Also a starter that is killed leaves no website behind."""
    code = (
        "import os, sys, time\nfrom supervisor import demo_site\n"
        "with demo_site.started(demo_site.Wishes(vehicles=1), os.environ) as website:\n"
        "    print(website.url, flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        website = demo_site.Website(url, Wishes(), {}, starter.pid)
        assert website.truth().references
        starter.send_signal(signal.SIGKILL)
        starter.wait(DEADLINE)
    last = time.monotonic() + DEADLINE
    while answers(website):
        assert time.monotonic() < last
        select.select([], [], [], 0.05)


def answers(website: demo_site.Website) -> bool:
    try:
        website.truth()
    except UserError:
        return False
    return True


def test_what_the_website_was_like_is_remembered(tmp_path: Path) -> None:
    """A resumed demo meets the same website; a run directory without one, or a torn file, remembers nothing."""
    directory = RunDirectory(tmp_path / "night")
    assert demo_site.remembered(directory.path) is None
    directory.create()
    demo_site.remember(directory.path, Wishes(vehicles=60, faults="all"))
    assert demo_site.remembered(directory.path) == Wishes(vehicles=60, faults="all")
    (directory.private / "demo.json").write_bytes(b'{"vehic')
    assert demo_site.remembered(directory.path) is None


def finished_run(path: Path, *, completed: dict[str, bytes], failed: tuple[str, ...] = ()) -> Path:
    """Make a run directory in which these references are completed with one document each, or failed."""
    directory = RunDirectory(path)
    directory.create()
    with Ledger.create(directory.ledger, site="demo", wall=time.time()) as ledger:
        entries = ledger.import_references([*completed, *failed]).entries
        for attempt, entry in enumerate(entries, start=1):
            started = AttemptStarted(attempt=attempt, ref_id=entry.ref_id, number=1, slot=1, incarnation=1)
            if entry.ref in failed:
                failure = AttemptFailed(
                    attempt=attempt,
                    ref_id=entry.ref_id,
                    kind=Kind.NOT_FOUND,
                    message="",
                    counted=True,
                    crashed=False,
                    retry_in=None,
                )
                ledger.apply([started, failure], time.time())
                continue
            content = completed[entry.ref]
            document = Document("a.pdf", "", len(content), hashlib.sha256(content).hexdigest(), 1)
            folder = directory.documents / ledger.folder_of(entry.ref_id)
            folder.mkdir()
            (folder / "a.pdf").write_bytes(content)
            (folder / "manifest.json").write_text("{}")
            success = AttemptSucceeded(attempt=attempt, ref_id=entry.ref_id, documents=(document,), steps=())
            ledger.apply([started, success], time.time())
    return directory.path


def vehicle(content: bytes, *, permanent: bool = False) -> Vehicle:
    document = demo_site.Document("a.pdf", len(content), hashlib.sha256(content).hexdigest())
    return Vehicle((document,), permanent)


def test_a_run_equal_to_the_truth_is_called_so(tmp_path: Path) -> None:
    """References, documents, and that all are equal."""
    run = finished_run(tmp_path / "night", completed={"A": b"a", "B/1": b"b"})
    verdict = demo_site.judge(run, Truth({"A": vehicle(b"a"), "B/1": vehicle(b"b")}))
    assert verdict.equal
    assert verdict.sentence == "2 of 2 references completed, 2 documents, all equal to the site's truth"


def test_what_the_site_never_serves_may_fail(tmp_path: Path) -> None:
    """A reference that is bad for good fails rightly; any other that failed is named."""
    run = finished_run(tmp_path / "night", completed={"A": b"a"}, failed=("GONE",))
    truth = {"A": vehicle(b"a"), "GONE": vehicle(b"", permanent=True)}
    verdict = demo_site.judge(run, Truth(truth))
    assert verdict.equal
    assert verdict.sentence.endswith("; 1 failed, which the site never serves")
    unfair = demo_site.judge(run, Truth(truth | {"GONE": vehicle(b"x")}))
    assert not unfair.equal
    assert "1 failed, GONE though the site has the documents" in unfair.sentence


@pytest.mark.parametrize("damage", ["altered", "deleted", "extra", "unknown"])
def test_a_single_wrong_byte_is_seen(damage: str, tmp_path: Path) -> None:
    """An altered, missing or additional document, or a reference that the site does not have, is not equal."""
    run = finished_run(tmp_path / "night", completed={"A": b"a"})
    document = run / "documents" / "A" / "a.pdf"
    truth = {"A": vehicle(b"a")}
    match damage:
        case "altered":
            document.write_bytes(b"b")
        case "deleted":
            document.unlink()
        case "extra":
            document.with_name("b.pdf").write_bytes(b"b")
        case _:
            truth = {"B": vehicle(b"a")}
    verdict = demo_site.judge(run, Truth(truth))
    assert not verdict.equal
    assert "NOT equal to the site's truth: A" in verdict.sentence
