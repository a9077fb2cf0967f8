"""Every await of the browser has a deadline here: Playwright's own time-outs live in a process that may be frozen."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class Overdue(Exception):  # noqa: N818 - it says what happened; failures.py decides whether that is an error
    """What was awaited did not come in time."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} took longer than {seconds:g} s")
        self.what = what


async def within(seconds: float, awaitable: Awaitable[T], what: str) -> T:
    """Await `awaitable` for at most `seconds`; `what` names it in the failure.

    Raises:
        Overdue: it took longer; it was cancelled.
    """
    clock = asyncio.timeout(seconds)
    try:
        async with clock:
            return await awaitable
    except TimeoutError as error:
        if clock.expired():
            raise Overdue(what, seconds) from error
        raise


def consume(task: "asyncio.Future[Any]") -> None:
    """Read the exception of a call that nobody waits for any more, so that asyncio does not report it as forgotten."""
    if not task.cancelled():
        task.exception()
