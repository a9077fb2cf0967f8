"""What a worker answers, driven as the supervisor drives it, with a real browser."""

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.worker.child import Child
from tests.worker.lot_site import PASSWORD, USER, LotSite
from worker.protocol import (
    Assign,
    ErrandFailed,
    ExportInventory,
    Failed,
    InventoryExported,
    Kind,
    LoggedIn,
    LogIn,
    Ready,
    Refresh,
    ShutDown,
    Succeeded,
    UseSession,
)

pytestmark = pytest.mark.browser

Start: TypeAlias = Callable[..., Child]

_numbers = itertools.count(1)


def assign(child: Child, ref: str, deadline: float = 30.0) -> tuple[Succeeded | Failed, Path]:
    """Hand out a reference and return the answer with the staging folder."""
    number = next(_numbers)
    staging = child.folder / f"staging-{number}"
    child.send(Assign(number, ref, 1, False, str(staging), deadline))
    answer = child.next()
    assert isinstance(answer, Succeeded | Failed), child.said()
    assert answer.attempt == number
    return answer, staging


def failed(child: Child, ref: str, deadline: float = 30.0) -> tuple[Failed, Path]:
    answer, staging = assign(child, ref, deadline)
    assert isinstance(answer, Failed), child.said()
    return answer, staging


def check_recovers(child: Child) -> None:
    """Assert that a worker that was not ready gets ready, and does the next reference."""
    child.expect(Ready)
    following, _ = assign(child, "plain")
    assert isinstance(following, Succeeded), child.said()


