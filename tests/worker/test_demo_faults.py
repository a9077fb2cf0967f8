"""The demo website's faults: who is struck, how often, and what it looks like on the wire, without a browser."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.worker.demo_process import Answer, Demo, demo
from worker.sites.demo.faults import TRAITS, Fault, FaultPlan, FaultsError, parse
from worker.sites.demo.vehicles import Inventory
from worker.sites.demo.website import SLOW_SECONDS

PROMPTLY = 1.0
"""Seconds after which an answer that never comes is given up here."""


def plan(vehicles: int, faults: str, seed: int = 1) -> dict[str, Fault]:
    inventory = Inventory(vehicles, seed)
    made = FaultPlan(inventory, parse(faults))
    return {ref: fault for ref in inventory.references if (fault := made.fault(ref)) is not None}


def test_every_fault_strikes_once_forty_vehicles_are_there() -> None:
    """Each fault has its reference from 40 vehicles on; of many vehicles a quarter are struck, evenly."""
    assert set(plan(40, "all").values()) == set(Fault)
    many = Counter(plan(1000, "all").values())
    assert sum(many.values()) == pytest.approx(250, abs=20)
    assert set(many) == set(Fault)
    assert many.pop(Fault.SESSION_EXPIRY) == 3
    assert max(many.values()) == min(many.values())


@pytest.mark.parametrize("vehicles", [0, 1, 2, 5, 17])
def test_a_small_inventory_stays_half_sound(vehicles: int) -> None:
    """Faults without a rate leave at least half of the vehicles alone, but for a single one."""
    assert len(plan(vehicles, "all")) == (min(vehicles, 1) if vehicles < 2 else vehicles // 2)


def test_rates_are_kept() -> None:
    """A rate is a share of the vehicles, 1 is all of them, and the smallest still is one."""
    assert Counter(plan(200, "never-answers=0.03,truncated=0.1").values()) == {"never-answers": 6, "truncated": 20}
    assert len(plan(30, "alert=1")) == 30
    assert len(plan(30, "alert=0.001")) == 1
    assert plan(30, "none") == plan(30, "") == {}


def test_the_plan_is_the_seeds() -> None:
    """The same seed strikes the same references, another seed others."""
    assert plan(60, "all") == plan(60, "all")
    assert plan(60, "all", seed=2) != plan(60, "all")


def test_strikes_are_counted_for_each_reference() -> None:
    """TIMES overrides the table: a fault strikes so often and then no more, or for ever, which is permanent."""
    inventory = Inventory(2, 1)
    ref, other = inventory.references
    thrice = FaultPlan(inventory, parse("truncated=1:3"))
    assert [thrice.strike(ref, Fault.TRUNCATED) for _ in range(4)] == ["truncated"] * 3 + [None]
    assert thrice.strike(other, Fault.TRUNCATED) == "truncated"
    assert thrice.strike(other, Fault.ZERO_BYTES) is None
    assert not thrice.permanent(ref)
    assert FaultPlan(inventory, parse("truncated=1:always")).permanent(ref)
    assert not FaultPlan(inventory, parse("alert=1:always")).permanent(ref)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("alrt", "there is no fault named 'alrt'; did you mean alert?"),
        ("qqq", "there is no fault named 'qqq'; there are: never-answers, "),
        ("alert=2", "the rate of alert is 2, it must be above 0 and at most 1"),
        ("alert=0", "the rate of alert is 0, it must be"),
        ("alert=1.1.1", "the rate of alert is 1.1.1, it must be"),
        ("alert=0.6,slow=0.6", "the rates of the faults add up to 1.2, at most 1 is possible"),
        ("alert,alert", "the fault alert is chosen twice"),
        ("alert=often", "'alert=often' is not a choice of a fault"),
        ("alert:0", "'alert:0' is not a choice of a fault"),
        ("alert,,slow", "'' is not a choice of a fault"),
        ("all,alert", "there is no fault named 'all'"),
    ],
)
def test_a_senseless_choice_is_refused(text: str, sentence: str) -> None:
    """The sentence says what was found and what is allowed."""
    with pytest.raises(FaultsError, match=re.escape(sentence)):
        parse(text)


@pytest.fixture(scope="module")
def site() -> Iterator[Demo]:
    with demo("--vehicles", 60, "--faults", "all") as running:
        yield running


def first_document(site: Demo, ref: str) -> dict[str, str | int]:
    found: dict[str, str | int] = site.truth()[ref]["documents"][0]
    return found


def fetch(site: Demo, fault: Fault, *, timeout: float = 20.0) -> Answer:
    ref = site.with_fault(fault)
    return site.visitor().fetch(ref, str(first_document(site, ref)["name"]), timeout=timeout)


def check_whole(site: Demo, fault: Fault) -> None:
    answer = fetch(site, fault)
    true = first_document(site, site.with_fault(fault))
    assert (answer.status, answer.complete) == (200, True)
    assert hashlib.sha256(answer.body).hexdigest() == true["sha256"]


def half(site: Demo, fault: Fault) -> int:
    return int(first_document(site, site.with_fault(fault))["bytes"]) // 2


def test_the_truth_names_faults_and_what_is_permanent(site: Demo) -> None:
    """Only references whose documents can never be had are permanent; their documents are told all the same."""
    permanent = {known["fault"] for known in site.truth().values() if known["permanent"]}
    assert permanent == {Fault.GONE, Fault.ALWAYS_500, Fault.ALWAYS_TRUNCATED}
    assert {fault for fault in Fault if TRAITS[fault].times is None and not TRAITS[fault].harmless} == permanent
    assert all(known["documents"] for known in site.truth().values())


def test_never_answers_on_the_first_visit_only(site: Demo) -> None:
    """The page does not come; the website goes on for others, and for the next visit."""
    ref = site.with_fault(Fault.NEVER_ANSWERS)
    visitor = site.visitor()
    with pytest.raises(TimeoutError):
        visitor.open(ref, timeout=PROMPTLY)
    assert visitor.open(ref).status == 200


@pytest.mark.parametrize(
    ("fault", "mark"),
    [(Fault.ENDLESS_SCRIPT, "for (;;)"), (Fault.RENDERER_CRASH, ".split('')"), (Fault.ALERT, "alert(")],
)
def test_a_page_carries_its_script(site: Demo, fault: Fault, mark: str) -> None:
    """The script that hangs or kills the renderer comes with the first page only, the alert box with every one."""
    visitor = site.visitor()
    ref = site.with_fault(fault)
    carried = [mark in visitor.open(ref).text for _ in range(2)]
    assert carried == [True, fault is Fault.ALERT]


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [(Fault.SERVER_ERROR_ONCE, [500, 200]), (Fault.ALWAYS_500, [500, 500]), (Fault.GONE, [404, 404])],
)
def test_an_error_page_comes_once_or_for_good(site: Demo, fault: Fault, statuses: list[int]) -> None:
    """The statuses of two visits are as the fault's name says, on a page of somebody who is logged in."""
    visitor = site.visitor()
    answers = [visitor.open(site.with_fault(fault)) for _ in range(2)]
    assert [answer.status for answer in answers] == statuses
    assert all("log-out" in answer.text for answer in answers)


