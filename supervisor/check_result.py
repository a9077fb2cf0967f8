"""What `doctor` has found: one line each."""

from typing import Literal

import msgspec

Level = Literal["ok", "warning", "failed"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    advice: str = ""
