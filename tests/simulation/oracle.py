"""What a night must never show, as the world itself sees it; nothing here is taken from the core's own books."""

from worker.protocol import Kind


class Violation(AssertionError):  # noqa: N818 - it is what the simulator looks for
    """A promise was broken."""


def demand(condition: object, sentence: str, *parts: object) -> None:
    """Refuse to go on when a promise is broken; the sentence is filled with its parts only then.

    Raises:
        Violation: it is.
    """
    if not condition:
        raise Violation(sentence.format(*parts))


NEVER_CHARGED = frozenset({Kind.DISK_FULL, Kind.LOGIN_REFUSED})
"""Nobody ever pays for these."""
