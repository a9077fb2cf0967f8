"""What a website does wrong, one trouble at a time: what is charged to whom, and what the night comes to."""

import signal
from collections.abc import Callable
from functools import partial

import pytest

from tests.end_to_end.harness import ROOT, Night, Site, until

RECIPES = ROOT / "tests" / "end_to_end" / "recipes.py"
Begin = Callable[..., Night]
OpenSite = Callable[..., Site]
LONG = pytest.mark.long


def test_what_strikes_once_costs_its_reference_one_attempt(begin: Begin, open_site: OpenSite) -> None:
    """Broken, stalled and refused documents, crashes and endless scripts: each is noticed and mended by a retry."""
    faults = "truncated,truncated-no-length,html-as-pdf,zero-bytes,attachment-500,server-error-once,renderer-crash"
    site = open_site(14, faults)
    run = begin(site.url, task_timeout=8)
    assert run.run() == 0, run.said + run.log
    entries = run.check(site.truth)  # of each fault the cause is told, see `accounts`
    assert {entry.attempts for entry in entries.values()} == {1, 2}
    assert site.log()["faults"].keys() == set(faults.split(",")), "each has struck"
    assert run.causes.keys() <= {"document_invalid", "download_refused", "server_error", "page_crashed", "browser_lost"}


def test_what_is_harmless_costs_nothing(begin: Begin, open_site: OpenSite) -> None:
    """Alert boxes, windows of their own, pages that send the browser on and slow ones: one attempt each.

    Nor do variables that would make the browser's driver show a window, ask elsewhere for a browser, talk, or end.
    """
    site = open_site(12, "alert=0.2,target-blank=0.2,meta-refresh=0.3,slow=0.1")
    run = begin(site.url)
    run.environ |= {"PWDEBUG": "1", "SELENIUM_REMOTE_URL": "http://127.0.0.1:9", "DEBUG": "pw:*"}
    run.environ["NODE_OPTIONS"] = "--no-such-option"
    assert run.run() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert site.log()["faults"].keys() == {"alert", "target-blank", "meta-refresh", "slow"}, "each has struck"
    assert not run.causes + run.excused
    assert "pw:" not in run.said


_FOR_GOOD = {
    "gone": ("not_found", 1),
    "always-500": ("server_error", 3),
    "always-truncated": ("document_invalid", 3),
    "renderer-crash": ("page_crashed", 3),
}
"""By the fault: the kind that is told of it, and the attempts that it gets."""


@pytest.mark.long
def test_what_is_broken_for_good_has_failed_with_its_cause(begin: Begin, open_site: OpenSite) -> None:
    """tracking.json names the kind; the number of attempts is what that kind deserves."""
    site = open_site(16, "gone,always-500,always-truncated,renderer-crash:always")
    bad = {ref: _FOR_GOOD[vehicle.fault] for ref, vehicle in site.truth.references.items() if vehicle.fault}
    assert set(bad.values()) == set(_FOR_GOOD.values()), "each strikes somebody"
    run = begin(site.url)
    assert run.run() == 1, run.said + run.log
    entries = run.check(site.truth, {ref: kind for ref, (kind, _) in bad.items()})
    assert {ref: entries[ref].attempts for ref in bad} == {ref: attempts for ref, (_, attempts) in bad.items()}


@pytest.mark.long
@pytest.mark.parametrize("fault", ["stalled-download", "endless-script"])
def test_what_never_ends_is_ended(fault: str, begin: Begin, open_site: OpenSite) -> None:
    """Its deadline ends it, its reference gets another attempt."""
    site = open_site(6, fault)
    run = begin(site.url, task_timeout=5)
    assert run.run() == 0, run.said + run.log
    assert max(entry.attempts for entry in run.check(site.truth).values()) == 2


def _has_logins(site: Site, least: int) -> bool:
    return bool(site.log()["logins"] >= least)


def test_a_session_stolen_twice_costs_two_logins(begin: Begin, open_site: OpenSite) -> None:
    """The session ends twice in the night: each time one worker logs in again, and the night is complete.

    The references that met the login page go back uncounted.
    """
    site = open_site(24)
    run = begin(site.url, task_timeout=60, stuck_threshold=90)
    site.hold(4)
    run.start()
    for theft in (1, 2):
        site.wait_until_held(2)
        site.order("expire-sessions")
        site.hold(6)
        until(partial(_has_logins, site, theft + 1), "somebody logs in again")
    site.order("release")
    assert run.end() == 0, run.said + run.log
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}
    assert site.log()["logins"] == 3
    assert run.log.count("the session is gone; one worker logs in again") == 2
    assert run.excused.keys() == {"session_expired"}


