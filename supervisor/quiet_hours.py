"""Quiet hours: times of the day, on this machine's clock, in which nothing is handed out."""

import re
from datetime import datetime, time

_ONE = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)-([01]?\d|2[0-4]):([0-5]\d)")
_DAY = 24 * 60
ALLOWED = "local times such as 07:00-09:00,12:00-13:00, or empty for none"


class QuietHours:
    """Parses ``07:00-09:00,22:00-06:00``; one that ends before it begins goes over midnight."""

    def __init__(self, text: str) -> None:
        """Take the text of the setting.

        Raises:
            ValueError: it is not such a text, or would be the whole day.
        """
        self._spans: list[tuple[int, int]] = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            found = _ONE.fullmatch(part)
            if found is None:
                raise ValueError(part)
            hours = [int(number) for number in found.groups()]
            begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
            if max(begin, end) > _DAY or begin == end or (begin, end) == (0, _DAY):
                raise ValueError(part)
            self._spans.append((begin % _DAY, end % _DAY))
        if self._spans and all(self._holds(minute) for minute in range(_DAY)):
            raise ValueError(text)

    def _holds(self, minute: int) -> bool:
        return any(
            begin <= minute < end if begin < end else minute >= begin or minute < end for begin, end in self._spans
        )

    def end(self, moment: datetime) -> time | None:
        """Return when the quiet hours end in which this local time lies; None when it lies in none."""
        minute = moment.hour * 60 + moment.minute
        if not self._holds(minute):
            return None
        while self._holds(minute):
            minute = (minute + 1) % _DAY
        return time(minute // 60, minute % 60)
