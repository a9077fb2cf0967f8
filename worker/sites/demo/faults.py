"""Which vehicle misbehaves how: a seeded plan, at most one fault for each reference, and the count of its strikes.

A choice of faults is written as ``all`` or as ``NAME[=RATE][:TIMES]``, separated by commas: ``alert``,
``never-answers=0.03,truncated=0.02:always``. RATE is a share of the vehicles; faults without one share a quarter of
the vehicles evenly. TIMES is how often the fault strikes its reference, ``always`` for without end; without it the
table below decides. Every chosen fault strikes at least one reference, as far as half of the vehicles reach.
"""

import difflib
import re
from collections import Counter
from enum import StrEnum

import msgspec

from worker.sites.demo.vehicles import Inventory, dice


class Fault(StrEnum):
    """What the website can do wrong."""

    NEVER_ANSWERS = "never-answers"  # the vehicle page is never answered
    ENDLESS_SCRIPT = "endless-script"  # the page's script never ends
    RENDERER_CRASH = "renderer-crash"  # the page's script asks for more memory than the renderer may have
    SERVER_ERROR_ONCE = "server-error-once"  # the vehicle page is answered with status 500
    ALWAYS_500 = "always-500"  # the same, for good
    GONE = "gone"  # the vehicle page is answered with status 404
    SLOW = "slow"  # the vehicle page takes some seconds
    ALERT = "alert"  # the page opens an alert box
    META_REFRESH = "meta-refresh"  # a page comes first that sends the browser on by meta refresh
    SESSION_EXPIRY = "session-expiry"  # the website forgets every session
    TARGET_BLANK = "target-blank"  # the link to the document opens a window
    TRUNCATED = "truncated"  # the document ends before its Content-Length
    TRUNCATED_NO_LENGTH = "truncated-no-length"  # half of the document, in chunks that end properly
    ALWAYS_TRUNCATED = "always-truncated"  # as truncated, for good
    HTML_AS_PDF = "html-as-pdf"  # an HTML page under the document's name
    ZERO_BYTES = "zero-bytes"  # an empty document
    STALLED_DOWNLOAD = "stalled-download"  # half of the document, and then nothing
    ATTACHMENT_500 = "attachment-500"  # status 500 with Content-Disposition: attachment


class _Trait(msgspec.Struct, frozen=True):
    """`times` is how often it strikes a reference, None for always; `delivery` is how the page offers the document."""

    times: int | None = 1
    harmless: bool = False
    delivery: str = ""


TRAITS = {
    Fault.NEVER_ANSWERS: _Trait(),
    Fault.ENDLESS_SCRIPT: _Trait(),
    Fault.RENDERER_CRASH: _Trait(),
    Fault.SERVER_ERROR_ONCE: _Trait(),
    Fault.ALWAYS_500: _Trait(times=None),
    Fault.GONE: _Trait(times=None),
    Fault.SLOW: _Trait(times=None, harmless=True),
    Fault.ALERT: _Trait(times=None, harmless=True),
    Fault.META_REFRESH: _Trait(times=None, harmless=True),
    Fault.SESSION_EXPIRY: _Trait(),
    Fault.TARGET_BLANK: _Trait(times=None, harmless=True, delivery="link"),
    Fault.TRUNCATED: _Trait(delivery="link"),
    Fault.TRUNCATED_NO_LENGTH: _Trait(delivery="form"),
    Fault.ALWAYS_TRUNCATED: _Trait(times=None, delivery="form"),
    Fault.HTML_AS_PDF: _Trait(delivery="form"),
    Fault.ZERO_BYTES: _Trait(delivery="link"),
    Fault.STALLED_DOWNLOAD: _Trait(delivery="form"),
    Fault.ATTACHMENT_500: _Trait(delivery="form"),
}

_SHARE = 0.25
_CHOICE = re.compile(r"(?P<name>[a-z0-9-]+)(=(?P<rate>[0-9.]+))?(:(?P<times>always|[1-9][0-9]*))?")


class FaultsError(ValueError):
    """The choice of faults makes no sense; the sentence says what was found and what is allowed."""


