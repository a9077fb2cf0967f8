"""What being logged in means to a second worker, and to a reference that meets the end of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.async_api import BrowserContext, Page

from tests.worker.child import Child
from tests.worker.lot_site import LotSite
from worker.protocol import Assign, ErrandFailed, Failed, Kind, ProveSession, SessionProven, Succeeded, UseSession
from worker.session import LARGEST, capture


@pytest.mark.browser
def test_a_second_worker_has_cookies_storage_token_and_user_agent_of_the_first(
    start: Callable[..., Child], lot: LotSite, tmp_path: Path
) -> None:
    """The site ties the session to the user agent and wants a token out of the storage; then the session ends."""
    first = start()
    first.ready()
    session = first.log_in()
    second = start()
    second.ready()
    second.send(UseSession(session))
    second.send(Assign(1, "guarded", 1, True, str(tmp_path / "a"), 30))
    answer = second.next()
    assert isinstance(answer, Succeeded), second.said()
    assert answer.proven
    assert "token-of-session" not in second.log.read_text("utf-8")
    second.send(ProveSession(2, 20))
    assert second.expect(SessionProven).errand == 2
    # A web page that asks for no password comes in place of a document: only another page tells what has happened.
    second.send(Assign(3, "lapses", 1, True, str(tmp_path / "b"), 30))
    ended = second.next()
    assert isinstance(ended, Failed), second.said()
    assert (ended.kind, ended.ready) == (Kind.SESSION_EXPIRED, True)
    assert "which showed as" in ended.message
    second.send(ProveSession(4, 20))
    failure = second.expect(ErrandFailed)
    assert (failure.kind, failure.ready) == (Kind.SESSION_EXPIRED, True)


class Storage:
    """Stands for a browser context and its page: so many characters in IndexedDB, and a cookie."""

    url = "about:blank"

    def __init__(self, characters: int) -> None:
        self._characters = characters

    async def storage_state(self, *, indexed_db: bool = False) -> dict[str, Any]:
        origin = {"origin": "https://lot.example", "localStorage": []}
        kept = {"indexedDB": [{"name": "copies", "records": "x" * self._characters}]} if indexed_db else {}
        return {"cookies": [{"name": "sid", "value": "kept"}], "origins": [origin | kept]}

    async def evaluate(self, _question: str) -> str:
        return "the user agent"


@pytest.mark.parametrize(("characters", "kept"), [(1_000, True), (LARGEST + 1, False)])
def test_what_a_site_keeps_beside_the_session_may_be_too_large_to_be_handed_on(characters: int, *, kept: bool) -> None:
    """A message has a limit: what is beyond it are copies of the site's data, and the login is not lost for them."""
    storage = Storage(characters)
    session = asyncio.run(capture(cast("BrowserContext", storage), cast("Page", storage)))
    assert len(session.to_bytes()) < LARGEST
    assert session.secret_values == ["kept"]
    assert ("indexedDB" in session.state["origins"][0]) is kept
