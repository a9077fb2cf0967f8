"""What texts among the settings mean: a moment to come, somebody to call."""

import re
import shlex
import shutil
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from datetime import time as day_time
from urllib.parse import urlsplit


def moment(text: str, now: float) -> float:
    """Return the moment that is meant, in seconds since the epoch.

    A time of day that daylight saving leaves out is that much later, as clocks show it; of one that comes twice the
    first that is yet to come is meant.

    Raises:
        ValueError: it is no time, or a date and time that is over.
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
        return _next(day_time.fromisoformat(text.zfill(5) if len(text) < 6 else text.zfill(8)), now)  # noqa: PLR2004
    meant = datetime.fromisoformat(text).timestamp()  # without an offset: this machine's local time
    if meant <= now:
        raise ValueError("it is over")
    return meant


def _next(of_day: day_time, now: float) -> float:
    today = date.fromtimestamp(now)  # noqa: DTZ012 - the machine's own days are meant
    for days in range(3):
        for fold in (0, 1):
            local = datetime.combine(today + timedelta(days), of_day.replace(fold=fold))
            if (meant := local.timestamp()) > now:
                return meant
    raise AssertionError("no day has such a time")


def callee(text: str) -> None:
    """Check that a text names something that can be called: a program that is there, or the address of a webhook.

    Raises:
        ValueError: it does not.
    """
    if is_webhook(text):
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not text.isprintable() or " " in text:
            raise ValueError("it is no address of a webhook")
    else:
        words = shlex.split(text)
        if not words or shutil.which(words[0]) is None:
            raise ValueError("there is no such program")


def is_webhook(text: str) -> bool:
    """Tell the address of a webhook from a command."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


CHECKS: dict[str, Callable[[str], object]] = {"moment": lambda text: moment(text, time.time()), "callee": callee}
"""For each form that a setting may ask for, what raises a ValueError when a text does not have it."""