@pytest.mark.long
def test_each_worker_logs_in_for_itself_where_the_recipe_says_so(begin: Begin, open_site: OpenSite) -> None:
    """One login a worker, and when all sessions are gone one more for each; nobody pays."""
    site = open_site(20)
    run = begin(site.url, f"{RECIPES}:OwnLogins", workers=2, task_timeout=60, stuck_threshold=90)
    site.hold(4)
    run.start()
    site.wait_until_held(2)
    assert site.log()["logins"] == 2, "both have logged in"
    site.order("expire-sessions")
    site.order("release")
    assert run.end() == 0, run.said + run.log
    assert {entry.attempts for entry in run.check(site.truth).values()} == {1}
    assert 3 <= site.log()["logins"] <= 4


def test_a_site_that_asks_for_patience_gets_it(begin: Begin, open_site: OpenSite) -> None:
    """429 with Retry-After pauses everybody for that long; no attempt is charged."""
    site = open_site(12)
    run = begin(site.url, task_timeout=60, stuck_threshold=90)
    site.hold(2)
    run.start()
    site.wait_until_held(2)
    site.order("rate-limit?seconds=4")
    site.order("release")
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert run.status is not None
    assert 1 <= run.status.metrics.failures["rate_limited"] <= 4, "it was asked again and again meanwhile"
    assert run.excused.keys() == {"rate_limited"}
    assert "the site asked for a pause: nothing is handed out for " in run.log


@pytest.mark.parametrize(
    ("mode", "excused"),
    [
        pytest.param("503", {"server_error", "download_refused", "rate_limited"}, id="errors"),
        pytest.param("close", {"network", "document_stalled", "step_timeout", "timeout"}, id="closed", marks=LONG),
    ],
)
def test_an_outage_charges_no_attempt(mode: str, excused: set[str], begin: Begin, open_site: OpenSite) -> None:
    """The site is down for everybody: the breaker opens, a probe finds it up again, one attempt each."""
    site = open_site(16)
    run = begin(site.url, workers=3)
    site.hold(2)
    run.start()
    run.wait_for_completed(2)
    site.order(f"down?mode={mode}")
    site.order("release")
    until(lambda: run.status and run.status.site.state not in {"up", "unknown"}, "the breaker opens")
    site.order("up")
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert run.excused.keys() <= excused, run.excused
    assert "nothing is handed out for" in run.log
    assert "the site is back" in run.log


@pytest.mark.long
def test_a_page_in_place_of_every_document_charges_nobody(begin: Begin, open_site: OpenSite) -> None:
    """Pages and login work, and documents are pages that speak of maintenance: what was served before tells, and fails.

    Nothing is charged, and when the documents are back the night is completed.
    """
    site = open_site(16)
    run = begin(site.url, workers=3)
    site.hold(2)
    run.start()
    run.wait_for_completed(2)
    site.order("down?mode=documents")
    site.order("release")
    run.wait_for_log("which was served before, failed", 2)
    site.order("up")
    assert run.end() == 0, run.said + run.log
    entries = run.check(site.truth)
    assert {entry.attempts for entry in entries.values()} == {1}
    assert "the same web page comes in place of what was asked for" in run.log


@pytest.mark.long
def test_bad_references_that_are_left_fail_when_what_was_served_before_is_served(
    begin: Begin, open_site: OpenSite
) -> None:
    """Twelve of sixteen never come and look like an outage: each fails with its cause, within the test's time."""
    site = open_site(16, "always-500=0.8")
    bad = {ref for ref, vehicle in site.truth.references.items() if vehicle.permanent}
    assert len(bad) >= 10
    run = begin(site.url, workers=3, max_retries=1, breaker_pause_limit=2)
    assert run.run() == 1, run.said + run.log
    run.check(site.truth, dict.fromkeys(bad, "server_error"))


@pytest.mark.long
def test_a_stop_in_the_middle_of_a_download_leaves_nothing_half(begin: Begin, open_site: OpenSite) -> None:
    """SIGTERM while a download stalls: no half of a document is published, the night completes later."""
    site = open_site(4, "stalled-download=1")
    run = begin(site.url, task_timeout=6)
    run.start()
    until(lambda: site.log()["faults"].get("stalled-download"), "half of a document has come")
    run.send(signal.SIGTERM)
    assert run.end() == 3, run.said
    run.check_nothing_left()
    assert run.causes.keys() <= {"document_stalled", "step_timeout", "timeout"}, "it came to that"
    assert run.causes
    assert not list((run.folder / "documents").iterdir()), "half of it was published"
    assert run.run() == 0, run.said + run.log
    run.check(site.truth)
