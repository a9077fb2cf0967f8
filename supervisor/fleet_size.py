"""How many workers a run has: a fixed number, or between two bounds as many as prove best."""

import re
from typing import Self

import msgspec

MOST = 200
"""Workers that a run may have."""
AUTO_MOST = 16
"""The upper bound where ``auto`` comes without any: what one site and one machine are seldom asked to bear."""
ALLOWED = f"a whole number, at least 1 and at most {MOST}, or auto, or auto:2-12 for bounds of your own"


class FleetSize(msgspec.Struct, frozen=True):
    """Written ``5``, ``auto`` or ``auto:2-12``; `least` and `most` are the same for a fixed number."""

    least: int
    most: int

    @classmethod
    def fixed(cls, workers: int) -> Self:
        """Return the size of just so many workers.

        Raises:
            ValueError: it is out of range.
        """
        if not 1 <= workers <= MOST:
            raise ValueError("out of range")
        return cls(workers, workers)

    @classmethod
    def automatic(cls, text: str) -> Self:
        """Read ``auto`` or ``auto:LEAST-MOST``.

        Raises:
            ValueError: it is written otherwise, or the bounds make no sense.
        """
        match = re.fullmatch(r"auto(?::([0-9]{1,3})-([0-9]{1,3}))?", text.strip(), re.IGNORECASE)
        if match is None:
            raise ValueError("it is not written so")
        least, most = (1, AUTO_MOST) if match[1] is None else (int(match[1]), int(match[2]))
        if not 1 <= least < most <= MOST:
            raise ValueError("out of range")
        return cls(least, most)

    @property
    def auto(self) -> bool:
        """The run finds out how many are best."""
        return self.least != self.most

    def __str__(self) -> str:
        return f"auto:{self.least}-{self.most}" if self.auto else str(self.least)