@pytest.fixture(scope="module")
def worker(lot: LotSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One worker, logged in, for all tests that leave it able to work."""
    child = Child(tmp_path_factory.mktemp("worker"), lot.url)
    try:
        child.ready()
        child.log_in()
        yield child
    finally:
        child.end()


def test_a_reference_comes_home_with_its_documents_hashed_and_staged(worker: Child, lot: LotSite) -> None:
    """Fetched and clicked documents lie in the staging folder exactly as reported, and nothing else does."""
    answer, staging = assign(worker, "two")
    assert isinstance(answer, Succeeded), worker.said()
    assert [document.name for document in answer.documents] == ["a.pdf", "b.pdf"]
    assert {document.bytes for document in answer.documents} == {len(lot.pdf)}
    assert [document.pages for document in answer.documents] == [1, 1]
    assert sorted(path.name for path in staging.iterdir()) == ["a.pdf", "b.pdf"]
    assert (staging / "b.pdf").read_bytes() == lot.pdf
    assert [step.name for step in answer.steps] == ["open the vehicle", "fetch the documents"]


@pytest.mark.parametrize("ref", ["blank", "alert", "meta"])
def test_popups_dialogs_and_pages_that_move_on_are_no_obstacle(worker: Child, ref: str) -> None:
    """Each of them ends with an answer, and the next reference works."""
    answer, _ = assign(worker, ref)
    if ref != "meta":  # its link is gone when the page has moved on; what counts is that nothing hangs
        assert isinstance(answer, Succeeded), worker.said()
    else:
        assert isinstance(answer, Succeeded) or answer.kind is Kind.DOCUMENTS_MISSING
    following, _ = assign(worker, "plain")
    assert isinstance(following, Succeeded), worker.said()


def test_two_documents_of_one_name_get_two_names(worker: Child) -> None:
    """Nothing is overwritten."""
    answer, _ = assign(worker, "plain")
    assert isinstance(answer, Succeeded), worker.said()
    assert [document.name for document in answer.documents] == ["a.pdf", "a-2.pdf"]


@pytest.mark.parametrize(
    ("ref", "kind", "said"),
    [
        ("truncated", Kind.DOCUMENT_INVALID, "broke off"),
        ("truncated-click", Kind.DOCUMENT_INVALID, "broke off"),
        ("cut", Kind.DOCUMENT_INVALID, "cut off"),
        ("cut-click", Kind.DOCUMENT_INVALID, "cut off"),
        ("zero", Kind.DOCUMENT_INVALID, "is empty"),
        ("html", Kind.DOCUMENT_INVALID, "a web page"),
        ("login-as-pdf", Kind.SESSION_EXPIRED, "the login page came in place of the document"),
        ("attached-401", Kind.SESSION_EXPIRED, "401"),
        ("attached-404", Kind.NOT_FOUND, "404"),
        ("attached-500", Kind.DOWNLOAD_REFUSED, "500"),
        ("attached-500-blank", Kind.DOWNLOAD_REFUSED, "500"),
        ("empty", Kind.DOCUMENTS_MISSING, "0 documents"),
        ("no-such-vehicle", Kind.NOT_FOUND, "404"),
    ],
)
def test_what_the_site_does_wrong_is_named_and_needs_no_recovery(
    worker: Child, ref: str, kind: Kind, said: str
) -> None:
    """The kind and a sentence come at once, with evidence, and no broken document stays."""
    answer, staging = failed(worker, ref)
    assert (answer.kind, answer.ready) == (kind, True), answer
    assert said in answer.message
    evidence = staging / "evidence"
    assert {path.name for path in staging.iterdir()} <= {"evidence", "a.pdf"}
    assert {"error.txt", "screenshot.png", "page.html"} <= {path.name for path in evidence.iterdir()}
    assert f"kind: {kind}" in (evidence / "error.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (401, {}, Kind.SESSION_EXPIRED, None),
        (403, {}, Kind.FORBIDDEN, None),
        (410, {}, Kind.NOT_FOUND, None),
        (418, {}, Kind.HTTP_ERROR, None),
        (429, {"Retry-After": "7"}, Kind.RATE_LIMITED, 7.0),
        (500, {}, Kind.SERVER_ERROR, None),
        (503, {"Retry-After": "11"}, Kind.RATE_LIMITED, 11.0),
        (500, {"Content-Disposition": "attachment; filename=x"}, Kind.SERVER_ERROR, None),
    ],
)
def test_the_status_of_the_page_decides(
    worker: Child, lot: LotSite, status: int, headers: dict[str, str], *, kind: Kind, wait: float | None
) -> None:
    """Also where an attachment hides the status behind a download that never begins."""
    ref = f"odd-{status}-{len(lot.statuses)}"  # a new one each time, because browsers keep a 410
    lot.statuses[ref] = (status, headers)
    answer, _ = failed(worker, ref)
    assert (answer.kind, answer.status, answer.retry_after, answer.ready) == (kind, status, wait, True), answer


def test_a_page_that_never_answers_is_left_after_the_deadline(worker: Child) -> None:
    """The failure comes at once, the recovery follows, the next reference works."""
    answer, _ = failed(worker, "never", deadline=1.5)
    assert (answer.kind, answer.ready) == (Kind.TIMEOUT, False), answer
    assert "1.5 s" in answer.message
    assert "open the vehicle" in answer.message
    check_recovers(worker)


def test_a_download_that_stops_moving_is_cancelled(worker: Child) -> None:
    """Long before the deadline, because its file no longer grows."""
    answer, _ = failed(worker, "stalled", deadline=4.0)
    assert (answer.kind, answer.ready) == (Kind.DOCUMENT_STALLED, False), answer
    worker.expect(Ready)


def test_a_step_with_its_own_time_out_fails_as_that(worker: Child) -> None:
    """A selector that never appears is not mistaken for a site that never answers."""
    answer, _ = failed(worker, "waits")
    assert (answer.kind, answer.ready) == (Kind.STEP_TIMEOUT, False), answer
    worker.expect(Ready)


@pytest.mark.parametrize("ref", ["waits", "frame-waits"])
def test_a_window_or_a_frame_that_never_loads_blinds_nobody(worker: Child, ref: str) -> None:
    """A window that is closed before its page came tells nothing of it any more; what fails later leaves its page."""
    opened, _ = assign(worker, "opens")
    assert isinstance(opened, Succeeded), worker.said()
    answer, staging = failed(worker, ref)
    assert (answer.kind, answer.ready) == (Kind.STEP_TIMEOUT, False), answer
    assert (staging / "evidence" / "page.html").exists()
    assert "not answered by the site" not in (staging / "evidence" / "error.txt").read_text("utf-8")
    worker.expect(Ready)


def test_a_recipe_that_raises_is_named_with_its_line_and_no_secret(worker: Child) -> None:
    """The exception's text holds the password; neither the answer nor the evidence does."""
    answer, staging = failed(worker, "raises")
    assert (answer.kind, answer.ready) == (Kind.RECIPE_ERROR, False), answer
    assert re.search(r"KeyError.*lot_recipe\.py:\d+", answer.message)
    worker.expect(Ready)
    for path in (staging / "evidence").rglob("*.txt"):
        assert PASSWORD not in path.read_text("utf-8")


def test_an_endless_script_is_found_long_before_the_deadline(worker: Child) -> None:
    """The page's process no longer answers: fresh page, next reference."""
    answer, _ = failed(worker, "spin", deadline=60.0)
    assert (answer.kind, answer.ready) == (Kind.PAGE_HUNG, False), answer
    check_recovers(worker)


def test_alert_boxes_without_end_are_left_behind(worker: Child) -> None:
    """Each is answered, and the next one comes: no call on such a page ends, but the attempt does."""
    answer, _ = failed(worker, "alerts", deadline=4.0)
    assert (answer.kind in {Kind.PAGE_HUNG, Kind.TIMEOUT}, answer.ready) == (True, False), answer
    check_recovers(worker)


def test_a_page_whose_close_never_ends_goes_with_its_context(worker: Child) -> None:
    """Closing has a deadline, and what does not close is not waited for again."""
    answer, _ = failed(worker, "spin-never-closes", deadline=60.0)
    assert (answer.kind, answer.ready) == (Kind.PAGE_HUNG, False), answer
    check_recovers(worker)
    assert "a fresh page did not help: closing a page took longer than 3 s" in worker.said()
    assert "recovered with a fresh context" in worker.said()


def test_a_step_that_takes_longer_than_its_limit_ends_the_attempt(worker: Child) -> None:
    """The step is named, the evidence is there, and the next reference works; other steps have no limit."""
    staging = worker.folder / "limited"
    limits = {"fetch the documents": 1.0, "recover": 0.001}
    worker.send(Assign(next(_numbers), "idle", 1, False, str(staging), 60.0, limits))
    answer = worker.expect(Failed)
    assert (answer.kind, answer.ready) == (Kind.STEP_TIMEOUT, False), answer
    assert "took much longer than it ever did before" in answer.message
    assert answer.message.endswith(": fetch the documents")
    assert answer.steps[-1].seconds >= 1.0
    assert (staging / "evidence" / "screenshot.png").exists()
    check_recovers(worker)


def test_the_heartbeat_tells_attempt_and_step(worker: Child, lot: LotSite) -> None:
    """So that the display can show what a worker is doing, and for how long."""
    lot.arrived.clear()
    number = next(_numbers)
    worker.send(Assign(number, "never", 1, False, str(worker.folder / "staging-beat"), 2.0))
    assert lot.arrived.wait(20)
    while (beat := worker.beat()).attempt != number:
        pass
    assert beat.step == "open the vehicle"
    assert isinstance(worker.next(), Failed)
    worker.expect(Ready)


def test_the_export_lies_in_its_staging_folder(worker: Child) -> None:
    """With what is needed to read it."""
    staging = worker.folder / "errand"
    worker.send(ExportInventory(7, str(staging), 30))
    answer = worker.expect(InventoryExported)
    assert (answer.errand, answer.column, answer.delimiter) == (7, "Stock No", ",")
    assert (staging / answer.file).read_bytes() == b"Stock No,Make\nplain,Volvo\n"


def test_refresh_brings_another_browser_with_the_same_session(worker: Child, lot: LotSite) -> None:
    """No login is needed for it."""
    logins, known = lot.logins, len(worker.browsers)
    worker.send(Refresh())
    worker.expect(Ready)
    assert len(worker.browsers) == known + 1
    answer, _ = assign(worker, "plain")
    assert isinstance(answer, Succeeded), worker.said()
    assert lot.logins == logins


def test_python_stacks_are_written_on_demand(worker: Child) -> None:
    """SIGUSR1 asks the fault handler, which works even when nothing else does; the worker goes on."""
    pid = worker.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGUSR1)
    worker.beat()
    stacks = worker.stacks.read_text("utf-8")
    assert "worker/main.py" in stacks
    assert "base_events.py" in stacks
    answer, _ = assign(worker, "plain")
    assert isinstance(answer, Succeeded), worker.said()


