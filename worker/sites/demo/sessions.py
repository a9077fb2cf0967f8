"""Who is logged in: sessions in memory, each with the token that its forms must carry."""

import hmac
import secrets
from collections import OrderedDict

_LIMIT = 10_000
"""Sessions kept; the oldest is forgotten first."""


class Session:
    """One browser, from its first page on; `user` is empty until somebody has logged in."""

    def __init__(self, user: str = "") -> None:
        self.id = secrets.token_urlsafe(24)
        self.token = secrets.token_urlsafe(24)
        self.user = user

    def vouches_for(self, token: str) -> bool:
        """Say whether `token` is the one that was put into this session's forms."""
        return hmac.compare_digest(self.token.encode(), token.encode())


class Sessions:
    """Every session, by the value of its cookie."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie."""
        return self._sessions.get(cookie)

    def open(self, user: str = "") -> Session:
        """Begin a session."""
        session = Session(user)
        self._sessions[session.id] = session
        if len(self._sessions) > _LIMIT:
            self._sessions.popitem(last=False)
        return session

    def close(self, session: Session) -> None:
        """End a session; one that is gone already is no failure."""
        self._sessions.pop(session.id, None)

    def forget_all(self) -> None:
        """End every session."""
        self._sessions.clear()