def test_a_slow_page_takes_seconds_and_comes(site: Demo) -> None:
    """It is not there at once, but it is there."""
    visitor = site.visitor()
    ref = site.with_fault(Fault.SLOW)
    with pytest.raises(TimeoutError):
        visitor.open(ref, timeout=SLOW_SECONDS / 2)
    assert visitor.open(ref).status == 200


def test_a_page_moves_on_by_meta_refresh(site: Demo) -> None:
    """The first page has no documents and names the second, which has them."""
    visitor = site.visitor()
    page = visitor.open(site.with_fault(Fault.META_REFRESH)).text
    assert "document" not in page
    target = re.search('content="0; url=([^"]+)"', page)
    assert target is not None
    assert 'id="documents"' in visitor.get(target[1]).text


def test_a_session_expires_for_everybody_once(site: Demo) -> None:
    """Opening that vehicle leads everybody to the login page; after a new login it opens."""
    ref = site.with_fault(Fault.SESSION_EXPIRY)
    visitor, bystander = site.visitor(), site.visitor()
    answer = visitor.open(ref)
    assert (answer.status, answer.headers["Location"]) == (303, f"/login?then=/vehicle/{quote(ref)}")
    assert bystander.get("/inventory").status == 303
    visitor.log_in()
    assert visitor.open(ref).status == 200


