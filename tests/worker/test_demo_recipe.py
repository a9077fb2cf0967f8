"""The demo's recipe in a real worker with a real browser, against the demo website with all its faults."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.child import DEADLINE, Child
from tests.worker.demo_process import PASSWORD, Demo, demo, rows
from worker.protocol import (
    Assign,
    ErrandFailed,
    ExportInventory,
    Failed,
    InventoryExported,
    Kind,
    LogIn,
    Ready,
    Succeeded,
)
from worker.sites.demo.faults import Fault

pytestmark = pytest.mark.browser

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def site() -> Iterator[Demo]:
    with demo("--vehicles", 60, "--faults", "all") as running:
        yield running


@pytest.fixture(scope="module")
def truth(site: Demo) -> dict[str, Any]:
    return site.truth()


def child(folder: Path, site: Demo, password: str = PASSWORD) -> Child:
    environment = {
        "NIGHTFLEET_DEMO_URL": site.url,
        "NIGHTFLEET_DEMO_USER": "tester",
        "NIGHTFLEET_DEMO_PASSWORD": password,
    }
    return Child(folder, site.url, site="demo", environment=environment)


@pytest.fixture(scope="module")
def worker(site: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One worker, logged in."""
    started = child(tmp_path_factory.mktemp("worker"), site)
    try:
        started.ready()
        started.log_in()
        yield started
    finally:
        started.end()


def attempt(worker: Child, ref: str, deadline: float = DEADLINE) -> tuple[Succeeded | Failed, dict[str, str]]:
    """Hand out a reference; return the answer and the hashes of what was staged."""
    number = next(_numbers)
    staging = worker.folder / f"staging-{number}"
    worker.send(Assign(number, ref, 1, False, str(staging), deadline))
    answer = worker.next()
    assert isinstance(answer, Succeeded | Failed), worker.said()
    if isinstance(answer, Failed) and not answer.ready:
        worker.expect(Ready)
    return answer, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in staging.glob("*.pdf")}


def check_brought(worker: Child, ref: str, truth: dict[str, Any]) -> None:
    answer, hashes = attempt(worker, ref)
    assert isinstance(answer, Succeeded), f"{answer}\n{worker.said()}"
    assert hashes == {document["name"]: document["sha256"] for document in truth[ref]["documents"]}
    assert {document.name for document in answer.documents} == set(hashes)


def test_the_export_holds_every_reference(worker: Child, truth: dict[str, Any]) -> None:
    """The file that the recipe brings lists what the truth lists."""
    worker.send(ExportInventory(1, str(worker.folder / "errand"), 30))
    exported = worker.expect(InventoryExported)
    found = rows((worker.folder / "errand" / exported.file).read_bytes())
    assert [row[exported.column] for row in found] == list(truth)


def test_sound_vehicles_come_home_whole(worker: Child, truth: dict[str, Any]) -> None:
    """Documents by link, form and script, of ordinary and of odd references, equal the truth."""
    sound = [ref for ref, known in truth.items() if known["fault"] is None]
    assert {"T-1042/B", "KX-1207a", "MÜ-2044", "LOT 7 12"} <= set(sound)
    for ref in sound[:16]:
        check_brought(worker, ref, truth)


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.ALERT, Fault.META_REFRESH, Fault.TARGET_BLANK])
def test_oddities_do_no_harm(worker: Child, site: Demo, truth: dict[str, Any], fault: Fault) -> None:
    """A slow page, an alert box, a page that moves on and a window cost no attempt."""
    check_brought(worker, site.with_fault(fault), truth)


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        (Fault.SERVER_ERROR_ONCE, {Kind.SERVER_ERROR}),
        (Fault.TRUNCATED, {Kind.DOCUMENT_INVALID}),
        (Fault.TRUNCATED_NO_LENGTH, {Kind.DOCUMENT_INVALID}),
        (Fault.HTML_AS_PDF, {Kind.DOCUMENT_INVALID}),
        (Fault.ZERO_BYTES, {Kind.DOCUMENT_INVALID}),
        (Fault.ATTACHMENT_500, {Kind.DOWNLOAD_REFUSED, Kind.SERVER_ERROR}),
        (Fault.RENDERER_CRASH, {Kind.PAGE_CRASHED}),
        (Fault.NEVER_ANSWERS, {Kind.TIMEOUT}),
        (Fault.ENDLESS_SCRIPT, {Kind.TIMEOUT, Kind.PAGE_HUNG}),
        (Fault.STALLED_DOWNLOAD, {Kind.TIMEOUT, Kind.DOCUMENT_STALLED}),
    ],
)
def test_a_passing_fault_is_named_and_passes(
    worker: Child, site: Demo, truth: dict[str, Any], fault: Fault, kinds: set[Kind]
) -> None:
    """The first attempt fails for the right reason; the second one, with the same worker, brings the whole truth."""
    ref = site.with_fault(fault)
    answer, _ = attempt(worker, ref, 6 if Kind.TIMEOUT in kinds else DEADLINE)
    assert isinstance(answer, Failed), f"{answer}\n{worker.said()}"
    assert answer.kind in kinds, f"{answer}\n{worker.said()}"
    check_brought(worker, ref, truth)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.GONE, Kind.NOT_FOUND),
        (Fault.ALWAYS_500, Kind.SERVER_ERROR),
        (Fault.ALWAYS_TRUNCATED, Kind.DOCUMENT_INVALID),
    ],
)
def test_a_lasting_fault_is_named(worker: Child, site: Demo, fault: Fault, kind: Kind) -> None:
    """A reference whose documents cannot be had fails each time, for the same reason."""
    for _ in range(2):
        answer, _ = attempt(worker, site.with_fault(fault))
        assert isinstance(answer, Failed)
        assert answer.kind is kind, answer


def test_an_expired_session_is_no_fault_of_the_vehicle(worker: Child, site: Demo, truth: dict[str, Any]) -> None:
    """It is named, and after a new login the vehicle's documents come."""
    ref = site.with_fault(Fault.SESSION_EXPIRY)
    answer, _ = attempt(worker, ref)
    assert isinstance(answer, Failed)
    assert answer.kind is Kind.SESSION_EXPIRED
    worker.log_in()
    check_brought(worker, ref, truth)


def test_a_refused_login_is_told_in_the_sites_words(site: Demo, tmp_path: Path) -> None:
    """The website is asked once, and its sentence is passed on."""
    refusals = site.client().json("/log.json")["refusals"]
    stranger = child(tmp_path, site, "not-the-password")
    try:
        stranger.ready()
        stranger.send(LogIn(1, str(stranger.folder / "login"), 30))
        answer = stranger.expect(ErrandFailed)
        assert answer.kind is Kind.LOGIN_REFUSED
        assert answer.message == "the site answered: Wrong user or password."
    finally:
        stranger.end()
    assert site.client().json("/log.json")["refusals"] == refusals + 1
