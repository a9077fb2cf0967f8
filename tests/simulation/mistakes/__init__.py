"""Deliberate mistakes in the core. Each is one that somebody could make; the simulator must find every one of them.

answers.py      what a worker says, and about its death
recording.py    what is written down, and when
retries.py      who pays for a failure, and who is tried again
operators.py    what the operator wants, and about the end of a run
site.py         logins, sessions, outages and limits
timing.py       deadlines, and about the moves of slots
made.py         the list, and how a mistake is added to it
"""

from tests.simulation.mistakes import (  # they add theirs to the list
    answers,
    operators,
    recording,
    retries,
    site,
    timing,
)
from tests.simulation.mistakes.made import MISTAKES

__all__ = ["MISTAKES", "answers", "operators", "recording", "retries", "site", "timing"]
