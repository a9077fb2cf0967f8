"""The demo website without faults, over plain HTTP: account, inventory, documents, truth, life and death."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pikepdf
import pytest

from tests.worker.demo_process import PATIENCE, ROOT, Demo, command, demo, page_token, rows


@pytest.fixture(scope="module")
def site() -> Iterator[Demo]:
    with demo("--vehicles", 60) as running:
        yield running


def test_nothing_but_the_login_page_is_shown_to_strangers(site: Demo) -> None:
    """Inventory, export, vehicle, photo and document all lead to the login page, which remembers the way."""
    ref, known = next(iter(site.truth().items()))
    vehicle = f"/vehicle/{ref}"
    for path in (
        "/inventory",
        "/inventory/export.csv",
        vehicle,
        f"{vehicle}/photo-1.jpg",
        f"{vehicle}/documents/{known['documents'][0]['name']}",
    ):
        answer = site.client().get(path)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/login?then=")


def test_login_needs_the_token_of_its_own_session(site: Demo) -> None:
    """The right password without the token, or with a stranger's, opens nothing."""
    client = site.client()
    assert client.log_in(token="forged").status == 403  # noqa: S106 - the token of a form, made up
    assert client.log_in(token=site.client().token()).status == 403
    assert client.get("/inventory").status == 303


def test_wrong_password_is_told_on_the_page_and_counted(site: Demo) -> None:
    """A refusal is a page with status 200 and a sentence; the website counts it."""
    before = site.client().json("/log.json")
    answer = site.client().log_in("wrong")
    after = site.client().json("/log.json")
    assert answer.status == 200
    assert "Wrong user or password." in answer.text
    assert (after["refusals"], after["logins"]) == (before["refusals"] + 1, before["logins"])


def test_login_gives_a_new_session_and_never_leads_elsewhere(site: Demo) -> None:
    """The cookie changes at login, is kept from scripts, and `then` cannot lead to another website."""
    client = site.client()
    client.token()
    before = client.cookie
    answer = client.log_in(then="//elsewhere.example/")
    assert answer.headers["Location"] == "/inventory"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert client.cookie != before
    assert client.get("/logout").status == 303
    assert client.get("/inventory").status == 303


def test_inventory_is_paged_and_exported_in_full(site: Demo) -> None:
    """The pages together and the export list the same references, in the same order, as the truth does."""
    visitor = site.visitor()
    export = visitor.get("/inventory/export.csv")
    assert export.headers["Content-Disposition"] == 'attachment; filename="inventory.csv"'
    references = [row["Stock No"] for row in rows(export.body)]
    assert references == list(site.truth())
    assert len(set(references)) == 60
    shown = [visitor.get(f"/inventory?page={number}").text.count("<tr><td>") for number in (1, 2, 3)]
    assert shown == [25, 25, 10]
    assert "Page 3 of 3" in visitor.get("/inventory?page=99").text
    assert "Page 1 of 3" in visitor.get("/inventory?page=nonsense").text


@pytest.mark.parametrize("ref", ["T-1042/B", "KX-1207a", "KX-1207A", "MÜ-2044", "LOT 7 12"])
def test_odd_references_have_pages_of_their_own(site: Demo, ref: str) -> None:
    """A slash, a difference in case only, an umlaut and spaces are reached when they are quoted."""
    visitor = site.visitor()
    answer = visitor.open(ref)
    assert answer.status == 200
    assert f"<dd>{ref}</dd>" in answer.text
    assert visitor.json("/log.json")["vehicles"][ref] >= 1


def test_unknown_addresses_are_not_found(site: Demo) -> None:
    """A vehicle, photo, document or page that does not exist is answered with status 404."""
    visitor = site.visitor()
    ref = next(iter(site.truth()))
    for path in ("/nowhere", "/vehicle/none", f"/vehicle/{ref}/photo-9.jpg", f"/vehicle/{ref}/documents/none.pdf"):
        assert visitor.get(path).status == 404