def test_credentials_are_in_no_line_of_the_log(worker: Child) -> None:
    """After everything above; each line says who, and the lines of an attempt say which."""
    assign(worker, "plain")
    text = worker.log.read_text("utf-8")
    assert PASSWORD not in text
    assert USER not in text
    assert "session-number" not in text
    assert re.search(
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO worker=1 ref=plain attempt=\d+ ", text, re.MULTILINE
    )


def test_a_second_worker_takes_the_session_over(start: Start, lot: LotSite) -> None:
    """One login serves them all, and after `ShutDown` the exit code is 0."""
    first, second = start(), start(log_json=True)
    first.ready()
    session = first.log_in()
    logins = lot.logins
    second.ready()
    second.send(UseSession(session))
    answer, _ = assign(second, "plain")
    assert isinstance(answer, Succeeded), second.said()
    assert lot.logins == logins
    second.send(ShutDown())
    assert second.exit_code() == 0
    lines = [json.loads(line) for line in second.log.read_text("utf-8").splitlines()]
    assert {"time", "level", "worker", "incarnation", "ref", "attempt", "message"} == set(lines[0])


def test_without_a_session_the_login_page_says_so(start: Start) -> None:
    """That is the session's failure, not the reference's."""
    child = start()
    child.ready()
    answer, _ = failed(child, "plain")
    assert (answer.kind, answer.ready) == (Kind.SESSION_EXPIRED, True), answer


