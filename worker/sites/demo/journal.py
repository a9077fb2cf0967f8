"""What the website has seen: counts for checks, served as ``/log.json``."""

from collections import Counter
from typing import Any


class Journal:
    """Counts since the website started."""

    def __init__(self) -> None:
        self.logins = 0
        self.refusals = 0
        """Logins with a wrong user or password."""
        self.forgeries = 0
        """Forms without the token that belongs to the session."""
        self.expiries = 0
        """How often all sessions were forgotten."""
        self.held = 0
        """Vehicles' pages that are kept back now."""
        self.requests: Counter[str] = Counter()
        """By class of path: login, inventory, export, vehicle, photo, document, static, other."""
        self.opened: Counter[str] = Counter()
        """How often the page of each reference was asked for with a valid session."""
        self.delivered: Counter[str] = Counter()
        """How often each document was answered in full, by ``reference/name``."""

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {
            "logins": self.logins,
            "refusals": self.refusals,
            "forgeries": self.forgeries,
            "expiries": self.expiries,
            "held": self.held,
            "requests": dict(self.requests),
            "vehicles": dict(self.opened),
            "documents": dict(self.delivered),
        }