def test_a_link_opens_a_window(site: Demo) -> None:
    """The first document's link has a target, and the document is sound."""
    page = site.visitor().open(site.with_fault(Fault.TARGET_BLANK)).text
    assert page.count('target="_blank"') == 1
    check_whole(site, Fault.TARGET_BLANK)


def test_a_truncated_document_breaks_its_promise_once(site: Demo) -> None:
    """Half of the bytes of Content-Length come, then the connection ends; the next time the document is whole."""
    answer = fetch(site, Fault.TRUNCATED)
    assert not answer.complete
    assert int(answer.headers["Content-Length"]) == first_document(site, site.with_fault(Fault.TRUNCATED))["bytes"]
    assert len(answer.body) == half(site, Fault.TRUNCATED)
    check_whole(site, Fault.TRUNCATED)


def test_a_truncated_document_without_length_looks_whole_once(site: Demo) -> None:
    """Half of the bytes come in chunks that end as they should, so only the content can tell."""
    answer = fetch(site, Fault.TRUNCATED_NO_LENGTH)
    assert (answer.status, answer.complete, answer.headers["Content-Length"]) == (200, True, None)
    assert len(answer.body) == half(site, Fault.TRUNCATED_NO_LENGTH)
    check_whole(site, Fault.TRUNCATED_NO_LENGTH)


def test_an_always_truncated_document_never_comes(site: Demo) -> None:
    """It breaks off each time."""
    assert not any(fetch(site, Fault.ALWAYS_TRUNCATED).complete for _ in range(3))


def test_html_comes_under_the_name_of_a_pdf_once(site: Demo) -> None:
    """Status, file name and length are right, only the content is a web page."""
    answer = fetch(site, Fault.HTML_AS_PDF)
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].endswith('.pdf"')
    assert answer.text.startswith("<!doctype html>")
    check_whole(site, Fault.HTML_AS_PDF)


def test_an_empty_document_comes_once(site: Demo) -> None:
    """Status 200 and not one byte."""
    answer = fetch(site, Fault.ZERO_BYTES)
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "0", b"")
    check_whole(site, Fault.ZERO_BYTES)


def test_a_download_stalls_once(site: Demo) -> None:
    """It begins and does not go on, while the connection stays open."""
    with pytest.raises(TimeoutError):
        fetch(site, Fault.STALLED_DOWNLOAD, timeout=PROMPTLY)
    check_whole(site, Fault.STALLED_DOWNLOAD)


def test_an_error_comes_as_an_attachment_once(site: Demo) -> None:
    """Status 500 together with Content-Disposition: attachment."""
    answer = fetch(site, Fault.ATTACHMENT_500)
    assert answer.status == 500
    assert answer.headers["Content-Disposition"].startswith("attachment")
    check_whole(site, Fault.ATTACHMENT_500)


def test_the_log_counts_the_strikes(site: Demo) -> None:
    """Whoever checks a run can see which faults it has met."""
    visitor = site.visitor()
    ref = site.with_fault(Fault.GONE)
    before = visitor.json("/log.json")
    visitor.open(ref)
    after = visitor.json("/log.json")
    assert after["faults"][Fault.GONE] == before["faults"].get(Fault.GONE, 0) + 1
    assert after["vehicles"][ref] == before["vehicles"].get(ref, 0) + 1