def test_every_document_equals_the_truth(site: Demo) -> None:
    """Each PDF has the size and hash that the truth tells, opens without repair, and differs from all others."""
    visitor = site.visitor()
    hashes = set()
    for ref, known in site.truth().items():
        assert 1 <= len(known["documents"]) <= 3
        for true in known["documents"]:
            answer = visitor.fetch(ref, true["name"])
            assert (answer.status, answer.headers["Content-Type"]) == (200, "application/pdf")
            assert len(answer.body) == true["bytes"]
            assert hashlib.sha256(answer.body).hexdigest() == true["sha256"]
            assert 20_000 <= true["bytes"] <= 2_000_000
            with pikepdf.open(io.BytesIO(answer.body)) as pdf:
                assert len(pdf.pages) >= 1
                assert pdf.get_warnings() == []
            hashes.add(true["sha256"])
    assert len(hashes) == sum(len(known["documents"]) for known in site.truth().values())


def test_a_document_behind_a_button_needs_the_button(site: Demo) -> None:
    """It is not had by its address alone, nor by a form without the session's token."""
    visitor = site.visitor()
    path = next(
        f"/vehicle/{ref}/documents/{document['name']}"
        for ref, known in site.truth().items()
        for document in known["documents"]
        if f'action="/vehicle/{ref}/documents/{document["name"]}"' in visitor.open(ref).text
    )
    assert visitor.get(path).status == 405
    assert visitor.send("POST", path, {"token": "forged"}).status == 403
    token = page_token(visitor.open(path.split("/")[2]).text)
    assert visitor.send("POST", path, headers={"X-Token": token}).body.startswith(b"%PDF-")


def test_a_vehicle_page_has_style_script_and_photos(site: Demo) -> None:
    """What the page refers to is there, in its own type."""
    visitor = site.visitor()
    ref = next(iter(site.truth()))
    photo = visitor.get(f"/vehicle/{ref}/photo-1.jpg")
    assert photo.headers["Content-Type"] == "image/jpeg"
    assert photo.body.startswith(b"\xff\xd8")
    assert visitor.get("/static/style.css").headers["Content-Type"].startswith("text/css")
    assert visitor.get("/static/script.js").headers["Content-Type"].startswith("text/javascript")


def test_another_process_tells_the_same_truth(site: Demo) -> None:
    """The same seed makes the same bytes in another process; another seed makes others; no server is needed."""

    def told(seed: int) -> object:
        done = subprocess.run(
            command("--truth", "--vehicles", 60, "--seed", seed), cwd=ROOT, capture_output=True, check=True
        )
        return json.loads(done.stdout)["references"]

    assert told(1) == site.truth()
    assert told(2) != site.truth()


def test_a_small_inventory_begins_a_larger_one(site: Demo) -> None:
    """Fewer vehicles are the first ones of more, with the same documents."""
    done = subprocess.run(command("--truth", "--vehicles", 7), cwd=ROOT, capture_output=True, check=True)
    few = json.loads(done.stdout)["references"]
    assert list(few.items()) == list(site.truth().items())[:7]


def test_control_is_shut_unless_it_was_asked_for(site: Demo) -> None:
    """Nobody orders troubles from a website that was not started for it."""
    assert site.client().send("POST", "/control/down").status in {404, 405}


def test_troubles_come_and_go_as_ordered() -> None:
    """Expired sessions, refused logins, 503, closed connections and 429 with Retry-After, each until it is over."""
    with demo("--vehicles", 3, "--control") as site:
        visitor = site.visitor()
        order = site.client()

        assert order.send("POST", "/control/expire-sessions").status == 200
        assert visitor.get("/inventory").status == 303

        order.send("POST", "/control/refuse-logins")
        assert site.client().log_in().status == 200
        order.send("POST", "/control/accept-logins")
        visitor = site.visitor()

        order.send("POST", "/control/down?retry-after=7")
        assert (visitor.get("/inventory").status, visitor.get("/inventory").headers["Retry-After"]) == (503, "7")
        order.send("POST", "/control/down?mode=close")
        with pytest.raises(ConnectionError):
            visitor.get("/inventory")
        order.send("POST", "/control/rate-limit?seconds=60")
        order.send("POST", "/control/up")
        assert visitor.get("/inventory").status == 200

        order.send("POST", "/control/rate-limit?seconds=60")
        answer = visitor.get("/inventory")
        assert answer.status == 429
        assert 50 <= int(answer.headers["Retry-After"]) <= 60
        assert order.send("POST", "/control/rate-limit?seconds=soon").status == 400
        assert order.send("POST", "/control/dance").status == 404
        assert order.json("/log.json")["expiries"] == 1


