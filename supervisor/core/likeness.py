"""When two failures look alike: as the same outage would show itself to several workers.

Errors and connections that are refused are alike whatever was asked for. Time-outs are alike when they come in the same
step: a site that is down stops everybody at the same place, and vehicles that are bad each in its own way do not.
A web page that comes in place of a document, or of a vehicle's page, is alike when it says the same to everybody.

Step names and pages come from the site by way of a worker: they are compared, never shown, and kept short.
"""

import re

import msgspec

from supervisor.core.failures import RULES, Alike
from worker.protocol import Failed

_LONGEST = 200
_NUMBERS = re.compile(r"\w*\d\w*")


class Likeness(msgspec.Struct, frozen=True):
    """Failures with the same likeness are evidence of the same outage."""

    group: Alike
    mark: str = ""
    """What has to be the same beside the group: the step of a time-out, the page that came instead."""


def likeness(failure: Failed, ref: str) -> Likeness | None:
    """Return what this failure of a reference looks like, if an outage may look so; None for all others."""
    if failure.instead:
        return Likeness(Alike.REPLACED, failure.instead[:_LONGEST])
    group = RULES[failure.kind].alike
    if group is None:
        return None
    if group is Alike.SILENT and failure.steps:
        return Likeness(group, _step(failure.steps[-1].name[: 5 * _LONGEST], ref))
    return Likeness(group)


def _step(name: str, ref: str) -> str:
    """Return a step's name without what differs between references: "document 3 of A-1001" is one step with others."""
    return _NUMBERS.sub("#", name.replace(ref, "#"))[:_LONGEST]