class Choice(msgspec.Struct, frozen=True):
    """A fault, its share of the vehicles (None: an even one), and how often it strikes each of them (None: always)."""

    fault: Fault
    rate: float | None
    times: int | None


def parse(text: str) -> tuple[Choice, ...]:
    """Read a choice of faults; nothing and ``none`` choose none.

    Raises:
        FaultsError: an unknown fault, a fault twice, or a rate that is none or adds up to more than 1.
    """
    if text in {"", "none"}:
        return ()
    words = list(Fault) if text == "all" else [word.strip() for word in text.split(",")]
    choices = tuple(map(_choice, words))
    twice = [fault for fault, times in Counter(choice.fault for choice in choices).items() if times > 1]
    if twice:
        raise FaultsError(f"the fault {twice[0]} is chosen twice")
    total = sum(choice.rate or 0 for choice in choices)
    if total > 1:
        raise FaultsError(f"the rates of the faults add up to {total:g}, at most 1 is possible")
    return choices


def _choice(word: str) -> Choice:
    match = _CHOICE.fullmatch(word)
    if match is None:
        raise FaultsError(f"{word!r} is not a choice of a fault, which is written NAME, NAME=RATE or NAME=RATE:TIMES")
    name, rate, times = match["name"], match["rate"], match["times"]
    if name not in TRAITS:
        near = difflib.get_close_matches(name, list(Fault), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(Fault)}"
        raise FaultsError(f"there is no fault named {name!r}; {hint}")
    fault = Fault(name)
    try:
        share = None if rate is None else float(rate)
    except ValueError:
        share = 0.0
    if share is not None and not 0 < share <= 1:
        raise FaultsError(f"the rate of {name} is {rate}, it must be above 0 and at most 1")
    if times is None:
        return Choice(fault, share, TRAITS[fault].times)
    return Choice(fault, share, None if times == "always" else int(times))


class FaultPlan:
    """The faults of an inventory's references, and how often each has struck since the website started."""

    def __init__(self, inventory: Inventory, choices: tuple[Choice, ...]) -> None:
        self._choices = _assign(inventory, choices)
        self._strikes: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        """How often each fault has struck, by its name."""

    def fault(self, ref: str) -> Fault | None:
        """Return the fault of a reference."""
        choice = self._choices.get(ref)
        return choice.fault if choice else None

    def permanent(self, ref: str) -> bool:
        """Say whether the documents of a reference can never be had."""
        choice = self._choices.get(ref)
        return choice is not None and choice.times is None and not TRAITS[choice.fault].harmless

    def delivery(self, ref: str) -> str:
        """Return how the page offers the first document of a reference, if the fault decides it."""
        choice = self._choices.get(ref)
        return TRAITS[choice.fault].delivery if choice else ""

    def strike(self, ref: str, *faults: Fault) -> Fault | None:
        """Let the fault of a reference strike, if it is one of `faults` and has not struck often enough."""
        choice = self._choices.get(ref)
        if choice is None or choice.fault not in faults:
            return None
        if choice.times is not None and self._strikes[ref] >= choice.times:
            return None
        self._strikes[ref] += 1
        self.struck[choice.fault] += 1
        return choice.fault


def _assign(inventory: Inventory, choices: tuple[Choice, ...]) -> dict[str, Choice]:
    vehicles = len(inventory)
    if not vehicles:
        return {}
    free = list(inventory.references)
    dice(inventory.seed, "faults").shuffle(free)
    half = vehicles // 2
    sharing = [choice for choice in choices if choice.rate is None]
    plan: dict[str, Choice] = {}
    for choice in sorted(choices, key=lambda choice: choice.rate is None):
        if choice.rate is not None:
            number = max(1, round(choice.rate * vehicles))
        elif choice.fault is Fault.SESSION_EXPIRY:
            number = 1 + vehicles // 500
        else:
            number = max(1, round(_SHARE * vehicles / len(sharing)))
        for _ in range(number):
            if not free or (choice.rate is None and len(plan) >= max(1, half)):
                break
            plan[free.pop()] = choice
    return plan
