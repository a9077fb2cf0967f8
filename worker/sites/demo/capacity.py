"""How many vehicles' pages the website can make at a time, and what happens when more are asked for.

wait      the others wait for their turn: the website makes so many and no more
slow      all are made at once, and each takes longer by the square of how much too many they are: it serves fewer
refuse    the others are answered with status 429
"""

import asyncio
from enum import StrEnum

from aiohttp import web

_RETRY_AFTER = 2
"""Seconds that a refused visitor is asked to wait."""


class Crowded(StrEnum):
    """See the module's table."""

    WAIT = "wait"
    SLOW = "slow"
    REFUSE = "refuse"


class Capacity:
    """Makes pages. `places` is how many at a time, 0 for any number; `seconds` is what one takes."""

    def __init__(self, places: int = 0, seconds: float = 0.0, crowded: Crowded = Crowded.WAIT) -> None:
        self._places = places
        self._seconds = seconds
        self._crowded = crowded
        self._turn = asyncio.Semaphore(places) if places else None
        self._under_way = 0

    async def make(self) -> web.Response | None:
        """Take the time that a page takes; return the refusal instead where that is what a crowd gets."""
        self._under_way += 1
        try:
            if self._turn is None or self._crowded is Crowded.SLOW:
                excess = max(1.0, self._under_way / self._places) if self._places else 1.0
                await asyncio.sleep(self._seconds * excess**2)
            elif self._crowded is Crowded.WAIT:
                async with self._turn:
                    await asyncio.sleep(self._seconds)
            elif self._under_way > self._places:
                return web.Response(status=429, text="Too many requests.\n", headers={"Retry-After": str(_RETRY_AFTER)})
            else:
                await asyncio.sleep(self._seconds)
        finally:
            self._under_way -= 1
        return None
