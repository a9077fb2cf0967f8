"""What being logged in means to a second worker, and to a reference that meets the end of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.child import Child
from tests.worker.lot_site import LotSite
from worker.protocol import Assign, ErrandFailed, Failed, Kind, ProveSession, SessionProven, Succeeded, UseSession

pytestmark = pytest.mark.browser


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
