"""What it means to be logged in, as bytes that travel to the other workers and fit any new browser context."""

import json
import re
from typing import Any

import msgspec
from loguru import logger
from playwright.async_api import BrowserContext, Page

from worker.deadlines import within
from worker.protocol import FRAME_LIMIT

LARGEST = FRAME_LIMIT - 65_536
"""Bytes of a session that fit into a message."""

_DEADLINE = 10.0
_TOKEN = re.compile(r"[\w.~+/=:-]{16,4000}")
"""What a token looks like: long, in one piece, of the characters that a header may carry."""

_MOST_TOKENS = 100
_OPENABLE = ("http://", "https://")

_RESTORE = """(() => {
  const kept = %s[location.origin];
  if (!kept) return;
  try { for (const [key, value] of kept) if (sessionStorage.getItem(key) === null) sessionStorage.setItem(key, value); }
  catch (refused) { if (refused.name !== 'SecurityError') throw refused; }
})()"""
"""Runs before the scripts of each page. Sandboxed frames have no storage and refuse it with a SecurityError."""


class Session(msgspec.Struct, frozen=True):
    """A secret: cookies, storage and the user agent that they were given to."""

    state: dict[str, Any]
    """Playwright's storage state: cookies, localStorage and IndexedDB of every origin."""
    session_storage: dict[str, list[tuple[str, str]]]
    """Keys and values by origin; Playwright's storage state leaves them out."""
    user_agent: str

    def __repr__(self) -> str:
        return f"Session({len(self.state.get('cookies', []))} cookies)"

    def to_bytes(self) -> bytes:
        """Return the session for `LoggedIn`."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Session":
        """Return the session that came with `UseSession`.

        Raises:
            msgspec.DecodeError: `data` is no session.
        """
        return msgspec.msgpack.decode(data, type=cls)

    @property
    def init_script(self) -> str:
        """JavaScript that puts the session storage back; empty when there is none."""
        return _RESTORE % json.dumps(self.session_storage) if self.session_storage else ""

    @property
    def secret_values(self) -> list[str]:
        """Cookies, and what in the storages is long enough for a token: to be masked wherever they would show up."""
        stored = [entry for entries in self.session_storage.values() for entry in entries]
        for origin in self.state.get("origins", []):
            stored += [(entry["name"], entry["value"]) for entry in origin.get("localStorage", [])]
        tokens = [value for _, value in stored if _TOKEN.fullmatch(value)]
        return [*(str(cookie.get("value", "")) for cookie in self.state.get("cookies", [])), *tokens[:_MOST_TOKENS]]


async def capture(context: BrowserContext, page: Page, former: Session | None = None) -> Session:
    """Return the session as it is now. Of `former` what the present page knows nothing about is kept.

    A site that keeps more in IndexedDB than can be handed on keeps its copies there, and who is logged in elsewhere:
    the session is then without it.

    Raises:
        Overdue: the browser does not answer.
        playwright.async_api.Error: the browser or the page is gone.
    """
    state = await within(_DEADLINE, context.storage_state(indexed_db=True), "reading the session")
    if (size := len(msgspec.msgpack.encode(state))) > LARGEST:
        logger.warning("the session has {} bytes with IndexedDB, which is left out", size)
        state = await within(_DEADLINE, context.storage_state(), "reading the session")
    stored = dict(former.session_storage) if former else {}
    if page.url.startswith(_OPENABLE):
        origin, entries, agent = await within(
            _DEADLINE,
            page.evaluate("[location.origin, Object.entries(sessionStorage), navigator.userAgent]"),
            "reading the session storage",
        )
        stored[origin] = [(key, value) for key, value in entries]
    else:
        agent = await within(_DEADLINE, page.evaluate("navigator.userAgent"), "reading the user agent")
    stored = {origin: entries for origin, entries in stored.items() if entries}
    return Session(dict(state), stored, former.user_agent if former else agent)
