"""A Playwright trace of one attempt, for evidence: every call, request and picture, to be looked at afterwards.

A trace cannot be masked: it holds what the site was sent and what it showed, cookies and documents' addresses included.
So there is one only where somebody asked for it, and only of the last attempt at a reference. Nothing that goes wrong
with it touches the attempt.
"""

from pathlib import Path
from typing import Self

from loguru import logger
from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError

from worker.deadlines import Overdue, within

NAME = "trace.zip"
_BEGIN_SECONDS = 5.0
_END_SECONDS = 10.0


class Trace:
    """A recording that goes on in one context."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context

    @classmethod
    async def begin(cls, context: BrowserContext) -> Self | None:
        """Begin to record; None when that cannot be done, which is logged."""
        started = context.tracing.start(screenshots=True, snapshots=True)
        try:
            await within(_BEGIN_SECONDS, started, "beginning a trace")
        except (Overdue, PlaywrightError) as error:
            logger.warning("no trace: {}", str(error).partition("\n")[0])
            return None
        return cls(context)

    async def end(self, folder: Path | None) -> bool:
        """End the recording and write it into `folder`, or throw it away for None. False: the context is spoilt."""
        try:
            await within(
                _END_SECONDS, self._context.tracing.stop(path=folder / NAME if folder else None), "writing a trace"
            )
        except Overdue as error:
            logger.warning("no trace: {}", error)
            return False
        except PlaywrightError as error:  # the browser or its context is gone, and the recording with it
            logger.warning("no trace: {}", str(error).partition("\n")[0])
        return True