def test_pages_are_kept_back_until_they_are_released() -> None:
    """So that a test knows exactly what the browsers are at; everything else is answered meanwhile."""
    with demo("--vehicles", 3, "--control") as site, ThreadPoolExecutor(1) as pool:
        visitor, order = site.visitor(), site.client()
        order.send("POST", "/control/hold")
        page = pool.submit(site.visitor().get, f"/vehicle/{next(iter(site.truth()))}")
        deadline = time.monotonic() + 60
        while order.json("/log.json")["held"] != 1:
            assert time.monotonic() < deadline
        assert visitor.get("/inventory").status == 200
        assert not page.done()
        order.send("POST", "/control/release")
        assert page.result(60).status == 200
        assert order.json("/log.json")["held"] == 0


def test_after_so_many_pages_the_others_are_kept_back_and_get_what_is_ordered() -> None:
    """So a test meets its trouble whatever the pace: one page is answered, the next one waits and is refused."""
    with demo("--vehicles", 3, "--control") as site, ThreadPoolExecutor(1) as pool:
        visitor, order, (first, second, *_) = site.visitor(), site.client(), site.truth()
        order.send("POST", "/control/hold?after=1")
        assert visitor.get(f"/vehicle/{first}").status == 200
        page = pool.submit(visitor.get, f"/vehicle/{second}")
        deadline = time.monotonic() + 60
        while order.json("/log.json")["held"] != 1:
            assert time.monotonic() < deadline
        order.send("POST", "/control/down")
        order.send("POST", "/control/release")
        assert page.result(60).status == 503
        assert order.send("POST", "/control/hold?after=some").status == 400


def test_it_ends_with_success_on_a_signal() -> None:
    """SIGTERM ends it with exit code 0, and its port is free again."""
    with demo("--vehicles", 1) as site:
        site.process.send_signal(signal.SIGTERM)
        assert site.process.wait(PATIENCE) == 0
        with pytest.raises(ConnectionRefusedError):
            site.client().get("/login")


def test_it_ends_when_its_standard_input_does() -> None:
    """Whoever holds the other end of its standard input need not even say good-bye."""
    with demo("--vehicles", 1) as site:
        assert site.process.stdin is not None
        site.process.stdin.close()
        assert site.process.wait(PATIENCE) == 0


def test_it_ends_when_its_parent_is_killed() -> None:
    """With --parent-pid the website does not outlive the process that it was made for."""
    with (
        subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as parent,
        demo("--vehicles", 1, "--parent-pid", parent.pid) as site,
    ):
        assert site.client().get("/login").status == 200
        parent.kill()
        assert site.process.wait(PATIENCE) == 0


def test_wrong_usage_gets_one_sentence() -> None:
    """The last line names what was found and what is allowed, the exit code is 2, and there is no traceback."""
    done = subprocess.run(command("--faults", "alrt"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("there is no fault named 'alrt'; did you mean alert?")
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_told_in_one_sentence(site: Demo) -> None:
    """A port that somebody else has is the machine's trouble: exit code 5."""
    port = site.url.rsplit(":", 1)[1]
    done = subprocess.run(command("--port", port), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_recipe_needs_nothing_of_the_website() -> None:
    """A worker that loads the recipe does not carry the web server, the PDF library or the picture library."""
    code = "import sys, worker.sites.demo.recipe; print({'aiohttp', 'fpdf', 'PIL', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_vehicle_of_a_uniform_inventory_has_two_links_whatever_its_fault() -> None:
    with demo("--vehicles", 3, "--uniform", "--faults", "truncated-no-length=0.3") as site:
        visitor, truth = site.visitor(), site.truth()
        struck = site.with_fault("truncated-no-length")
        for ref, known in truth.items():
            assert [document["name"] for document in known["documents"]] == ["report-1.pdf", "report-2.pdf"]
            assert visitor.open(ref).text.count('<a class="document"') == 2
            assert [document["bytes"] for document in known["documents"]] == [190_604, 190_604]
        first = visitor.fetch(struck, "report-1.pdf")
        assert (first.complete, len(first.body)) == (True, 95_302)
        assert len(visitor.fetch(struck, "report-1.pdf").body) == 190_604