def test_a_page_that_is_forbidden_to_those_who_are_not_logged_in_is_no_fault_of_the_reference(
    start: Start, lot: LotSite
) -> None:
    """The worker looks at the inventory page first, and tells when that proved the session."""
    child = start()
    child.ready()
    lot.statuses["for-members"] = (403, {})
    answer, _ = failed(child, "for-members")
    assert (answer.kind, answer.status, answer.proven_after) == (Kind.SESSION_EXPIRED, 403, None), answer
    assert "which showed as" in answer.message
    child.log_in()
    begun = time.monotonic()
    answer, _ = failed(child, "for-members")
    assert (answer.kind, answer.status) == (Kind.FORBIDDEN, 403), answer
    assert answer.proven_after is not None
    assert answer.proven_after < time.monotonic() - begun


def test_a_refused_login_is_tried_once_and_told(start: Start, lot: LotSite) -> None:
    """The account must not be locked; afterwards the right password still works in a new process."""
    child = start(environment={"LOT_URL": lot.url, "LOT_USER": USER, "LOT_PASSWORD": "wrong one"})
    child.ready()
    logins = lot.logins
    child.send(LogIn(3, str(child.folder / "login"), 30))
    answer = child.expect(ErrandFailed)
    assert (answer.errand, answer.kind, answer.ready) == (3, Kind.LOGIN_REFUSED, True)
    assert lot.logins == logins + 1
    assert "wrong one" not in child.said()


def test_a_missing_secret_is_named(start: Start, lot: LotSite) -> None:
    """The sentence says which variable, and that a file will do."""
    child = start(environment={"LOT_URL": lot.url, "LOT_USER": USER})
    child.ready()
    child.send(LogIn(3, str(child.folder / "login"), 30))
    answer = child.expect(ErrandFailed)
    assert answer.kind is Kind.LOGIN_FAILED
    assert "LOT_PASSWORD_FILE" in answer.message


def test_a_second_login_replaces_the_session(start: Start, lot: LotSite) -> None:
    """After the site forgot the first one."""
    child = start()
    child.ready()
    first = child.log_in()
    lot.sessions.clear()
    assert failed(child, "plain")[0].kind is Kind.SESSION_EXPIRED
    child.send(LogIn(2, str(child.folder / "login"), 30))
    assert child.expect(LoggedIn).session != first
    answer, _ = assign(child, "plain")
    assert isinstance(answer, Succeeded), child.said()
